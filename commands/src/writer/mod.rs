//! One writer per partition: batches of commands become events in one transaction.
//!
//! A batch is what is waiting: it closes when the queue is empty, at [`BATCH_COMMANDS_MAX`]
//! commands or at the configured bytes, and never waits for more. Its decisions are taken on the
//! cached [desks](desks::Desks), stamped with one time, and committed with the consumed offsets
//! under the owner's epoch. What the store refuses for good is found by bisecting and put aside.

mod batch;
mod commit;
mod desks;
mod owned;
mod park;
mod partitions;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::ports::{
    Clock, CommandConsumer, ConsumerEvent, Delivered, EventStore, ParkedCommand, PortError,
};
use metrics::counter;
use tokio_util::sync::CancellationToken;

use crate::faults::Faults;
use crate::metrics::{COMMANDS_PARKED_TOTAL, WRITER_RETRIES_TOTAL};
use batch::Item;
use desks::Desks;
pub use owned::Owned;
use partitions::Partitions;

/// Commands of one batch.
pub const BATCH_COMMANDS_MAX: usize = 500;
/// Bytes of one batch.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Stream keys whose state is kept between batches.
pub const DESKS_MAX: usize = 4_096;
/// Orders whose state is kept between batches.
pub const ORDERS_MAX: usize = 131_072;
/// How long a parked command may wait for somebody before its order fails.
pub const PARKED_DEADLINE: Duration = Duration::from_mins(5);
/// How long money of an ended order waits for somebody, where it could not be taken in or given
/// back: longer than anybody takes.
pub const PARKED_MONEY: Duration = Duration::from_hours(24 * 365 * 10);
/// First pause after the store could not be reached; doubled up to [`BACKOFF_MAX`].
pub const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// Longest pause after the store could not be reached.
pub const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// How long a fenced writer waits before it claims a partition that was not taken from it.
pub const RECLAIM_PAUSE: Duration = Duration::from_secs(2);

/// What a writer works with.
pub struct WriterPorts {
    /// The log of events.
    pub store: Arc<dyn EventStore>,
    /// Its member of the group.
    pub consumer: Box<dyn CommandConsumer>,
    /// Where parked commands are announced, if anywhere.
    pub parked: Option<Arc<dyn ParkedPublisher>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fail points.
    pub faults: Faults,
}

/// A writer's settings.
#[derive(Debug, Clone)]
pub struct WriterConfig {
    /// Who it is, in the store's fences.
    pub owner: String,
    /// Commands of one batch, at most [`BATCH_COMMANDS_MAX`].
    pub batch_commands: usize,
    /// Bytes of one batch.
    pub batch_bytes: usize,
    /// How long a parked command may wait.
    pub parked_deadline: Duration,
    /// How long a fenced writer waits before it claims again.
    pub reclaim_pause: Duration,
    /// Says how many partitions it owns.
    pub owned: Owned,
}

impl WriterConfig {
    /// The settings of a writer by default.
    pub fn new(owner: impl Into<String>) -> Self {
        Self {
            owner: owner.into(),
            batch_commands: BATCH_COMMANDS_MAX,
            batch_bytes: BATCH_BYTES_MAX,
            parked_deadline: PARKED_DEADLINE,
            reclaim_pause: RECLAIM_PAUSE,
            owned: Owned::default(),
        }
    }
}

/// Tells the outside of parked commands, after they were stored.
#[async_trait]
pub trait ParkedPublisher: Send + Sync {
    /// Announces one; the store keeps it whatever comes of this.
    ///
    /// # Errors
    /// It was not announced.
    async fn publish(&self, parked: &ParkedCommand) -> Result<(), PortError>;
}

/// Why a writer stopped for good; an operator is needed.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The log begins after the first command that is not decided: commands were lost.
    #[error("{topic}/{partition} begins at {low}, and {wanted} is the next to be decided")]
    LogTruncated {
        /// The log's topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Where it begins.
        low: i64,
        /// What would be next.
        wanted: i64,
    },
    /// The log ends before the first command that is not decided: its end was lost, or it is
    /// another log.
    #[error("{topic}/{partition} ends at {high}, and {wanted} is the next to be decided")]
    LogEndLost {
        /// The log's topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Where it ends.
        high: i64,
        /// What would be next.
        wanted: i64,
    },
    /// The log is not the one that the store knows.
    #[error("the command log does not hold what the store expects of it")]
    LogUnreadable(#[source] PortError),
}

/// Why the loop is left.
pub(crate) enum Stop {
    /// Shutdown.
    Asked,
    /// For good.
    Failed(WriterError),
}

pub(crate) struct Writer {
    ports: WriterPorts,
    config: WriterConfig,
    shutdown: CancellationToken,
    partitions: Partitions,
    desks: Desks,
}

/// Decides commands until `shutdown`; the batch in hand is finished first.
///
/// # Errors
/// [`WriterError`] where the command log does not hold what the store expects of it.
pub async fn run(
    ports: WriterPorts,
    config: WriterConfig,
    shutdown: CancellationToken,
) -> Result<(), WriterError> {
    let mut writer = Writer {
        ports,
        config,
        shutdown,
        partitions: Partitions::default(),
        desks: Desks::default(),
    };
    let ended = writer.run().await;
    writer.config.owned.set(0);
    match ended {
        Ok(()) | Err(Stop::Asked) => Ok(()),
        Err(Stop::Failed(error)) => Err(error),
    }
}

impl Writer {
    async fn run(&mut self) -> Result<(), Stop> {
        let mut pause = BACKOFF_MIN;
        let batch_commands = self.config.batch_commands.clamp(1, BATCH_COMMANDS_MAX);
        loop {
            let reclaim_in = self.partitions.reclaim_in(self.ports.clock.now());
            let events = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(()),
                () = wait(self.ports.clock.as_ref(), reclaim_in) => {
                    self.reclaim().await?;
                    continue;
                }
                events = self.ports.consumer.next(batch_commands) => events,
            };
            match events {
                Ok(events) => {
                    pause = BACKOFF_MIN;
                    self.take(events).await?;
                }
                Err(PortError::Closed) => return Ok(()),
                Err(error @ PortError::Corrupt { .. }) => {
                    return Err(Stop::Failed(WriterError::LogUnreadable(error)));
                }
                Err(error) => self.back_off(&mut pause, &error).await?,
            }
        }
    }

    async fn take(&mut self, events: Vec<ConsumerEvent>) -> Result<(), Stop> {
        let mut waiting: Vec<Item> = vec![];
        let mut bytes = 0;
        for event in events {
            match event {
                ConsumerEvent::Record(delivered) => {
                    let size = delivered.value.len();
                    if bytes + size > self.config.batch_bytes && !waiting.is_empty() {
                        self.flush(std::mem::take(&mut waiting)).await?;
                        bytes = 0;
                    }
                    if self.is_next(&delivered) {
                        bytes += size;
                        waiting.push(Item::parse(delivered));
                    }
                }
                ConsumerEvent::Assigned { topic, partition, low, high } => {
                    self.flush(std::mem::take(&mut waiting)).await?;
                    bytes = 0;
                    self.assign((topic, partition), low, high).await?;
                }
                ConsumerEvent::Revoked { topic, partition } => {
                    self.flush(std::mem::take(&mut waiting)).await?;
                    bytes = 0;
                    let partition = (topic, partition);
                    self.desks.drop_partition(&partition);
                    self.partitions.remove(&partition);
                    self.config.owned.set(self.partitions.count());
                }
            }
        }
        self.flush(waiting).await
    }

    fn is_next(&self, delivered: &Delivered) -> bool {
        self.partitions.expects(&delivered.source)
    }

    /// Waits before something is tried again.
    async fn back_off(&mut self, pause: &mut Duration, error: &PortError) -> Result<(), Stop> {
        counter!(WRITER_RETRIES_TOTAL).increment(1);
        tracing::warn!(
            error = cause(error), pause_ms = %pause.as_millis(),
            "the writer could not go on and tries again"
        );
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return Err(Stop::Asked),
            () = self.ports.clock.sleep(*pause) => {}
        }
        *pause = pause.saturating_mul(2).min(BACKOFF_MAX);
        Ok(())
    }

    async fn announce(&mut self, parked: &[ParkedCommand]) {
        for command in parked {
            counter!(COMMANDS_PARKED_TOTAL).increment(1);
            tracing::error!(
                topic = %command.source.topic, partition = command.source.partition,
                offset = command.source.offset, sequence = %command.sequence,
                error = %command.error, "a command was parked"
            );
            if let Some(publisher) = &self.ports.parked
                && let Err(error) = publisher.publish(command).await
            {
                tracing::warn!(error = cause(&error), "a parked command could not be announced");
            }
        }
    }
}

/// An error as a field of a log line.
pub(crate) fn cause(error: &PortError) -> &(dyn std::error::Error + 'static) {
    error
}

async fn wait(clock: &dyn Clock, duration: Option<Duration>) {
    match duration {
        Some(duration) => clock.sleep(duration).await,
        None => std::future::pending().await,
    }
}
