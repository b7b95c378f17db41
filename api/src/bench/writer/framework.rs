//! postgres-es as its documentation shows it: one `execute` per order, with an aggregate that takes
//! the same decision and emits the same events.

use std::time::{Duration, Instant};

use commands::clock::SystemClock;
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{Aggregate, CqrsFramework, DomainEvent};
use domain::command::{Command, CommandRecord};
use domain::decision::decide;
use domain::desk::Desk;
use domain::event::Event;
use domain::order::OrderEvent;
use domain::ports::Clock;
use domain::reservation::ReservationEvent;
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool};

use crate::bench::BenchError;
use crate::bench::scene::{Scene, order_of};

/// The tables of postgres-es, as its `db/init.sql` makes them.
const TABLES: &str = "CREATE TABLE es_events (
    aggregate_type text                         NOT NULL,
    aggregate_id   text                         NOT NULL,
    sequence       bigint CHECK (sequence >= 0) NOT NULL,
    event_type     text                         NOT NULL,
    event_version  text                         NOT NULL,
    payload        json                         NOT NULL,
    metadata       json                         NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence))";

/// What a placed order says, on one stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Fact {
    Order(OrderEvent),
    Reservation(ReservationEvent),
}

impl DomainEvent for Fact {
    fn event_type(&self) -> String {
        match self {
            Self::Order(event) => event.event_type(),
            Self::Reservation(event) => event.event_type(),
        }
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

/// An order with its reservation.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Purchase {
    facts: u64,
}

/// The spotlight, as the decision looks at it.
#[derive(Default)]
struct Open(Desk);

impl Aggregate for Purchase {
    const TYPE: &'static str = "purchase";
    type Command = CommandRecord;
    type Event = Fact;
    type Error = std::convert::Infallible;
    type Services = Open;

    async fn handle(
        &mut self,
        command: CommandRecord,
        open: &Open,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        for (_, event) in decide(&open.0, &command, SystemClock.now()).events {
            let fact = match event {
                Event::Order(event) => Fact::Order(event),
                Event::Reservation(event) => Fact::Reservation(event),
                Event::Broadcast(_) | Event::Spotlight(_) => continue,
            };
            sink.write(fact, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, _: Fact) {
        self.facts += 1;
    }
}

/// One connection and its tables.
pub(super) struct Framework {
    pool: PgPool,
}

impl Framework {
    pub(super) async fn new(url: &str) -> Result<Self, BenchError> {
        let pool = PgPoolOptions::new().max_connections(1).connect(url).await?;
        pool.execute(TABLES).await?;
        Ok(Self { pool })
    }

    /// Executes the orders; tells how many events that made.
    pub(super) async fn run(
        &self,
        scene: &Scene,
        orders: Vec<CommandRecord>,
    ) -> Result<(usize, Duration), BenchError> {
        let mut open = Open::default();
        for record in scene.opening()? {
            if matches!(record.command, Command::Spotlight { .. }) {
                for (stream, event) in decide(&open.0, &record, SystemClock.now()).events {
                    open.0.fold(&stream, &event);
                }
            }
        }
        let repository = PostgresEventRepository::new(self.pool.clone())
            .with_tables("es_events", "es_snapshots");
        let store = PersistedEventStore::<_, Purchase>::new_event_store(repository);
        let framework = CqrsFramework::new(store, vec![], open);
        let count = "SELECT count(*) FROM es_events";
        let before: i64 = sqlx::query_scalar(count).fetch_one(&self.pool).await?;
        let began = Instant::now();
        for order in orders {
            let id = order_of(&order).map(|id| id.to_string()).unwrap_or_default();
            framework.execute(&id, order).await.map_err(BenchError::failed)?;
        }
        let took = began.elapsed();
        let after: i64 = sqlx::query_scalar(count).fetch_one(&self.pool).await?;
        Ok((usize::try_from(after - before).unwrap_or(0), took))
    }
}
