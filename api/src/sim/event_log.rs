//! The log of events as Kafka is: partitions that go at their own pace, offsets of a group, records
//! that come again, and now and then one that is lost on its way.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::ids::StreamKey;
use domain::ports::{EventLog, EventPublisher, EventSubscription, PortError};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::faults::{Fate, Line, gone};

#[derive(Default)]
struct State {
    partitions: BTreeMap<StreamKey, Vec<Recorded>>,
    /// Where each group stands.
    groups: BTreeMap<String, BTreeMap<StreamKey, usize>>,
}

/// The log of events; every key is a partition of its own.
pub struct SimEventLog {
    line: Line,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl SimEventLog {
    /// An empty log.
    pub fn new(line: Line) -> Self {
        Self { line, state: Arc::default(), changed: Arc::default() }
    }
}

#[async_trait]
impl EventPublisher for SimEventLog {
    async fn publish(&self, events: &[Recorded]) -> Result<(), PortError> {
        let fate = self.line.before("publish").await;
        // one that fails has come as far as some record
        let most = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let arrived = match fate {
            Fate::Refused => usize::try_from(self.line.world.below(most + 1)).unwrap_or(0),
            _ => events.len(),
        };
        let repeat = self.line.world.levels().repeat;
        for recorded in events.iter().take(arrived) {
            let times = if self.line.world.chance(repeat) { 2 } else { 1 };
            let mut state = self.state.lock();
            let partition = state.partitions.entry(recorded.key).or_default();
            partition.extend(std::iter::repeat_n(recorded.clone(), times));
        }
        self.changed.notify_waiters();
        self.line.after("publish").await;
        if fate == Fate::Done { Ok(()) } else { Err(gone("publish")) }
    }
}

#[async_trait]
impl EventLog for SimEventLog {
    async fn subscribe(
        &self,
        consumer: &str,
        _: Position,
    ) -> Result<Box<dyn EventSubscription>, PortError> {
        let next = self.state.lock().groups.entry(consumer.to_owned()).or_default().clone();
        Ok(Box::new(Subscription {
            line: self.line.clone(),
            state: Arc::clone(&self.state),
            changed: Arc::clone(&self.changed),
            consumer: consumer.to_owned(),
            next,
        }))
    }
}

struct Subscription {
    line: Line,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    consumer: String,
    next: BTreeMap<StreamKey, usize>,
}

impl Subscription {
    /// What is waiting, of one partition.
    fn poll(&mut self, max: usize) -> Vec<Recorded> {
        let world = &self.line.world;
        let waiting: Vec<(StreamKey, usize)> = {
            let state = self.state.lock();
            let left = state.partitions.iter().map(|(key, records)| {
                (*key, records.len() - self.next.get(key).copied().unwrap_or(0))
            });
            left.filter(|(_, left)| *left > 0).collect()
        };
        let Some((key, left)) = world.pick(&waiting).copied() else { return vec![] };
        let most = if world.levels().yields {
            usize::try_from(1 + world.below(u64::try_from(left).unwrap_or(1))).unwrap_or(1)
        } else {
            left
        };
        let from = self.next.get(&key).copied().unwrap_or(0);
        let state = self.state.lock();
        let records = state.partitions.get(&key).map_or(&[][..], Vec::as_slice);
        let mut events: Vec<Recorded> =
            records.iter().skip(from).take(most.min(max)).cloned().collect();
        drop(state);
        self.next.insert(key, from + events.len());
        // a record that is lost and not the last one shows by the next one's link
        if events.len() > 2 && world.chance(world.levels().lose) {
            let index = usize::try_from(world.below(2)).unwrap_or(0);
            let lost = events.remove(index);
            world.note(|| format!("event {} is lost on its way", lost.position));
        }
        events
    }
}

#[async_trait]
impl EventSubscription for Subscription {
    async fn next(&mut self, max: usize) -> Result<Vec<Recorded>, PortError> {
        let line = self.line.clone();
        let fate = line.before("events.next").await;
        if fate == Fate::Refused {
            return Err(gone("events.next"));
        }
        loop {
            let changed = Arc::clone(&self.changed);
            let notified = changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let events = self.poll(max);
            if !events.is_empty() {
                return Ok(events);
            }
            notified.await;
        }
    }

    async fn done(&mut self) -> Result<(), PortError> {
        match self.line.before("events.done").await {
            Fate::Refused => Err(gone("events.done")),
            Fate::Done | Fate::Lost => {
                self.state.lock().groups.insert(self.consumer.clone(), self.next.clone());
                Ok(())
            }
        }
    }
}
