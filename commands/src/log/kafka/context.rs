//! What the group of writers gives to this member and takes from it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use domain::ports::PortError;
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::Notify;

/// A partition by topic and number.
pub(super) type PartitionName = (String, i32);

/// A change of what this member owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Assigned(PartitionName),
    Revoked(PartitionName),
}

/// A partition that this member owns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owned {
    /// Which assignment of it, so that a start for an earlier one has no effect.
    pub(super) generation: u64,
    /// The offset that comes next; none before the writer has started it.
    pub(super) expected: Option<i64>,
}

/// What this member owns, shared by the consumer, its callbacks and the watch.
#[derive(Default)]
pub(super) struct Group {
    state: Mutex<State>,
    pub(super) changed: Notify,
}

#[derive(Default)]
struct State {
    owned: BTreeMap<PartitionName, Owned>,
    changes: VecDeque<Change>,
    generations: u64,
    fault: Option<Fault>,
    idle_since: Option<Instant>,
}

/// Why the consumer cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The log is not the one that the store knows: halt (design rule 6).
    Corrupt(String),
    /// This consumer does not get what is there: make a new one.
    Stuck(&'static str),
}

impl Fault {
    pub(super) fn error(&self) -> PortError {
        match self {
            Self::Corrupt(detail) => PortError::corrupt("the command log", detail),
            Self::Stuck(why) => PortError::unavailable("the command log", *why),
        }
    }
}

/// What to do with a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Deliver,
    Drop,
}

impl Group {
    fn assigned(&self, partitions: Vec<PartitionName>) {
        let mut state = self.state.lock();
        for name in partitions {
            state.generations += 1;
            let owned = Owned { generation: state.generations, expected: None };
            state.owned.insert(name.clone(), owned);
            state.changes.push_back(Change::Assigned(name));
        }
        drop(state);
        self.changed.notify_one();
    }

    fn revoked(&self, partitions: Vec<PartitionName>) {
        let mut state = self.state.lock();
        for name in partitions {
            if state.owned.remove(&name).is_some() {
                state.changes.push_back(Change::Revoked(name));
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The group of the member that follows a stuck one: everything that was owned is revoked.
    pub(super) fn successor(&self) -> Self {
        let state = self.state.lock();
        let owned = state.owned.keys().cloned().map(Change::Revoked);
        let changes = state.changes.iter().filter(|change| matches!(change, Change::Revoked(_)));
        let changes = changes.cloned().chain(owned).collect();
        let generations = state.generations;
        Self {
            state: Mutex::new(State { changes, generations, ..State::default() }),
            changed: Notify::new(),
        }
    }

    pub(super) fn fail(&self, fault: Fault) {
        self.state.lock().fault = Some(fault);
        self.changed.notify_one();
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.state.lock().fault.clone()
    }

    /// The oldest change that was not reported; it stays until [`Group::reported`].
    pub(super) fn next_change(&self) -> Option<Change> {
        self.state.lock().changes.front().cloned()
    }

    pub(super) fn reported(&self) {
        self.state.lock().changes.pop_front();
    }

    pub(super) fn owned(&self, name: &PartitionName) -> Option<Owned> {
        self.state.lock().owned.get(name).copied()
    }

    /// Holds records of a partition back while it is moved to another offset.
    pub(super) fn hold(&self, name: &PartitionName) {
        if let Some(owned) = self.state.lock().owned.get_mut(name) {
            owned.expected = None;
        }
    }

    /// Lets records of a partition through from `offset`; false where it is not ours any more.
    pub(super) fn started(&self, name: &PartitionName, generation: u64, offset: i64) -> bool {
        match self.state.lock().owned.get_mut(name) {
            Some(owned) if owned.generation == generation => {
                owned.expected = Some(offset);
                true
            }
            _ => false,
        }
    }

    /// The partitions that records flow from, with the offset that comes next.
    pub(super) fn flowing(&self) -> Vec<(PartitionName, i64)> {
        let state = self.state.lock();
        state.owned.iter().filter_map(|(name, own)| Some((name.clone(), own.expected?))).collect()
    }

    /// Judges a record. Nothing writes transactions to the commands topic and nothing compacts it,
    /// so the offsets of a partition follow each other: a hole is a lost command.
    pub(super) fn judge(&self, name: &PartitionName, offset: i64) -> Result<Verdict, PortError> {
        let mut state = self.state.lock();
        state.idle_since = None;
        let Some(owned) = state.owned.get_mut(name) else { return Ok(Verdict::Drop) };
        match owned.expected {
            Some(expected) if offset == expected => {
                owned.expected = Some(offset + 1);
                Ok(Verdict::Deliver)
            }
            Some(expected) if offset > expected => {
                let (topic, partition) = name;
                let fault = Fault::Corrupt(format!(
                    "{topic}/{partition} goes on at {offset} and {expected} is missing"
                ));
                let error = fault.error();
                state.fault = Some(fault);
                Err(error)
            }
            _ => Ok(Verdict::Drop),
        }
    }

    /// The writer waits for records now; where it did already, since when.
    pub(super) fn waits(&self, now: Instant) {
        self.state.lock().idle_since.get_or_insert(now);
    }

    /// The writer is busy with what it got.
    pub(super) fn works(&self) {
        self.state.lock().idle_since = None;
    }

    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.state.lock().idle_since
    }
}

/// The callbacks of librdkafka; they run while the consumer is polled and never block.
pub(super) struct GroupContext(pub(super) Arc<Group>);

impl ClientContext for GroupContext {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka");
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let names = names(partitions);
        let result = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let result = take(consumer, partitions);
            self.0.assigned(names);
            result
        } else {
            // first of all nothing of it is delivered any more
            self.0.revoked(names);
            give_up(consumer, partitions)
        };
        if let Err(error) = result {
            tracing::error!(%error, "a rebalance of the writers failed");
            self.0.fail(Fault::Stuck("a rebalance failed"));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "the group's offsets, which are advisory, were not committed");
        }
    }
}

/// An explicit offset: the group's own one is advisory and may be missing. Paused until the writer
/// says where to start.
fn take(
    consumer: &BaseConsumer<GroupContext>,
    partitions: &mut TopicPartitionList,
) -> KafkaResult<()> {
    partitions.set_all_offsets(Offset::Offset(0))?;
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions)?,
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(partitions)?,
    }
    consumer.pause(partitions)
}

fn give_up(
    consumer: &BaseConsumer<GroupContext>,
    partitions: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
    }
}

fn names(partitions: &TopicPartitionList) -> Vec<PartitionName> {
    let elements = partitions.elements();
    elements.iter().map(|element| (element.topic().to_owned(), element.partition())).collect()
}
