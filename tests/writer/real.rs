//! Two writers on Kafka and PostgreSQL: whoever is killed, every command is decided once.

use std::sync::Arc;
use std::time::Duration;

use commands::clock::SystemClock;
use commands::faults::Faults;
use commands::log::kafka::{
    GroupProtocol, KafkaCommandConsumer, KafkaCommandLog, ProducerSettings,
};
use commands::log::topics::{Topics, ensure_topics};
use commands::store::{StoreOptions, migrate, open};
use commands::writer::{self, WriterConfig, WriterPorts};
use domain::actor::Actor;
use domain::admission::Admission;
use domain::command::{Command, CommandRecord};
use domain::envelope::Position;
use domain::fingerprint::Fingerprint;
use domain::ids::{CommandId, CorrelationId, OrderId, SpotlightId, ViewerRef, derive_id};
use domain::invariants::{Invariants, LogEnd};
use domain::order::{OrderCommand, PlaceOrder};
use domain::personal::Personal;
use domain::ports::{Clock, CommandLog, EventStore};
use domain::spotlight::SpotlightCommand;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::rig::{request, seller, terms};
use crate::support::{eventually, fresh_database, required};

const PARTITIONS: i32 = 4;
const SPOTLIGHTS: u128 = 6;
const UNITS: u32 = 20;
const ORDERS: u64 = 30;

struct Servers {
    database: String,
    brokers: String,
    topics: Topics,
    group: String,
    tasks: JoinSet<()>,
}

impl Servers {
    async fn fresh() -> Self {
        let database = fresh_database().await;
        migrate(&database).await.expect("migrates");
        let brokers = required("ONAIR_KAFKA");
        let prefix = format!("t{}-", Uuid::new_v4().simple());
        let topics = Topics::prefixed(&prefix);
        ensure_topics(&brokers, &topics, PARTITIONS, 1).await.expect("creates the topics");
        let group = format!("{prefix}writer");
        Self { database, brokers, topics, group, tasks: JoinSet::new() }
    }

    async fn store(&self) -> Arc<dyn EventStore> {
        let options = StoreOptions::new(Arc::new(SystemClock));
        open(&self.database, &options).await.expect("opens")
    }

    async fn start_writer(&mut self, owner: &str) -> AbortHandle {
        let consumer = KafkaCommandConsumer::join(
            &self.brokers,
            &self.topics.commands,
            &self.group,
            GroupProtocol::default(),
        );
        let ports = WriterPorts {
            store: self.store().await,
            consumer: Box::new(consumer.expect("valid settings")),
            parked: None,
            clock: Arc::new(SystemClock),
            faults: Faults::none(),
        };
        let config = WriterConfig::new(owner);
        self.tasks.spawn(async move {
            writer::run(ports, config, CancellationToken::new()).await.expect("does not halt");
        })
    }
}

fn record(spotlight: SpotlightId, name: &str, command: Command) -> CommandRecord {
    CommandRecord {
        command_id: CommandId(derive_id("real", &[spotlight.0.as_bytes(), name.as_bytes()])),
        seller: seller(),
        key: spotlight.into(),
        correlation: CorrelationId(spotlight.0),
        causation: None,
        traceparent: None,
        actor: Actor::system(),
        issued_at: SystemClock.now(),
        command,
    }
}

fn schedule(spotlight: SpotlightId) -> CommandRecord {
    let mut terms = terms(UNITS, None);
    terms.spotlight_id = spotlight;
    let command = SpotlightCommand::ScheduleSpotlight { terms: Box::new(terms), open_now: true };
    record(spotlight, "schedule", Command::Spotlight { command })
}

fn order(spotlight: SpotlightId, number: u64) -> OrderId {
    OrderId(derive_id("real order", &[spotlight.0.as_bytes(), &number.to_be_bytes()]))
}

fn place(spotlight: SpotlightId, number: u64) -> CommandRecord {
    let asked = request(&format!("v{number}"), "k", 1, "none");
    let at = SystemClock.now();
    let place = PlaceOrder {
        order_id: order(spotlight, number),
        spotlight_id: spotlight,
        viewer_ref: ViewerRef::try_new(format!("v{number}")).unwrap(),
        lines: asked.lines,
        offer_version: 1,
        admission: Some(Admission { epoch: 1, number, at, offer_version: 1 }),
        payment: None,
        key_fingerprint: Fingerprint::of(b"k"),
        body_fingerprint: asked.fingerprint,
        received_at: at,
        node: "n".to_owned(),
        void_after: None,
        personal: Personal::default(),
    };
    let command = OrderCommand::PlaceOrder { place: Box::new(place) };
    record(spotlight, &format!("place {number}"), Command::Order { command })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_writer_and_every_repeat_lead_to_one_decision_each() {
    let mut servers = Servers::fresh().await;
    let settings = ProducerSettings::default();
    let log = KafkaCommandLog::connect(&servers.brokers, &servers.topics.commands, settings);
    let log = log.expect("valid settings");
    let spotlights: Vec<_> =
        (1..=SPOTLIGHTS).map(|number| SpotlightId(Uuid::from_u128(number))).collect();
    for spotlight in &spotlights {
        log.append(&schedule(*spotlight)).await.expect("acknowledged");
    }
    let store = servers.store().await;
    let doomed = servers.start_writer("doomed").await;
    servers.start_writer("heir").await;
    for number in 1..=ORDERS {
        if number == ORDERS / 2 {
            eventually("something is decided", Duration::from_mins(1), async || {
                (store.head().await.ok()? > Position(20)).then_some(())
            })
            .await;
            doomed.abort();
        }
        let records = spotlights.iter().map(|spotlight| place(*spotlight, number));
        let records: Vec<_> = records.collect();
        let twice = records.iter().chain(&records).map(|record| log.append(record));
        for appended in futures::future::join_all(twice).await {
            appended.expect("acknowledged");
        }
    }
    for spotlight in &spotlights {
        eventually("every order is decided", Duration::from_mins(1), async || {
            let events = store.read_key((*spotlight).into(), Position::START, 10_000).await.ok()?;
            let accepted =
                events.iter().filter(|event| event.event.event_type() == "OrderAccepted").count();
            (u64::try_from(accepted).unwrap() == ORDERS).then_some(())
        })
        .await;
    }
    let events = store.read(Position::START, 100_000).await.expect("reads");
    let findings = Invariants::of_log(&events, LogEnd { settled: false });
    assert!(findings.is_empty(), "{findings:?}");
    let reserved =
        events.iter().filter(|event| event.event.event_type() == "StockReserved").count();
    assert_eq!(u128::try_from(reserved).unwrap(), SPOTLIGHTS * u128::from(UNITS));
    for spotlight in &spotlights {
        let ledger = store.ledger(*spotlight).await.expect("reads");
        assert!(ledger.is_sound());
        assert!(ledger.rows.values().all(|row| row.free() == 0));
    }
}
