//! The embedded bus: channels in memory, one lock, no task and no timer of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::Position;
use domain::ids::StreamKey;
use domain::ports::{
    Attendance, Audience, Clock, FeedBus, FeedMessage, FeedPosition, FeedSubscription, History,
    Ids, PortError, Report, Snapshot,
};
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::limits::{FeedLimits, VIEWER_COUNT, VIEWERS_COUNTED_MAX};
use super::merge::merge_patch;
use super::queue::{self, Receiver, Sender};

/// Channels are looked through for forgotten ones once per so many publishes.
const SWEEP_EVERY: u64 = 4_096;

/// Who watches a state, and who did.
#[derive(Default)]
struct Crowd {
    nodes: BTreeMap<String, (Audience, Timestamp)>,
    viewers: BTreeSet<u64>,
    peak: u32,
}

impl Crowd {
    fn take(&mut self, report: &Report<'_>, now: Timestamp) -> Attendance {
        self.nodes.insert(report.node.to_owned(), (report.audience, now + report.lasting));
        self.nodes.retain(|_, (_, until)| *until > now);
        let audience =
            self.nodes.values().fold(Audience::default(), |sum, (audience, _)| Audience {
                clients: sum.clients.saturating_add(audience.clients),
                viewers: sum.viewers.saturating_add(audience.viewers),
            });
        let room = VIEWERS_COUNTED_MAX.saturating_sub(self.viewers.len());
        self.viewers.extend(report.came.iter().take(room));
        self.peak = self.peak.max(audience.viewers);
        let distinct = u64::try_from(self.viewers.len()).unwrap_or(u64::MAX);
        Attendance { audience, peak: self.peak, distinct }
    }
}

/// One life of one channel.
struct Channel {
    epoch: String,
    offset: u64,
    versions: BTreeMap<StreamKey, Position>,
    state: Value,
    history: VecDeque<FeedMessage>,
    subscribers: Vec<Sender<FeedMessage>>,
    crowd: Option<Box<Crowd>>,
    sum: Option<FeedMessage>,
    touched: Timestamp,
    summed: Timestamp,
}

impl Channel {
    fn new(epoch: String, now: Timestamp) -> Self {
        Self {
            epoch,
            offset: 0,
            versions: BTreeMap::new(),
            state: Value::Object(Map::new()),
            history: VecDeque::new(),
            subscribers: Vec::new(),
            crowd: None,
            sum: None,
            touched: now,
            summed: now,
        }
    }

    fn top(&self) -> FeedPosition {
        FeedPosition { epoch: self.epoch.clone(), offset: self.offset }
    }

    /// The next message, or nothing where the version is a repeat.
    fn next_message(
        &mut self,
        key: StreamKey,
        version: Position,
        data: &Value,
    ) -> Option<FeedMessage> {
        let stored = self.versions.entry(key).or_insert(Position::START);
        if version <= *stored {
            return None;
        }
        *stored = version;
        Some(self.numbered(data))
    }

    fn numbered(&mut self, data: &Value) -> FeedMessage {
        self.offset = self.offset.saturating_add(1);
        FeedMessage { position: self.top(), data: Arc::new(data.clone()) }
    }

    /// Keeps a message of a stream; what is too old or too much is forgotten.
    fn keep(&mut self, message: &FeedMessage, (most, kept): (usize, Duration), now: Timestamp) {
        if now.signed_duration_since(self.touched).to_std().unwrap_or_default() >= kept {
            self.history.clear();
        }
        self.history.push_back(message.clone());
        while self.history.len() > most {
            self.history.pop_front();
        }
    }

    /// Changes a member of a state that was counted here.
    fn set(&mut self, member: &str, value: u64) {
        let patch = serde_json::json!({ member: value });
        let message = self.numbered(&patch);
        merge_patch(&mut self.state, &patch);
        self.fan_out(&message);
    }

    fn count(&self, member: &str) -> Option<u64> {
        self.state.get(member).and_then(Value::as_u64)
    }

    /// Hands a message to every subscriber; one whose queue is full is let go and sees its end.
    fn fan_out(&mut self, message: &FeedMessage) {
        self.subscribers.retain(|subscriber| subscriber.try_send(message.clone()));
    }

    fn is_forgotten(&self, now: Timestamp, limits: &FeedLimits) -> bool {
        let used = self.touched.max(self.summed);
        let idle = now.signed_duration_since(used).to_std().unwrap_or_default();
        idle >= limits.kept && self.subscribers.iter().all(Sender::is_closed)
    }

    fn after(&self, position: &FeedPosition) -> Option<Vec<FeedMessage>> {
        if position.epoch != self.epoch || position.offset > self.offset {
            return None;
        }
        let missed = self.offset - position.offset;
        let kept = u64::try_from(self.history.len()).unwrap_or(u64::MAX);
        let first_wanted = position.offset.saturating_add(1);
        (missed <= kept).then(|| {
            let wanted = |message: &&FeedMessage| message.position.offset >= first_wanted;
            self.history.iter().filter(wanted).cloned().collect()
        })
    }
}

#[derive(Default)]
struct Channels {
    by_name: HashMap<String, Box<Channel>>,
    publishes: u64,
}

/// The bus of one process: what it holds is gone with it, and the epochs say so.
pub struct MemoryFeedBus {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    limits: FeedLimits,
    channels: Mutex<Channels>,
}

impl MemoryFeedBus {
    /// An empty bus with production's limits.
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self::with_limits(clock, ids, FeedLimits::default())
    }

    /// An empty bus.
    pub fn with_limits(clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, limits: FeedLimits) -> Self {
        Self { clock, ids, limits, channels: Mutex::new(Channels::default()) }
    }

    /// Loses everything, as a server that was emptied: every subscription ends, every channel
    /// starts again under a new epoch.
    pub fn lose(&self) {
        *self.channels.lock() = Channels::default();
    }

    /// Lets every subscription fall off, as a lost connection does; what is stored stays.
    pub fn cut(&self) {
        for channel in self.channels.lock().by_name.values_mut() {
            channel.subscribers.clear();
        }
    }

    fn with_channel<T>(&self, name: &str, act: impl FnOnce(&mut Channel, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut channels = self.channels.lock();
        let forgotten =
            channels.by_name.get(name).is_some_and(|known| known.is_forgotten(now, &self.limits));
        if forgotten {
            channels.by_name.remove(name);
        }
        let channel = channels
            .by_name
            .entry(name.to_owned())
            .or_insert_with(|| Box::new(Channel::new(self.ids.uuid().simple().to_string(), now)));
        act(channel, now)
    }

    fn publish(
        &self,
        name: &str,
        (key, version): (StreamKey, Position),
        data: &Value,
        keep: impl FnOnce(&mut Channel, &FeedMessage, Timestamp),
    ) {
        self.sweep();
        self.with_channel(name, |channel, now| {
            if let Some(message) = channel.next_message(key, version, data) {
                keep(channel, &message, now);
                channel.touched = now;
                channel.fan_out(&message);
            }
        });
    }

    fn sweep(&self) {
        let mut channels = self.channels.lock();
        channels.publishes = channels.publishes.wrapping_add(1);
        if channels.publishes.is_multiple_of(SWEEP_EVERY) {
            let now = self.clock.now();
            channels.by_name.retain(|_, channel| !channel.is_forgotten(now, &self.limits));
        }
    }
}

#[async_trait]
impl FeedBus for MemoryFeedBus {
    async fn patch(
        &self,
        channel: &str,
        key: StreamKey,
        version: Position,
        patch: &Value,
    ) -> Result<(), PortError> {
        self.publish(channel, (key, version), patch, |channel, message, _| {
            merge_patch(&mut channel.state, &message.data);
        });
        Ok(())
    }

    async fn push(
        &self,
        channel: &str,
        key: StreamKey,
        version: Position,
        message: &Value,
    ) -> Result<(), PortError> {
        let bounds = self.limits.history(channel);
        self.publish(channel, (key, version), message, |channel, message, now| {
            channel.keep(message, bounds, now);
        });
        Ok(())
    }

    async fn append(&self, channel: &str, message: &Value) -> Result<FeedPosition, PortError> {
        self.sweep();
        let bounds = self.limits.history(channel);
        Ok(self.with_channel(channel, |channel, now| {
            let message = channel.numbered(message);
            channel.keep(&message, bounds, now);
            channel.touched = now;
            channel.fan_out(&message);
            message.position
        }))
    }

    async fn add(
        &self,
        channel: &str,
        member: &str,
        by: u64,
        at_least: u64,
    ) -> Result<u64, PortError> {
        Ok(self.with_channel(channel, |channel, now| {
            let known = channel.count(member);
            let sum = known.unwrap_or(0).max(at_least).saturating_add(by);
            if known != Some(sum) {
                channel.touched = now;
                channel.set(member, sum);
            }
            sum
        }))
    }

    async fn report(&self, channel: &str, report: &Report<'_>) -> Result<Attendance, PortError> {
        Ok(self.with_channel(channel, |channel, now| {
            let crowd = channel.crowd.get_or_insert_default();
            let attendance = crowd.take(report, now);
            let viewers = attendance.audience.viewers.into();
            if channel.count(VIEWER_COUNT) != Some(viewers) {
                channel.touched = now;
                channel.set(VIEWER_COUNT, viewers);
            }
            attendance
        }))
    }

    async fn version(&self, channel: &str, key: StreamKey) -> Result<Position, PortError> {
        let channels = self.channels.lock();
        let stored = channels.by_name.get(channel).and_then(|known| known.versions.get(&key));
        Ok(stored.copied().unwrap_or(Position::START))
    }

    async fn snapshot(&self, channel: &str) -> Result<Snapshot, PortError> {
        Ok(self.with_channel(channel, |channel, _| Snapshot {
            position: channel.top(),
            data: channel.state.clone(),
        }))
    }

    async fn history(
        &self,
        channel: &str,
        after: Option<&FeedPosition>,
    ) -> Result<History, PortError> {
        let (_, kept) = self.limits.history(channel);
        Ok(self.with_channel(channel, |channel, now| {
            if now.signed_duration_since(channel.touched).to_std().unwrap_or_default() >= kept {
                channel.history.clear();
            }
            History {
                top: channel.top(),
                messages: after.map_or_else(|| Some(Vec::new()), |place| channel.after(place)),
            }
        }))
    }

    async fn sum_up(&self, channel: &str, at: &FeedPosition, sum: &Value) -> Result<(), PortError> {
        self.with_channel(channel, |channel, now| {
            let known = channel.sum.as_ref().map_or(0, |sum| sum.position.offset);
            if at.epoch == channel.epoch && (known..=channel.offset).contains(&at.offset) {
                channel.sum =
                    Some(FeedMessage { position: at.clone(), data: Arc::new(sum.clone()) });
                channel.summed = now;
            }
        });
        Ok(())
    }

    async fn sum(&self, channel: &str) -> Result<Option<FeedMessage>, PortError> {
        Ok(self.with_channel(channel, |channel, _| channel.sum.clone()))
    }

    async fn subscribe(&self, channel: &str) -> Result<Box<dyn FeedSubscription>, PortError> {
        let (sender, messages) = queue::bounded(self.limits.subscriber_messages);
        self.with_channel(channel, |channel, _| {
            channel.subscribers.retain(|subscriber| !subscriber.is_closed());
            // most channels have one
            channel.subscribers.reserve_exact(1);
            channel.subscribers.push(sender);
        });
        Ok(Box::new(MemorySubscription { messages }))
    }
}

struct MemorySubscription {
    messages: Receiver<FeedMessage>,
}

#[async_trait]
impl FeedSubscription for MemorySubscription {
    async fn next(&mut self) -> Result<FeedMessage, PortError> {
        self.messages
            .recv()
            .await
            .ok_or_else(|| PortError::unavailable("the feed", "the subscription fell behind"))
    }
}
