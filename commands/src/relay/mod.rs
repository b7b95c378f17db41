//! From the store to Kafka, by position.
//!
//! The events table is the outbox: no second one. One relay holds the lease, publishes in the order
//! of positions, and moves its checkpoint after the acknowledgement. A relay that died between the
//! two, and one that does not know yet that it lost the lease, only repeat what is there already;
//! consumers drop what they have and notice by `prev` what they miss.

mod kafka;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::envelope::Position;
use domain::ports::{Clock, EventPublisher, EventStore, PortError, StoreError};
use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;

pub use self::kafka::KafkaEventPublisher;
use crate::lease::give_back;
use crate::metrics::{
    RELAY_LAG_EVENTS, RELAY_POSITION, RELAY_PUBLISHED_TOTAL, RELAY_RESTARTS_TOTAL,
};

/// The role whose lease and checkpoint the relay uses.
pub const RELAY_ROLE: &str = "relay";
/// Events that are published together.
pub const RELAY_BATCH: usize = 500;
/// How often the holder renews its lease.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How often the others ask for it.
const STANDBY: Duration = Duration::from_millis(500);
/// How long it waits after an error before it starts again from its checkpoint.
const RESTART_AFTER: Duration = Duration::from_millis(200);

/// Publishes events until `shutdown`; while another owner has the lease it stands by. Any error
/// makes it start again from its checkpoint.
pub async fn run(
    store: Arc<dyn EventStore>,
    publisher: Arc<dyn EventPublisher>,
    clock: Arc<dyn Clock>,
    owner: String,
    shutdown: CancellationToken,
) {
    let relay = Relay { store, publisher, clock, owner };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = relay.forever() => {}
    }
    give_back(relay.store.as_ref(), relay.clock.as_ref(), RELAY_ROLE, &relay.owner).await;
}

struct Relay {
    store: Arc<dyn EventStore>,
    publisher: Arc<dyn EventPublisher>,
    clock: Arc<dyn Clock>,
    owner: String,
}

/// Why it stopped publishing.
enum Stop {
    LeaseLost,
    Failed(PortError),
}

impl From<PortError> for Stop {
    fn from(error: PortError) -> Self {
        Self::Failed(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced => Self::LeaseLost,
            StoreError::Unavailable(error) | StoreError::Ambiguous(error) => Self::Failed(error),
            StoreError::Conflict(detail) => {
                Self::Failed(PortError::corrupt("a checkpoint", detail))
            }
        }
    }
}

impl Relay {
    async fn forever(&self) {
        loop {
            let pause = match self.lead().await {
                Stop::LeaseLost => STANDBY,
                Stop::Failed(error) => {
                    counter!(RELAY_RESTARTS_TOTAL).increment(1);
                    tracing::error!(%error, "the relay starts again from its checkpoint");
                    RESTART_AFTER
                }
            };
            self.clock.sleep(pause).await;
        }
    }

    async fn lead(&self) -> Stop {
        match self.publish_from_checkpoint().await {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    async fn publish_from_checkpoint(&self) -> Result<std::convert::Infallible, Stop> {
        let epoch = self.lease().await?;
        let mut renewed = self.clock.now();
        let mut position = self.store.checkpoint(RELAY_ROLE).await?;
        let every = TimeDelta::from_std(RENEW_EVERY).unwrap_or(TimeDelta::zero());
        loop {
            if self.clock.now() - renewed >= every {
                if self.lease().await? != epoch {
                    return Err(Stop::LeaseLost);
                }
                renewed = self.clock.now();
            }
            match self.publish_after(position, epoch).await? {
                Some(last) => position = last,
                None => self.store.wait(position).await,
            }
        }
    }

    async fn lease(&self) -> Result<u64, Stop> {
        self.store.lease(RELAY_ROLE, &self.owner).await?.ok_or(Stop::LeaseLost)
    }

    /// Publishes what follows, and returns its last position; nothing where nothing follows.
    async fn publish_after(&self, after: Position, epoch: u64) -> Result<Option<Position>, Stop> {
        let events = self.store.read(after, RELAY_BATCH).await?;
        let Some(last) = events.last().map(|recorded| recorded.position) else {
            gauge!(RELAY_LAG_EVENTS).set(0.0);
            return Ok(None);
        };
        let mut expected = after.0;
        for recorded in &events {
            expected += 1;
            if recorded.position.0 != expected {
                let hole = format!("position {expected} is missing before {}", recorded.position);
                return Err(PortError::corrupt("the event store", hole).into());
            }
        }
        self.publisher.publish(&events).await?;
        self.store.set_checkpoint(RELAY_ROLE, epoch, last).await?;
        counter!(RELAY_PUBLISHED_TOTAL).increment(u64::try_from(events.len()).unwrap_or(u64::MAX));
        gauge!(RELAY_POSITION).set(to_gauge(last.0));
        // a batch that is not full was the end of the log
        let head = if events.len() < RELAY_BATCH { last } else { self.store.head().await? };
        gauge!(RELAY_LAG_EVENTS).set(to_gauge(head.0.saturating_sub(last.0)));
        Ok(Some(last))
    }
}

/// Exact up to 4 billion, and then still monotone.
fn to_gauge(value: u64) -> f64 {
    let (high, low) = (value >> 32, value & u64::from(u32::MAX));
    f64::from(u32::try_from(high).unwrap_or(u32::MAX)) * 4_294_967_296.0
        + f64::from(u32::try_from(low).unwrap_or(u32::MAX))
}
