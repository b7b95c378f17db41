//! Events on their way to consumers.

use async_trait::async_trait;

use crate::envelope::{Position, Recorded};
use crate::ports::PortError;

/// Where consumers get events from: the store itself, or Kafka.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Starts a consumer under a name that members of its group share. A log read by position
    /// starts after `after`; one with offsets of its own starts where the group stood and may
    /// repeat.
    ///
    /// # Errors
    /// The log cannot be reached.
    async fn subscribe(
        &self,
        consumer: &str,
        after: Position,
    ) -> Result<Box<dyn EventSubscription>, PortError>;
}

/// One consumer. Events of one key come in order, each at least once; a consumer applies `prev ==
/// last`, drops `position <= last`, and fills a gap from the store.
#[async_trait]
pub trait EventSubscription: Send {
    /// Waits until something is there, then returns what is waiting, at most `max`.
    ///
    /// # Errors
    /// The log cannot be read.
    async fn next(&mut self, max: usize) -> Result<Vec<Recorded>, PortError>;
    /// Everything returned so far was applied.
    ///
    /// # Errors
    /// The log cannot be reached; the events may come again.
    async fn done(&mut self) -> Result<(), PortError>;
}

/// The relay's side.
#[async_trait]
pub trait EventPublisher: Send + Sync {
    /// Publishes events in order; returns once all are acknowledged.
    ///
    /// # Errors
    /// Any of them may be missing: the caller starts again from its checkpoint.
    async fn publish(&self, events: &[Recorded]) -> Result<(), PortError>;
}
