//! A log whose records are all there: what the writer takes is always a full batch.

use std::collections::VecDeque;

use async_trait::async_trait;
use domain::command::CommandRecord;
use domain::envelope::Source;
use domain::ports::{CommandConsumer, ConsumerEvent, Delivered, PortError};
use tokio_util::sync::CancellationToken;

use crate::bench::BenchError;

/// One partition, serialised beforehand; `done` is cancelled when its last record is stored.
pub(super) struct Canned {
    topic: String,
    values: VecDeque<Vec<u8>>,
    end: i64,
    assigned: bool,
    next: i64,
    done: CancellationToken,
}

impl Canned {
    pub(super) fn new(
        topic: &str,
        records: &[CommandRecord],
        done: CancellationToken,
    ) -> Result<Self, BenchError> {
        let values: Result<VecDeque<Vec<u8>>, serde_json::Error> =
            records.iter().map(serde_json::to_vec).collect();
        let end = i64::try_from(records.len()).map_err(BenchError::failed)?;
        let topic = topic.to_owned();
        let values = values.map_err(BenchError::failed)?;
        Ok(Self { topic, values, end, assigned: false, next: 0, done })
    }
}

#[async_trait]
impl CommandConsumer for Canned {
    async fn next(&mut self, max: usize) -> Result<Vec<ConsumerEvent>, PortError> {
        let topic = || self.topic.clone();
        if !std::mem::replace(&mut self.assigned, true) {
            let (low, high) = (0, self.end);
            return Ok(vec![ConsumerEvent::Assigned { topic: topic(), partition: 0, low, high }]);
        }
        if self.values.is_empty() {
            self.done.cancelled().await;
            return Err(PortError::Closed);
        }
        let count = max.min(self.values.len());
        let mut batch = Vec::with_capacity(count);
        for value in self.values.drain(..count) {
            let source = Source { topic: self.topic.clone(), partition: 0, offset: self.next };
            self.next += 1;
            batch.push(ConsumerEvent::Record(Delivered { source, value }));
        }
        Ok(batch)
    }

    async fn start_at(&mut self, _: &str, _: i32, _: i64) -> Result<(), PortError> {
        Ok(())
    }

    async fn committed(&mut self, _: &str, _: i32, next_offset: i64) {
        if next_offset >= self.end {
            self.done.cancel();
        }
    }
}
