//! The command log as Kafka is: an append is durable when it is acknowledged, the writer comes
//! later, and a group shares the partitions out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use commands::log::partition_of;
use domain::command::CommandRecord;
use domain::envelope::Source;
use domain::ports::{
    AppendError, CommandConsumer, CommandLog, ConsumerEvent, Delivered, PortError,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::breaks::Break;
use super::faults::{Fate, Line};

/// The topic's name.
pub const TOPIC: &str = "commands";

type MemberId = u64;

#[derive(Default)]
struct Member {
    events: VecDeque<ConsumerEvent>,
    /// Where each started partition goes on.
    reading: BTreeMap<i32, usize>,
    /// The group takes it for dead, and it does not know.
    expelled: bool,
}

#[derive(Default)]
struct State {
    partitions: Vec<Vec<Vec<u8>>>,
    owners: Vec<Option<MemberId>>,
    members: BTreeMap<MemberId, Member>,
    joined: MemberId,
    down: bool,
}

/// The log of commands.
pub struct SimCommandLog {
    line: Line,
    state: Mutex<State>,
    changed: Notify,
    planted: Option<Break>,
}

impl SimCommandLog {
    /// An empty log.
    pub fn new(line: Line, partitions: usize, planted: Option<Break>) -> Arc<Self> {
        let state = State {
            partitions: vec![vec![]; partitions],
            owners: vec![None; partitions],
            ..State::default()
        };
        Arc::new(Self { line, state: Mutex::new(state), changed: Notify::new(), planted })
    }

    /// Takes the brokers away, or brings them back.
    pub fn set_down(&self, down: bool) {
        self.state.lock().down = down;
    }

    /// The end of each partition.
    pub fn ends(&self) -> Vec<i64> {
        let length = |records: &Vec<Vec<u8>>| i64::try_from(records.len()).unwrap_or(i64::MAX);
        self.state.lock().partitions.iter().map(length).collect()
    }

    /// A new member of the group.
    pub fn join(self: &Arc<Self>) -> SimConsumer {
        let mut state = self.state.lock();
        state.joined += 1;
        let id = state.joined;
        state.members.insert(id, Member::default());
        state.share_out();
        drop(state);
        self.changed.notify_waiters();
        SimConsumer { log: Arc::clone(self), id }
    }

    /// Takes the owner of a partition for dead without telling it.
    pub fn expel_owner(&self, partition: usize) {
        let mut state = self.state.lock();
        let owner = state.owners.get(partition).copied().flatten();
        let Some(member) = owner.and_then(|id| state.members.get_mut(&id)) else { return };
        member.expelled = true;
        state.share_out();
        drop(state);
        self.changed.notify_waiters();
    }

    fn push(&self, record: &CommandRecord) -> Result<Source, AppendError> {
        let value =
            serde_json::to_vec(record).map_err(|error| AppendError::Refused(error.to_string()))?;
        let mut state = self.state.lock();
        let count = i32::try_from(state.partitions.len()).unwrap_or(1);
        let partition = partition_of(record.key.to_string().as_bytes(), count);
        let records = usize::try_from(partition)
            .ok()
            .and_then(|index| state.partitions.get_mut(index))
            .ok_or_else(|| AppendError::Refused("no such partition".to_owned()))?;
        let offset = i64::try_from(records.len()).unwrap_or(i64::MAX);
        records.push(value);
        drop(state);
        self.changed.notify_waiters();
        Ok(Source { topic: TOPIC.to_owned(), partition, offset })
    }

    fn unknown(&self) -> AppendError {
        let why = "no acknowledgement came".to_owned();
        // the planted fault: an ambiguous answer is taken for a refusal, and compensated
        if self.planted == Some(Break::CompensateAmbiguous) {
            return AppendError::Refused(why);
        }
        AppendError::Unknown(why)
    }
}

#[async_trait]
impl CommandLog for SimCommandLog {
    fn is_down(&self) -> bool {
        self.state.lock().down
    }

    async fn append(&self, record: &CommandRecord) -> Result<Source, AppendError> {
        let fate = self.line.before("append").await;
        if fate == Fate::Refused {
            // refused before it was queued, or gone on the way
            return Err(if self.line.world.chance(500) {
                AppendError::Refused("the queue is full".to_owned())
            } else {
                self.unknown()
            });
        }
        if self.is_down() {
            return Err(self.unknown());
        }
        let source = self.push(record)?;
        if self.line.world.chance(self.line.world.levels().repeat) {
            self.line.world.note(|| format!("command {} stands twice", record.command_id));
            self.push(record)?;
        }
        self.line.after("append").await;
        if fate == Fate::Lost { Err(self.unknown()) } else { Ok(source) }
    }
}

impl State {
    fn share_out(&mut self) {
        let live: Vec<MemberId> =
            self.members.iter().filter(|(_, member)| !member.expelled).map(|(id, _)| *id).collect();
        for index in 0..self.partitions.len() {
            let owner = live.get(index % live.len().max(1)).copied();
            let old = self.owners.get(index).copied().flatten();
            if old == owner {
                continue;
            }
            let partition = i32::try_from(index).unwrap_or(i32::MAX);
            let topic = || TOPIC.to_owned();
            if let Some(member) = old.and_then(|id| self.members.get_mut(&id)) {
                member.events.push_back(ConsumerEvent::Revoked { topic: topic(), partition });
            }
            let high = self.partitions.get(index).map_or(0, Vec::len);
            let high = i64::try_from(high).unwrap_or(i64::MAX);
            if let Some(member) = owner.and_then(|id| self.members.get_mut(&id)) {
                let assigned = ConsumerEvent::Assigned { topic: topic(), partition, low: 0, high };
                member.events.push_back(assigned);
            }
            if let Some(place) = self.owners.get_mut(index) {
                *place = owner;
            }
        }
    }

    fn poll(&mut self, id: MemberId, max: usize) -> Vec<ConsumerEvent> {
        let rejoins = self.members.get(&id).is_some_and(|member| member.expelled);
        if rejoins {
            if let Some(member) = self.members.get_mut(&id) {
                member.expelled = false;
            }
            self.share_out();
        }
        let Some(member) = self.members.get_mut(&id) else { return vec![] };
        if !member.events.is_empty() {
            let events: Vec<ConsumerEvent> = member.events.drain(..).collect();
            for event in &events {
                if let ConsumerEvent::Revoked { partition, .. } = event {
                    member.reading.remove(partition);
                }
            }
            return events;
        }
        let mut records = Vec::new();
        for (partition, next) in &mut member.reading {
            let index = usize::try_from(*partition).unwrap_or(usize::MAX);
            let stored = self.partitions.get(index).map_or(&[][..], Vec::as_slice);
            for value in stored.iter().skip(*next).take(max.saturating_sub(records.len())) {
                let offset = i64::try_from(*next).unwrap_or(i64::MAX);
                let source = Source { topic: TOPIC.to_owned(), partition: *partition, offset };
                records.push(ConsumerEvent::Record(Delivered { source, value: value.clone() }));
                *next += 1;
            }
        }
        records
    }
}

/// A member of the group.
pub struct SimConsumer {
    log: Arc<SimCommandLog>,
    id: MemberId,
}

#[async_trait]
impl CommandConsumer for SimConsumer {
    async fn next(&mut self, max: usize) -> Result<Vec<ConsumerEvent>, PortError> {
        loop {
            let changed = self.log.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            // batches of many sizes
            let most = if self.log.line.world.levels().yields {
                usize::try_from(1 + self.log.line.world.below(12)).unwrap_or(1)
            } else {
                max
            };
            let events = self.log.state.lock().poll(self.id, max.min(most));
            if !events.is_empty() {
                return Ok(events);
            }
            changed.await;
        }
    }

    async fn start_at(&mut self, _: &str, partition: i32, offset: i64) -> Result<(), PortError> {
        let mut state = self.log.state.lock();
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        let owned = state.owners.get(index).copied().flatten() == Some(self.id);
        let end = state.partitions.get(index).map_or(0, Vec::len);
        if usize::try_from(offset).map_or(true, |offset| offset > end) {
            return Err(PortError::corrupt("the command log", format!("it ends at {end}")));
        }
        if let Some(member) = state.members.get_mut(&self.id).filter(|_| owned) {
            member.reading.insert(partition, usize::try_from(offset).unwrap_or(0));
        }
        drop(state);
        self.log.changed.notify_waiters();
        Ok(())
    }

    async fn committed(&mut self, _: &str, _: i32, _: i64) {}
}

impl Drop for SimConsumer {
    fn drop(&mut self) {
        let mut state = self.log.state.lock();
        state.members.remove(&self.id);
        state.share_out();
        drop(state);
        self.log.changed.notify_waiters();
    }
}
