//! The role: events in, room states and personal streams out.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{OrderId, StreamKey, derive_id};
use domain::ports::{Clock, EventLog, EventReader, EventSubscription, FeedBus, PortError};
use domain::views::OrderView;
use lru::LruCache;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::chat::{Notices, moderation_channel, notices};
use super::limits::{CHAT_KEPT, FEED_KEPT};
use super::room::RoomPart;
use super::shape::{chat_channel, live_channel, order_message, user_channel, wait_message};
use crate::metrics;
use crate::order_book::{fold, order_before, order_of};

/// The consumer's name in the log.
pub const CONSUMER: &str = "viewer_feed";
/// Events taken from the log at once.
const EVENTS_AT_ONCE: usize = 500;
/// Events read at once where a key's past is folded.
const PAST_AT_ONCE: usize = 1_000;
/// Keys whose part of a room is remembered; one that was forgotten is folded again.
const KEYS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Orders that are remembered; one that was forgotten is loaded again.
const ORDERS_MAX: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();
/// How often the bus is asked whether it still holds what was published.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// The shortest wait for the next check.
const CHECK_STEP: Duration = Duration::from_millis(1);
/// Keys that are checked at once, the ones in use first.
const CHECKED_KEYS_MAX: usize = 256;
/// How long it waits before it tries again.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Publishes what viewers see, until `shutdown`. A log that is read by position starts after
/// `after`: everything up to there must be in the read models that viewers are given beside the
/// feed.
///
/// # Errors
/// None of its own: what cannot be reached is tried again; a log that cannot be read ends it.
pub async fn run(
    event_log: Arc<dyn EventLog>,
    reader: Arc<dyn EventReader>,
    bus: Arc<dyn FeedBus>,
    clock: Arc<dyn Clock>,
    after: Position,
    shutdown: CancellationToken,
) -> Result<(), PortError> {
    let mut feed = ViewerFeed::new(reader, bus, clock.clone());
    let mut applied = after;
    while !shutdown.is_cancelled() {
        let lost = consume(&mut feed, &*event_log, &mut applied, &shutdown).await;
        if let Err(error @ PortError::Corrupt { .. }) = lost {
            return Err(error);
        }
        if let Err(error) = lost {
            tracing::warn!(%error, "the viewer feed starts again");
            shutdown.run_until_cancelled(clock.sleep(RETRY_AFTER)).await;
        }
    }
    Ok(())
}

async fn consume(
    feed: &mut ViewerFeed,
    event_log: &dyn EventLog,
    applied: &mut Position,
    shutdown: &CancellationToken,
) -> Result<(), PortError> {
    let mut subscription = event_log.subscribe(CONSUMER, *applied).await?;
    while let Some(events) = wait(feed, &mut *subscription, shutdown).await {
        let events = events?;
        feed.take(&events).await?;
        subscription.done().await?;
        let newest = events.iter().map(|recorded| recorded.position).max();
        *applied = newest.map_or(*applied, |newest| newest.max(*applied));
    }
    Ok(())
}

/// The next events; meanwhile the bus is checked. The wait for events is never dropped and begun
/// again.
async fn wait(
    feed: &mut ViewerFeed,
    subscription: &mut dyn EventSubscription,
    shutdown: &CancellationToken,
) -> Option<Result<Vec<Recorded>, PortError>> {
    let clock = feed.clock.clone();
    let mut events = subscription.next(EVENTS_AT_ONCE);
    loop {
        let until_check = feed.check_at.signed_duration_since(clock.now()).to_std();
        let Ok(until_check) = until_check else {
            feed.check_at = clock.now() + CHECK_EVERY;
            if let Err(error) = feed.check().await {
                tracing::warn!(%error, "the feed could not be checked");
            }
            continue;
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            events = &mut events => return Some(events),
            () = clock.sleep(until_check.max(CHECK_STEP)) => {}
        }
    }
}

/// The projection: pure folds per key and per order, and where they go.
pub struct ViewerFeed {
    reader: Arc<dyn EventReader>,
    bus: Arc<dyn FeedBus>,
    clock: Arc<dyn Clock>,
    check_at: Timestamp,
    parts: LruCache<StreamKey, RoomPart>,
    orders: LruCache<OrderId, OrderView>,
}

impl ViewerFeed {
    /// A projection that remembers nothing yet.
    pub fn new(reader: Arc<dyn EventReader>, bus: Arc<dyn FeedBus>, clock: Arc<dyn Clock>) -> Self {
        let (parts, orders) = (LruCache::new(KEYS_MAX), LruCache::new(ORDERS_MAX));
        let check_at = clock.now();
        Self { reader, bus, clock, check_at, parts, orders }
    }

    /// Takes events in and publishes what they changed. Repeats are harmless; a gap in a key is
    /// filled from the store. Rooms get one patch per key for all events of the call, streams one
    /// message per order and decision: the order as it is after the decision.
    ///
    /// # Errors
    /// The store or the bus cannot be reached; the same events may be given again.
    pub async fn take(&mut self, events: &[Recorded]) -> Result<(), PortError> {
        let mut changed: Vec<StreamKey> = Vec::new();
        for recorded in events {
            let missing = self.missing(recorded).await?;
            for recorded in missing.iter().chain([recorded]) {
                // The stream first: were it to fail, the gap would be found again.
                self.push_order(recorded).await?;
                self.push_chat(recorded).await?;
                self.push_places(recorded).await?;
                if let Some(part) = self.parts.get_mut(&recorded.key) {
                    part.apply(recorded);
                }
            }
            if !changed.contains(&recorded.key) {
                changed.push(recorded.key);
            }
        }
        for key in changed {
            self.show(key).await?;
        }
        Ok(())
    }

    /// The events before `recorded` that the log left out; the past of a key that is not
    /// remembered is folded in silence.
    async fn missing(&mut self, recorded: &Recorded) -> Result<Vec<Recorded>, PortError> {
        let Some(applied) = self.parts.get(&recorded.key).map(RoomPart::applied) else {
            let part = self.past(recorded.key, recorded.prev).await?;
            self.parts.put(recorded.key, part);
            return Ok(Vec::new());
        };
        if applied >= recorded.prev {
            return Ok(Vec::new());
        }
        let missing = self.after(recorded.key, applied, recorded.prev).await?;
        metrics::feed_gap(missing.len());
        Ok(missing)
    }

    /// Shows what the log says of some keys of a broadcast, on a channel that was forgotten; what
    /// is shown there meanwhile is newer, and stays.
    ///
    /// # Errors
    /// The store or the bus cannot be reached; showing it again is safe.
    pub async fn show_again(&self, keys: &[StreamKey]) -> Result<usize, PortError> {
        let mut shown = 0;
        for key in keys {
            let part = self.past(*key, self.reader.key_head(*key).await?).await?;
            if let (Some(room), Some(state)) = (part.room(), part.state()) {
                let patch = stamped(state, self.clock.now());
                self.bus.patch(&live_channel(room), *key, part.applied(), &patch).await?;
                shown += 1;
            }
        }
        Ok(shown)
    }

    /// A key's part as of a position, folded from the store.
    async fn past(&self, key: StreamKey, until: Position) -> Result<RoomPart, PortError> {
        let mut part = RoomPart::default();
        while part.applied() < until {
            let page = self.reader.read_key(key, part.applied(), PAST_AT_ONCE).await?;
            if page.is_empty() {
                let detail = format!("the key {key} ends before {until}");
                return Err(PortError::corrupt("the event store", detail));
            }
            for recorded in page.iter().take_while(|recorded| recorded.position <= until) {
                part.apply(recorded);
            }
        }
        Ok(part)
    }

    /// The events of a key between two positions, the second included.
    async fn after(
        &self,
        key: StreamKey,
        mut after: Position,
        until: Position,
    ) -> Result<Vec<Recorded>, PortError> {
        let mut events = Vec::new();
        while after < until {
            let page = self.reader.read_key(key, after, PAST_AT_ONCE).await?;
            let Some(last) = page.last() else {
                let detail = format!("the key {key} ends before {until}");
                return Err(PortError::corrupt("the event store", detail));
            };
            after = last.position;
            events.extend(page.into_iter().filter(|recorded| recorded.position <= until));
        }
        Ok(events)
    }

    async fn show(&mut self, key: StreamKey) -> Result<(), PortError> {
        let now = self.clock.now();
        let Some(part) = self.parts.get_mut(&key) else { return Ok(()) };
        let (Some(room), applied) = (part.room(), part.applied()) else { return Ok(()) };
        let channel = live_channel(room);
        if part.shown_in.is_none() {
            part.shown_in = Some(epoch(&*self.bus, &channel).await?);
        }
        let Some(patch) = part.change() else { return Ok(()) };
        let published = self.bus.patch(&channel, key, applied, &stamped(patch, now)).await;
        if published.is_err() {
            // What was shown is not known: the next time all of it is.
            self.parts.pop(&key);
        }
        published
    }

    /// Publishes the order as it is after the last event that a decision has about it.
    async fn push_order(&mut self, recorded: &Recorded) -> Result<(), PortError> {
        let Some(order) = order_of(&recorded.event) else { return Ok(()) };
        let age = self.clock.now().signed_duration_since(recorded.recorded_at);
        let is_kept = age.to_std().unwrap_or_default() < FEED_KEPT;
        let before = self.order_before(order, recorded).await?;
        let Some(view) = fold(before, recorded) else { return Ok(()) };
        if is_kept
            && recorded.metadata.followed_by == 0
            && view.position == recorded.position
            && let Some(viewer) = &view.viewer
        {
            let channel = user_channel(&view.seller, viewer);
            let message = order_message(&view);
            self.bus.push(&channel, recorded.key, recorded.position, &message).await?;
        }
        self.orders.put(order, view);
        Ok(())
    }

    /// Tells what moderators did: the viewer first, then everybody, then the nodes, which act on it.
    async fn push_chat(&mut self, recorded: &Recorded) -> Result<(), PortError> {
        let Event::Broadcast(event) = &recorded.event else { return Ok(()) };
        if !event.is_about_chat() {
            return Ok(());
        }
        let mut mode = self.parts.get(&recorded.key).map(RoomPart::mode).unwrap_or_default();
        mode.apply(event);
        let age = self.clock.now().signed_duration_since(recorded.recorded_at);
        let age = age.to_std().unwrap_or_default();
        let (key, position) = (recorded.key, recorded.position);
        let Notices { chat, personal } = notices(event, mode);
        if let Some((viewer, message)) = personal.filter(|_| age < FEED_KEPT) {
            let channel = user_channel(&recorded.metadata.seller, &viewer);
            self.bus.push(&channel, key, position, &message).await?;
        }
        if let Some(message) = chat.filter(|_| age < CHAT_KEPT) {
            let channel = chat_channel(event.broadcast_id());
            self.bus.push(&channel, key, position, &message).await?;
        }
        let nodes = moderation_channel(event.broadcast_id());
        self.bus.push(&nodes, key, position, &json!({"position": position})).await
    }

    /// Tells those who wait where they stand, where an event has moved them.
    async fn push_places(&mut self, recorded: &Recorded) -> Result<(), PortError> {
        let age = self.clock.now().signed_duration_since(recorded.recorded_at);
        if age.to_std().unwrap_or_default() >= FEED_KEPT {
            return Ok(());
        }
        let Some(part) = self.parts.get(&recorded.key) else { return Ok(()) };
        for (row, place) in part.told(recorded) {
            let Some(viewer) = &row.viewer else { continue };
            let channel = user_channel(&row.seller, viewer);
            let message = wait_message(&row, place);
            self.bus.push(&channel, recorded.key, recorded.position, &message).await?;
        }
        Ok(())
    }

    /// The order before an event: as remembered, or folded from its streams.
    async fn order_before(
        &mut self,
        order: OrderId,
        recorded: &Recorded,
    ) -> Result<Option<OrderView>, PortError> {
        let known = self.orders.get(&order).filter(|view| view.position < recorded.position);
        match known {
            Some(view) => Ok(Some(view.clone())),
            None => order_before(self.reader.as_ref(), order, recorded).await,
        }
    }

    /// Publishes again what the bus has lost. A room that began again may hold a part under its
    /// latest version already, but only what changed since: so the whole is published under a key
    /// of its own for each life of the room.
    ///
    /// # Errors
    /// The bus cannot be reached.
    pub async fn check(&mut self) -> Result<(), PortError> {
        let now = self.clock.now();
        let mut epochs: BTreeMap<String, String> = BTreeMap::new();
        for (key, part) in self.parts.iter_mut().take(CHECKED_KEYS_MAX) {
            let (Some(room), Some(state)) = (part.room(), part.state()) else { continue };
            let channel = live_channel(room);
            if !epochs.contains_key(&channel) {
                epochs.insert(channel.clone(), epoch(&*self.bus, &channel).await?);
            }
            let Some(epoch) = epochs.get(&channel) else { continue };
            if part.shown_in.as_ref() == Some(epoch) {
                continue;
            }
            metrics::feed_restored();
            let again = derive_id("restored", &[key.0.as_bytes(), epoch.as_bytes()]);
            let patch = stamped(state, now);
            self.bus.patch(&channel, *key, part.applied(), &patch).await?;
            self.bus.patch(&channel, StreamKey(again), part.applied(), &patch).await?;
            part.shown_in = Some(epoch.clone());
        }
        Ok(())
    }
}

/// The life of a channel.
async fn epoch(bus: &dyn FeedBus, channel: &str) -> Result<String, PortError> {
    Ok(bus.history(channel, None).await?.top.epoch)
}

fn stamped(mut patch: Value, now: Timestamp) -> Value {
    if let Some(members) = patch.as_object_mut() {
        members.insert("server_time".to_owned(), json!(now));
    }
    patch
}
