//! One broadcast's state on this node: held once, encoded once per frame, read by every watcher at
//! its own pace.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use axum::extract::ws::Utf8Bytes;
use domain::Timestamp;
use domain::ids::{BroadcastId, SellerId};
use domain::ports::{FeedMessage, FeedPosition, Snapshot};
use parking_lot::Mutex;
use projections::viewer_feed::shape::live_channel;
use projections::viewer_feed::{add_patch, merge_patch};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::limits::ROOM_PATCHES_MAX;
use super::metrics;
use super::outbox::Outbox;
use super::protocol::{Publication, Subscribed, publication, subscribed};

/// The member of the state that a snapshot gets anew.
const SERVER_TIME: &str = "server_time";

/// What a watcher is to be sent.
pub enum Catch {
    /// It has everything.
    Nothing,
    /// A patch, or the sum of several.
    Patch {
        /// The frame.
        frame: Utf8Bytes,
        /// The patch that follows.
        next: u64,
    },
    /// It is too far behind, or the state began again.
    Again {
        /// The whole state, as a subscription that begins.
        snapshot: Utf8Bytes,
        /// The patch that follows.
        next: u64,
    },
}

struct Patch {
    offset: u64,
    data: Arc<Value>,
    frame: Utf8Bytes,
}

#[derive(Default)]
struct State {
    position: FeedPosition,
    document: Value,
    body: Option<Arc<str>>,
    pending: Option<(u64, Value)>,
    patches: VecDeque<Patch>,
    first: u64,
    watchers: Vec<Weak<Outbox>>,
    turn: usize,
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
    state: Mutex<State>,
    loaded: watch::Sender<bool>,
}

impl Room {
    /// A room that waits for its state.
    pub fn new(broadcast: BroadcastId, seller: SellerId) -> Self {
        Self {
            channel: live_channel(broadcast),
            broadcast,
            seller,
            state: Mutex::default(),
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
        wake(&mut state);
        drop(state);
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

    /// Sends what was taken in as one frame, and wakes the watchers.
    pub fn flush(&self) {
        let mut state = self.state.lock();
        if self.publish(&mut state) {
            wake(&mut state);
        }
    }

    fn publish(&self, state: &mut State) -> bool {
        let Some((offset, patch)) = state.pending.take() else { return false };
        merge_patch(&mut state.document, &patch);
        state.body = None;
        state.position.offset = offset;
        let data = Arc::new(patch);
        let frame = publication(&self.channel, &Publication { offset, data: data.clone() });
        state.patches.push_back(Patch { offset, data, frame });
        if state.patches.len() > ROOM_PATCHES_MAX {
            state.patches.pop_front();
            state.first = state.first.saturating_add(1);
        }
        true
    }

    /// Registers a watcher and tells it where the room stands; `None` where the room was closed.
    pub fn join(
        &self,
        outbox: &Arc<Outbox>,
        after: Option<&FeedPosition>,
        now: Timestamp,
    ) -> Option<(Subscribed, u64)> {
        let mut state = self.state.lock();
        if state.is_closed {
            return None;
        }
        state.watchers.push(Arc::downgrade(outbox));
        let begin = begin(&mut state, after, now);
        Some((begin, state.end()))
    }

    /// Removes a watcher.
    pub fn leave(&self, outbox: &Arc<Outbox>) {
        let leaving = Arc::as_ptr(outbox);
        self.state.lock().watchers.retain(|watcher| watcher.as_ptr() != leaving);
    }

    /// Closes the room if nobody watches it.
    pub fn close_if_empty(&self) -> bool {
        let mut state = self.state.lock();
        state.watchers.retain(|watcher| watcher.strong_count() > 0);
        state.is_closed = state.watchers.is_empty();
        state.is_closed
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
            return Catch::Patch { frame, next: end };
        }
        let now = state.document.get(SERVER_TIME).cloned().unwrap_or_default();
        let now = serde_json::from_value(now).unwrap_or_default();
        let snapshot = subscribed(&self.channel, &begin(&mut state, None, now));
        Catch::Again { snapshot, next: end }
    }

    /// The patches after the first `skipped` as one frame: the shared one where it is only one.
    fn sum(&self, state: &State, skipped: usize) -> Option<Utf8Bytes> {
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
        Some(publication(&self.channel, &Publication { offset, data: Arc::new(sum) }))
    }
}

/// Wakes the watchers, each time beginning at another one, so that nobody is always the last to
/// know.
fn wake(state: &mut State) {
    let count = state.watchers.len();
    if count == 0 {
        return;
    }
    state.turn = state.turn.wrapping_add(count / 3 + 1) % count;
    let (later, sooner) = state.watchers.split_at(state.turn);
    let mut gone = false;
    for watcher in sooner.iter().chain(later) {
        match watcher.upgrade() {
            Some(outbox) => outbox.room_changed(),
            None => gone = true,
        }
    }
    if gone {
        state.watchers.retain(|watcher| watcher.strong_count() > 0);
    }
}

/// A subscription as it begins now.
fn begin(state: &mut State, after: Option<&FeedPosition>, now: Timestamp) -> Subscribed {
    Subscribed {
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
fn snapshot(state: &mut State, now: Timestamp) -> Option<Box<RawValue>> {
    let State { body, document, .. } = state;
    let body = body.get_or_insert_with(|| {
        let mut members = document.as_object().cloned().unwrap_or_else(Map::new);
        members.remove(SERVER_TIME);
        Value::Object(members).to_string().into()
    });
    let open = body.strip_suffix('}')?;
    let comma = if open.len() > 1 { "," } else { "" };
    RawValue::from_string(format!("{open}{comma}\"{SERVER_TIME}\":{}}}", json!(now))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn room() -> Room {
        let room = Room::new(BroadcastId(Uuid::nil()), SellerId::try_new("acme").unwrap());
        room.load(Snapshot { position: at(0), data: json!({"a": 0}) });
        room
    }

    fn at(offset: u64) -> FeedPosition {
        FeedPosition { epoch: "e".to_owned(), offset }
    }

    fn patch(room: &Room, offset: u64, data: Value) {
        room.take(&FeedMessage { position: at(offset), data: Arc::new(data) });
    }

    fn data(frame: &Utf8Bytes) -> (u64, Value) {
        let frame: Value = serde_json::from_str(frame.as_str()).unwrap();
        let publication = &frame["push"]["pub"];
        (publication["offset"].as_u64().unwrap(), publication["data"].clone())
    }

    fn caught(room: &Room, next: u64) -> (Utf8Bytes, u64) {
        let Catch::Patch { frame, next } = room.catch_up(next) else { panic!("no patch") };
        (frame, next)
    }

    #[test]
    fn watchers_share_a_frame_and_catch_up_with_a_sum() {
        let room = room();
        let outbox = Arc::new(Outbox::default());
        let (begun, next) = room.join(&outbox, None, Timestamp::default()).unwrap();
        assert_eq!((begun.offset, begun.recovered), (0, false));
        assert!(matches!(room.catch_up(next), Catch::Nothing));
        patch(&room, 1, json!({"a": 1}));
        assert!(matches!(room.catch_up(next), Catch::Nothing), "only a flush sends");
        patch(&room, 2, json!({"b": 2}));
        room.flush();
        let ((one, after), (other, _)) = (caught(&room, next), caught(&room, next));
        assert_eq!(one.as_str().as_ptr(), other.as_str().as_ptr(), "encoded once");
        assert_eq!(data(&one), (2, json!({"a": 1, "b": 2})));
        patch(&room, 3, json!({"a": null}));
        room.flush();
        assert_eq!(data(&caught(&room, after).0), (3, json!({"a": null})));
        assert_eq!(data(&caught(&room, next).0), (3, json!({"a": null, "b": 2})));
    }

    #[test]
    fn too_far_behind_is_a_snapshot() {
        let room = room();
        let outbox = Arc::new(Outbox::default());
        let (_, next) = room.join(&outbox, None, Timestamp::default()).unwrap();
        let max = u64::try_from(ROOM_PATCHES_MAX).unwrap();
        for offset in 1..=max {
            patch(&room, offset, json!({"a": offset}));
            room.flush();
        }
        assert_eq!(data(&caught(&room, next).0), (max, json!({"a": max})));
        patch(&room, max + 1, json!({"a": 0}));
        room.flush();
        let Catch::Again { snapshot, .. } = room.catch_up(next) else { panic!("no snapshot") };
        let frame: Value = serde_json::from_str(snapshot.as_str()).unwrap();
        assert_eq!(frame["push"]["subscribe"]["data"]["a"], 0);
        assert_eq!(frame["push"]["subscribe"]["offset"], max + 1);
    }

    #[test]
    fn a_room_that_begins_again_tells_its_watchers() {
        let room = room();
        let outbox = Arc::new(Outbox::default());
        let (_, next) = room.join(&outbox, None, Timestamp::default()).unwrap();
        room.load(Snapshot { position: at(0), data: json!({"a": 0}) });
        assert!(matches!(room.catch_up(next), Catch::Nothing), "nothing was missed");
        let position = FeedPosition { epoch: "f".to_owned(), offset: 0 };
        room.load(Snapshot { position, data: json!({"a": 5}) });
        patch(&room, 1, json!({"a": 6}));
        assert!(matches!(room.catch_up(next), Catch::Again { .. }));
    }

    #[test]
    fn a_snapshot_has_the_time_and_recovers_where_nothing_changed() {
        let room = room();
        let outbox = Arc::new(Outbox::default());
        let (begun, _) = room.join(&outbox, Some(&at(0)), Timestamp::UNIX_EPOCH).unwrap();
        assert!(begun.was_recovering && begun.recovered);
        let state: Value = serde_json::from_str(begun.data.unwrap().get()).unwrap();
        assert_eq!(state, json!({"a": 0, "server_time": "1970-01-01T00:00:00Z"}));
        let (begun, _) = room.join(&outbox, Some(&at(1)), Timestamp::UNIX_EPOCH).unwrap();
        assert!(begun.was_recovering && !begun.recovered);
    }

    #[test]
    fn a_room_closes_only_when_nobody_watches() {
        let room = room();
        let outbox = Arc::new(Outbox::default());
        room.join(&outbox, None, Timestamp::default()).unwrap();
        assert!(!room.close_if_empty());
        room.leave(&outbox);
        assert!(room.close_if_empty());
        assert!(room.join(&outbox, None, Timestamp::default()).is_none());
    }
}
