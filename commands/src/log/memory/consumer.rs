//! A member of the group of consumers of the log in process.

use std::sync::Arc;

use async_trait::async_trait;
use domain::ports::{CommandConsumer, ConsumerEvent, PortError};

use super::partition::Partition;
use super::{MemberId, MemoryCommandLog};

/// One member of the group of writers of a [`MemoryCommandLog`].
pub struct MemoryCommandConsumer {
    log: Arc<MemoryCommandLog>,
    id: MemberId,
    /// Which partition comes first next time, so that a busy one does not starve the others.
    turn: usize,
}

impl MemoryCommandConsumer {
    pub(super) const fn new(log: Arc<MemoryCommandLog>, id: MemberId) -> Self {
        Self { log, id, turn: 0 }
    }

    /// Its name in the group.
    pub const fn member(&self) -> MemberId {
        self.id
    }

    fn poll(&mut self, max: usize) -> Result<Vec<ConsumerEvent>, PortError> {
        let mut state = self.log.state.lock();
        let mut out = Vec::new();
        let member = state.members.get_mut(&self.id);
        if member.is_some_and(|member| std::mem::take(&mut member.expelled)) {
            self.log.share_out(&mut state);
            self.log.changed.notify_waiters();
        }
        if let Some(member) = state.members.get_mut(&self.id) {
            let known = max.min(member.events.len());
            out.extend(member.events.drain(..known));
        }
        // what changed about partitions comes alone: the caller starts them before it reads them
        if !out.is_empty() {
            return Ok(out);
        }
        let count = state.partitions.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let owned = state.partitions.get_mut(index).filter(|p| p.owner == Some(self.id));
            if let Some(partition) = owned {
                let number = i32::try_from(index).unwrap_or(i32::MAX);
                partition.take(&self.log.topic, number, max, &mut out);
            }
        }
        self.turn = (self.turn + 1) % count.max(1);
        if out.is_empty() && state.closed {
            return Err(PortError::Closed);
        }
        Ok(out)
    }

    fn with_partition<T>(
        &self,
        topic: &str,
        partition: i32,
        f: impl FnOnce(&mut Partition) -> (T, usize),
    ) -> Option<T> {
        let mut state = self.log.state.lock();
        let index = usize::try_from(partition).ok().filter(|_| topic == self.log.topic)?;
        let (value, settled) = f(state.partitions.get_mut(index)?);
        state.waiting = state.waiting.saturating_sub(settled);
        Some(value)
    }
}

#[async_trait]
impl CommandConsumer for MemoryCommandConsumer {
    async fn next(&mut self, max: usize) -> Result<Vec<ConsumerEvent>, PortError> {
        let log = Arc::clone(&self.log);
        loop {
            let changed = log.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let events = self.poll(max)?;
            if !events.is_empty() || max == 0 {
                return Ok(events);
            }
            changed.await;
        }
    }

    async fn start_at(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), PortError> {
        let id = self.id;
        self.with_partition(topic, partition, |owned| {
            if owned.owner != Some(id) {
                // it was revoked meanwhile, which the next event says
                return (Ok(()), 0);
            }
            match owned.start(offset) {
                Ok(settled) => (Ok(()), settled),
                Err(detail) => (Err(PortError::corrupt("the command log", detail)), 0),
            }
        })
        .unwrap_or_else(|| Err(PortError::corrupt("the command log", "no such partition")))
    }

    async fn committed(&mut self, topic: &str, partition: i32, next_offset: i64) {
        self.with_partition(topic, partition, |owned| ((), owned.settle(next_offset)));
    }
}

impl Drop for MemoryCommandConsumer {
    fn drop(&mut self) {
        let mut state = self.log.state.lock();
        state.members.remove(&self.id);
        self.log.share_out(&mut state);
        if state.members.is_empty() {
            // nobody knows whether these will be decided; a new writer still gets them
            for queued in state.partitions.iter_mut().flat_map(|p| p.records.iter_mut()) {
                queued.ack = None;
            }
        }
        drop(state);
        self.log.changed.notify_waiters();
    }
}
