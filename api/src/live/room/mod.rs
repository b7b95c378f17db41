//! One broadcast's state on this node: held once, encoded once per frame, read by every watcher at
//! its own pace.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::Timestamp;
use domain::ids::{BroadcastId, SellerId};
use domain::ports::{Audience, FeedMessage, FeedPosition, Snapshot};
use parking_lot::Mutex;
use projections::viewer_feed::shape::live_channel;
use projections::viewer_feed::{VIEWER_COUNT, add_patch, merge_patch};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::chat::Chat;
use super::codec::Frame;
use super::crowd::Crowd;
use super::likes::{LIKE_COUNT, Likes};
use super::limits::ROOM_PATCHES_MAX;
use super::metrics;
use super::outbox::Outbox;
use super::protocol::{self, publication, subscribed};
use super::rules::Rules;
use super::schema::{Publication, SubscribeResult};
use super::shard::Shards;
use super::totals::Totals;
use super::watchers::Watchers;

/// The member of the state that a snapshot gets anew.
const SERVER_TIME: &str = "server_time";
/// The member of the state that has the offers.
const SPOTLIGHTS: &str = "spotlights";

/// What a watcher is to be sent.
pub enum Catch {
    /// It has everything.
    Nothing,
    /// What came is not for it.
    Passed {
        /// The message that follows.
        next: u64,
    },
    /// A patch or the sum of several, or messages in order.
    One {
        /// The frame.
        frame: Arc<Frame>,
        /// The patch or message that follows.
        next: u64,
    },
    /// It is too far behind, or the state began again.
    Again {
        /// The whole state, as a subscription that begins.
        snapshot: Arc<Frame>,
        /// The patch that follows.
        next: u64,
    },
}

struct Patch {
    offset: u64,
    data: Arc<Value>,
    frame: Arc<Frame>,
}

#[derive(Default)]
struct State {
    position: FeedPosition,
    document: Value,
    body: Option<Arc<str>>,
    pending: Option<(u64, Value)>,
    patches: VecDeque<Patch>,
    first: u64,
    audience: Audience,
    is_closed: bool,
}

impl State {
    fn end(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.patches.len()).unwrap_or(u64::MAX))
    }
}

/// One broadcast's state on this node.
pub struct Room {
    channel: String,
    /// Which broadcast.
    pub broadcast: BroadcastId,
    /// Whose it is.
    pub seller: SellerId,
    /// Its chat.
    pub chat: Chat,
    /// The rules of its chat.
    pub rules: Rules,
    /// The likes that were not told yet.
    pub likes: Likes,
    /// Who watches here, and who did.
    pub crowd: Crowd,
    /// What it came to.
    pub totals: Totals,
    state: Mutex<State>,
    watchers: Watchers,
    loaded: watch::Sender<bool>,
}

impl Room {
    /// A room that waits for its state.
    pub fn new(broadcast: BroadcastId, seller: SellerId, shards: &Shards) -> Self {
        Self {
            channel: live_channel(broadcast),
            broadcast,
            seller,
            chat: Chat::new(broadcast, shards),
            rules: Rules::default(),
            likes: Likes::default(),
            crowd: Crowd::default(),
            totals: Totals::default(),
            state: Mutex::default(),
            watchers: Watchers::new(shards),
            loaded: watch::Sender::new(false),
        }
    }

    /// The channel's name.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Waits until the state is there.
    pub async fn ready(&self) {
        let _ = self.loaded.subscribe().wait_for(|loaded| *loaded).await;
    }

    /// Begins, or begins again: watchers get the whole state unless nothing was missed.
    pub fn load(&self, snapshot: Snapshot) {
        let mut state = self.state.lock();
        let pending = state.pending.take();
        let known = pending.map_or(state.position.offset, |(offset, _)| offset);
        let is_same = state.position.epoch == snapshot.position.epoch
            && known == snapshot.position.offset
            && known == state.position.offset;
        if !is_same {
            state.first = state.end().saturating_add(1);
            state.patches.clear();
        }
        state.position = snapshot.position;
        state.document = snapshot.data;
        state.body = None;
        drop(state);
        self.watchers.sweep();
        self.loaded.send_replace(true);
    }

    /// Takes a patch in; it goes out with the next [`Room::flush`].
    pub fn take(&self, message: &FeedMessage) {
        let mut state = self.state.lock();
        let offset = message.position.offset;
        let newest = state.pending.as_ref().map_or(state.position.offset, |(newest, _)| *newest);
        if message.position.epoch != state.position.epoch || offset <= newest {
            return;
        }
        let summed = match &mut state.pending {
            None => false,
            Some((newest, sum)) => {
                let fits = add_patch(sum, &message.data);
                if fits {
                    *newest = offset;
                    metrics::conflated(1);
                }
                fits
            }
        };
        if !summed {
            self.publish(&mut state);
            state.pending = Some((offset, (*message.data).clone()));
        }
    }

    /// Sends what was taken in as one frame, with what the chat took in.
    pub fn flush(&self) {
        let published = self.publish(&mut self.state.lock());
        let said = self.chat.flush();
        if published {
            self.watchers.sweep();
        }
        if said {
            self.chat.sweep();
        }
    }

    /// How long it took to write the last change to everybody.
    pub fn last_sweep(&self) -> Duration {
        self.watchers.last_sweep().max(self.chat.last_sweep())
    }

    fn publish(&self, state: &mut State) -> bool {
        let Some((offset, patch)) = state.pending.take() else { return false };
        merge_patch(&mut state.document, &patch);
        state.body = None;
        state.position.offset = offset;
        let data = Arc::new(patch);
        let frame = self.frame(offset, &data);
        state.patches.push_back(Patch { offset, data, frame });
        if state.patches.len() > ROOM_PATCHES_MAX {
            state.patches.pop_front();
            state.first = state.first.saturating_add(1);
        }
        true
    }

    fn frame(&self, offset: u64, data: &Value) -> Arc<Frame> {
        let message = Publication { offset, data: protocol::json(data) };
        Frame::new(publication(&self.channel, message))
    }

    /// Registers a watcher and tells it where the room stands; `None` where the room was closed.
    pub fn join(
        &self,
        outbox: &Arc<Outbox>,
        after: Option<&FeedPosition>,
        now: Timestamp,
    ) -> Option<(SubscribeResult, u64)> {
        let mut state = self.state.lock();
        if state.is_closed {
            return None;
        }
        self.watchers.join(outbox);
        self.crowd.join(outbox.viewer_ref());
        let begin = begin(&mut state, after, now);
        Some((begin, state.end()))
    }

    /// Everybody who watches the state or the chat here.
    pub fn watchers(&self) -> Vec<Arc<Outbox>> {
        let mut watchers = self.watchers.all();
        watchers.extend(self.chat.watchers());
        watchers
    }

    /// Who watches at all nodes, as was said last.
    pub fn audience(&self) -> Audience {
        self.state.lock().audience
    }

    /// Takes in who watches at all nodes.
    pub fn set_audience(&self, audience: Audience) {
        self.state.lock().audience = audience;
    }

    /// Removes a watcher.
    pub fn leave(&self, outbox: &Arc<Outbox>) {
        self.watchers.leave(outbox);
        self.crowd.leave(outbox.viewer_ref());
    }

    /// Closes the room if nobody watches it.
    pub fn close_if_empty(&self) -> bool {
        let mut state = self.state.lock();
        if self.watchers.is_empty() {
            state.is_closed = self.chat.close_if_empty();
        }
        state.is_closed
    }

    /// How far it is, with what waits to be flushed.
    pub fn position(&self) -> FeedPosition {
        let state = self.state.lock();
        let newest = state.pending.as_ref().map_or(state.position.offset, |(newest, _)| *newest);
        FeedPosition { epoch: state.position.epoch.clone(), offset: newest }
    }

    /// A count of the state; 0 where it was never told.
    pub fn count(&self, member: &str) -> u64 {
        self.state.lock().document.get(member).and_then(Value::as_u64).unwrap_or(0)
    }

    /// Whether the show is over.
    pub fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.document.pointer("/broadcast/status").is_some_and(|status| status == "ended")
    }

    /// What a watcher lacks that has everything before `next`.
    pub fn catch_up(&self, next: u64) -> Catch {
        let mut state = self.state.lock();
        let end = state.end();
        if next >= end {
            return Catch::Nothing;
        }
        let skipped = next.checked_sub(state.first).and_then(|skip| usize::try_from(skip).ok());
        let sum = skipped.and_then(|skipped| self.sum(&state, skipped));
        if let Some(frame) = sum {
            return Catch::One { frame, next: end };
        }
        let now = state.document.get(SERVER_TIME).cloned().unwrap_or_default();
        let now = serde_json::from_value(now).unwrap_or_default();
        let snapshot = subscribed(&self.channel, begin(&mut state, None, now));
        Catch::Again { snapshot: Frame::new(snapshot), next: end }
    }

    /// The patches after the first `skipped` as one frame: the shared one where it is only one.
    fn sum(&self, state: &State, skipped: usize) -> Option<Arc<Frame>> {
        let mut patches = state.patches.iter().skip(skipped);
        let first = patches.next()?;
        if patches.len() == 0 {
            return Some(first.frame.clone());
        }
        metrics::conflated(patches.len());
        let mut sum = (*first.data).clone();
        let mut offset = first.offset;
        for patch in patches {
            if !add_patch(&mut sum, &patch.data) {
                return None;
            }
            offset = patch.offset;
        }
        Some(self.frame(offset, &sum))
    }
}

/// A subscription as it begins now.
fn begin(state: &mut State, after: Option<&FeedPosition>, now: Timestamp) -> SubscribeResult {
    SubscribeResult {
        recoverable: true,
        positioned: true,
        epoch: state.position.epoch.clone(),
        offset: state.position.offset,
        was_recovering: after.is_some(),
        recovered: after == Some(&state.position),
        publications: Vec::new(),
        data: snapshot(state, now),
    }
}

/// The state with the time of the snapshot, from a body that is encoded once per change.
fn snapshot(state: &mut State, now: Timestamp) -> Bytes {
    let State { body, document, .. } = state;
    let body = body.get_or_insert_with(|| {
        let mut members = document.as_object().cloned().unwrap_or_else(Map::new);
        members.remove(SERVER_TIME);
        members.entry(SPOTLIGHTS).or_insert_with(|| json!({}));
        for count in [VIEWER_COUNT, LIKE_COUNT] {
            members.entry(count).or_insert_with(|| json!(0));
        }
        Value::Object(members).to_string().into()
    });
    let open = body.strip_suffix('}').unwrap_or_default();
    let comma = if open.len() > 1 { "," } else { "" };
    format!("{open}{comma}\"{SERVER_TIME}\":{}}}", json!(now)).into()
}

#[cfg(test)]
mod tests;
