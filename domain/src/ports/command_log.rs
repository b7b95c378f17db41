//! The log of commands: acceptance is its acknowledgement.

use async_trait::async_trait;

use crate::command::CommandRecord;
use crate::envelope::Source;
use crate::ports::PortError;

/// Why a record has no acknowledgement.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Refused before it was queued: certainly not in the log.
    #[error("the command log refused the record: {0}")]
    Refused(String),
    /// Queued and not acknowledged: it may be in the log. Never compensated (design rule 7).
    #[error("the command log did not acknowledge the record: {0}")]
    Unknown(String),
}

/// Where commands are appended; ordered per key.
#[async_trait]
pub trait CommandLog: Send + Sync {
    /// Whether the log is known to be down, so that nothing should be taken for it.
    fn is_down(&self) -> bool;
    /// Appends a record under its key and waits for the durable acknowledgement.
    ///
    /// # Errors
    /// [`AppendError`]: refused for certain, or unknown.
    async fn append(&self, record: &CommandRecord) -> Result<Source, AppendError>;
    /// As [`CommandLog::append`], where the record's JSON is at hand.
    ///
    /// # Errors
    /// As there.
    async fn append_json(
        &self,
        record: &CommandRecord,
        _json: String,
    ) -> Result<Source, AppendError> {
        self.append(record).await
    }
}

/// A record as it stands in the log; the writer parses it, so that one that does not parse is
/// parked like any other poison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Where it stands.
    pub source: Source,
    /// The JSON of a [`CommandRecord`].
    pub value: Vec<u8>,
}

/// What a consumer sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerEvent {
    /// A partition is ours now; nothing of it comes before [`CommandConsumer::start_at`].
    Assigned {
        /// Its topic.
        topic: String,
        /// Its number.
        partition: i32,
        /// The first offset that the log still holds.
        low: i64,
        /// The offset after the last one.
        high: i64,
    },
    /// A partition is no longer ours.
    Revoked {
        /// Its topic.
        topic: String,
        /// Its number.
        partition: i32,
    },
    /// The next record of a partition.
    Record(Delivered),
}

/// One member of the group of writers.
#[async_trait]
pub trait CommandConsumer: Send + Sync {
    /// Waits until something is there, then returns what is waiting, at most `max` records; it
    /// never waits for more. Dropping the future before it is ready loses nothing.
    ///
    /// # Errors
    /// [`PortError::Closed`] when the log was closed; otherwise the log cannot be read.
    async fn next(&mut self, max: usize) -> Result<Vec<ConsumerEvent>, PortError>;
    /// Starts (or starts again) to deliver an assigned partition, from `offset`.
    ///
    /// # Errors
    /// The log cannot be reached, or does not hold the offset.
    async fn start_at(&mut self, topic: &str, partition: i32, offset: i64)
    -> Result<(), PortError>;
    /// Everything of the partition before `next_offset` is decided and stored. Advisory in Kafka;
    /// in process it is what acknowledges the appends.
    async fn committed(&mut self, topic: &str, partition: i32, next_offset: i64);
}
