//! The command log of the embedded default: a bounded queue in process.
//!
//! An append is acknowledged once the writer has stored the decision ([`committed`](domain::ports::CommandConsumer::committed)),
//! so what was acknowledged survives the process although the queue does not. Nothing here spawns,
//! waits for time or draws random numbers: the simulator drives it on its own executor.

mod consumer;
mod partition;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use domain::command::CommandRecord;
use domain::envelope::Source;
use domain::ports::{AppendError, CommandLog, ConsumerEvent};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

pub use self::consumer::MemoryCommandConsumer;
use self::partition::{Partition, Queued};
use crate::log::{RECORD_MAX_BYTES, partition_of};

/// Records that wait for their decision in the embedded default; one more is refused.
pub const MEMORY_LOG_DEPTH: usize = 8_192;

/// A member of the group of consumers of one [`MemoryCommandLog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberId(u64);

/// A command log in process: ordered per key, bounded, with a group of consumers.
pub struct MemoryCommandLog {
    topic: String,
    depth: usize,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    partitions: Vec<Partition>,
    members: BTreeMap<MemberId, Member>,
    joined: u64,
    waiting: usize,
    closed: bool,
}

#[derive(Default)]
struct Member {
    events: VecDeque<ConsumerEvent>,
    /// The group takes it for dead; it joins again when it asks for more.
    expelled: bool,
}

impl MemoryCommandLog {
    /// A log with some partitions (at least one) that keeps at most `depth` undecided records over
    /// all of them.
    pub fn new(topic: impl Into<String>, partitions: i32, depth: usize) -> Arc<Self> {
        let count = usize::try_from(partitions).unwrap_or(0).max(1);
        Arc::new(Self {
            topic: topic.into(),
            depth,
            state: Mutex::new(State {
                partitions: std::iter::repeat_with(Partition::default).take(count).collect(),
                members: BTreeMap::new(),
                joined: 0,
                waiting: 0,
                closed: false,
            }),
            changed: Notify::new(),
        })
    }

    /// A new member of the group of writers. Partitions are shared out by number over the members
    /// in the order in which they joined; dropping a member leaves the group.
    pub fn consumer(self: &Arc<Self>) -> MemoryCommandConsumer {
        let mut state = self.state.lock();
        state.joined += 1;
        let id = MemberId(state.joined);
        state.members.insert(id, Member::default());
        self.share_out(&mut state);
        drop(state);
        self.changed.notify_waiters();
        MemoryCommandConsumer::new(Arc::clone(self), id)
    }

    /// Takes a member for dead without telling it, as a group does with one that stalls: its
    /// partitions go to the others at once, and it learns of that when it next asks.
    pub fn expel(&self, member: MemberId) {
        let mut state = self.state.lock();
        if let Some(known) = state.members.get_mut(&member) {
            known.expelled = true;
        }
        self.share_out(&mut state);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Takes no more records; consumers get what waits and then [`Closed`](domain::ports::PortError::Closed).
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// Records that wait for their decision.
    pub fn waiting(&self) -> usize {
        self.state.lock().waiting
    }

    fn share_out(&self, state: &mut State) {
        let live: Vec<MemberId> =
            state.members.iter().filter(|(_, m)| !m.expelled).map(|(id, _)| *id).collect();
        let mut turn = live.iter().cycle();
        for (number, partition) in state.partitions.iter_mut().enumerate() {
            let owner = turn.next().copied();
            if partition.owner == owner {
                continue;
            }
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            if let Some(old) = partition.owner.and_then(|id| state.members.get_mut(&id)) {
                old.events.push_back(self.revoked(number));
            }
            partition.hand_to(owner);
            if let Some(new) = owner.and_then(|id| state.members.get_mut(&id)) {
                new.events.push_back(self.assigned(number, partition));
            }
        }
    }

    fn revoked(&self, partition: i32) -> ConsumerEvent {
        ConsumerEvent::Revoked { topic: self.topic.clone(), partition }
    }

    /// A partition that was never started has no offsets of its own yet: any start fits it.
    fn assigned(&self, number: i32, partition: &Partition) -> ConsumerEvent {
        let (low, high) = partition.base.map_or((0, i64::MAX), |base| (base, partition.end(base)));
        ConsumerEvent::Assigned { topic: self.topic.clone(), partition: number, low, high }
    }

    fn enqueue(
        &self,
        record: &CommandRecord,
    ) -> Result<(i32, oneshot::Receiver<i64>), AppendError> {
        let refused = |why: &str| AppendError::Refused(why.to_owned());
        let value = serde_json::to_vec(record).map_err(|e| AppendError::Refused(e.to_string()))?;
        if value.len() > RECORD_MAX_BYTES {
            return Err(refused("the record is too large"));
        }
        let mut state = self.state.lock();
        if state.closed {
            return Err(refused("the log is closed"));
        }
        if state.joined > 0 && state.members.is_empty() {
            return Err(refused("no writer is running"));
        }
        if state.waiting >= self.depth {
            return Err(refused("the queue is full"));
        }
        let count = i32::try_from(state.partitions.len()).unwrap_or(i32::MAX);
        let number = partition_of(record.key.to_string().as_bytes(), count);
        let (ack, acked) = oneshot::channel();
        let partition = usize::try_from(number)
            .ok()
            .and_then(|index| state.partitions.get_mut(index))
            .ok_or_else(|| refused("no such partition"))?;
        partition.records.push_back(Queued { value, ack: Some(ack) });
        state.waiting += 1;
        Ok((number, acked))
    }
}

#[async_trait]
impl CommandLog for MemoryCommandLog {
    fn is_down(&self) -> bool {
        let state = self.state.lock();
        state.closed || state.members.is_empty()
    }

    async fn append(&self, record: &CommandRecord) -> Result<Source, AppendError> {
        let (partition, acked) = self.enqueue(record)?;
        self.changed.notify_waiters();
        match acked.await {
            Ok(offset) => Ok(Source { topic: self.topic.clone(), partition, offset }),
            Err(_) => Err(AppendError::Unknown("the writer went away".to_owned())),
        }
    }
}
