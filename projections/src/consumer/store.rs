//! The log of events of the embedded default: the store itself.

use std::sync::Arc;

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::ports::{EventLog, EventReader, EventSubscription, PortError};

/// Events straight from the store, by position.
#[derive(Clone)]
pub struct StoreEventLog {
    reader: Arc<dyn EventReader>,
}

impl StoreEventLog {
    /// The log of a store.
    pub const fn new(reader: Arc<dyn EventReader>) -> Self {
        Self { reader }
    }
}

#[async_trait]
impl EventLog for StoreEventLog {
    async fn subscribe(
        &self,
        _consumer: &str,
        after: Position,
    ) -> Result<Box<dyn EventSubscription>, PortError> {
        Ok(Box::new(StoreSubscription { reader: Arc::clone(&self.reader), after }))
    }
}

struct StoreSubscription {
    reader: Arc<dyn EventReader>,
    after: Position,
}

#[async_trait]
impl EventSubscription for StoreSubscription {
    async fn next(&mut self, max: usize) -> Result<Vec<Recorded>, PortError> {
        loop {
            let events = self.reader.read(self.after, max).await?;
            if let Some(last) = events.last() {
                self.after = last.position;
                return Ok(events);
            }
            self.reader.wait(self.after).await;
        }
    }

    /// The consumer's own checkpoint is what counts.
    async fn done(&mut self) -> Result<(), PortError> {
        Ok(())
    }
}
