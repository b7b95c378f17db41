//! One broadcast's chat on this node: held and encoded once, read by every watcher at its own pace.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use domain::Timestamp;
use domain::ids::{BroadcastId, ViewerId};
use domain::ports::{FeedMessage, FeedPosition, History, PortError};
use parking_lot::Mutex;
use projections::viewer_feed::shape::chat_channel;
use projections::viewer_feed::{CHAT_KEPT, CHAT_MESSAGES_MAX};
use serde_json::{Value, json};

use super::codec::Frame;
use super::limits::{
    CHAT_BACKLOG_BYTES_MAX, CHAT_BACKLOG_MESSAGES_MAX, CHAT_SHOWN_PER_SECOND, CHAT_WELCOME_MESSAGES,
};
use super::metrics;
use super::outbox::Outbox;
use super::protocol::{self, publication, subscribed};
use super::room::Catch;
use super::schema::{Publication, SubscribeResult};
use super::shard::Shards;
use super::watchers::Watchers;

/// Frames that say how many messages were left out, kept for the next watcher.
const SKIP_FRAMES_MAX: usize = 64;

/// One message as the node holds it.
struct Entry {
    offset: u64,
    at: Timestamp,
    id: Option<String>,
    author: Option<ViewerId>,
    /// Only its author sees it.
    is_shadow: bool,
    /// Whether it is among what a person can read.
    is_shown: bool,
    is_removed: bool,
    data: Arc<Value>,
    frame: Arc<Frame>,
}

impl Entry {
    fn is_for(&self, viewer: Option<&ViewerId>) -> bool {
        let is_own = self.author.is_some() && self.author.as_ref() == viewer;
        !self.is_removed && (is_own || !self.is_shadow)
    }

    fn message(&self, epoch: &str) -> FeedMessage {
        let position = FeedPosition { epoch: epoch.to_owned(), offset: self.offset };
        FeedMessage { position, data: self.data.clone() }
    }
}

#[derive(Default)]
struct State {
    position: FeedPosition,
    entries: VecDeque<Entry>,
    /// The number of the first entry on this node; a new life of the channel leaves a hole.
    first: u64,
    life: u64,
    /// What came since the last flush.
    is_new: bool,
    /// What most watchers lack, kept for the next one.
    run: Option<Run>,
    second: i64,
    shown: u32,
    skips: HashMap<u64, Arc<Frame>>,
    is_closed: bool,
}

/// Messages that are the same for everybody.
struct Run {
    from: u64,
    end: u64,
    frame: Arc<Frame>,
}

impl State {
    fn end(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.entries.len()).unwrap_or(u64::MAX))
    }

    /// Whether one more message can be read this second.
    fn shows_one_more(&mut self, now: Timestamp) -> bool {
        if self.second != now.timestamp() {
            (self.second, self.shown) = (now.timestamp(), 0);
        }
        self.shown = self.shown.saturating_add(1);
        self.shown <= CHAT_SHOWN_PER_SECOND
    }

    fn forget_old(&mut self, now: Timestamp) {
        let kept = TimeDelta::from_std(CHAT_KEPT).unwrap_or(TimeDelta::MAX);
        let is_old = |entry: &Entry| now.signed_duration_since(entry.at) >= kept;
        while self.entries.len() > CHAT_MESSAGES_MAX || self.entries.front().is_some_and(is_old) {
            self.entries.pop_front();
            self.first = self.first.saturating_add(1);
        }
    }
}

/// One broadcast's chat on this node.
pub struct Chat {
    channel: String,
    state: Mutex<State>,
    watchers: Watchers,
}

impl Chat {
    /// A chat that waits for its messages.
    pub fn new(broadcast: BroadcastId, shards: &Shards) -> Self {
        let (state, watchers) = (Mutex::default(), Watchers::new(shards));
        Self { channel: chat_channel(broadcast), state, watchers }
    }

    /// The channel's name.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Begins, or goes on after its subscription was lost: watchers are told where messages are
    /// gone for good.
    pub fn load(&self, history: History, now: Timestamp) {
        let mut state = self.state.lock();
        let messages = history.messages.unwrap_or_default();
        let known = &state.position;
        let follows = |first: &FeedMessage| first.position.offset <= known.offset.saturating_add(1);
        let goes_on = known.epoch == history.top.epoch
            && (known.offset == history.top.offset || messages.first().is_some_and(follows));
        if !goes_on {
            state.first = state.end().saturating_add(1);
            state.life = state.first;
            state.entries.clear();
        }
        let last = if goes_on { state.position.offset } else { 0 };
        for message in messages.iter().filter(|message| message.position.offset > last) {
            self.add(&mut state, message, now);
        }
        state.position = history.top;
        drop(state);
        self.watchers.sweep();
    }

    /// Takes a message in; it goes out with the next [`Chat::flush`].
    ///
    /// # Errors
    /// It is not the next one.
    pub fn take(&self, message: &FeedMessage, now: Timestamp) -> Result<(), PortError> {
        let mut state = self.state.lock();
        let FeedPosition { epoch, offset } = &message.position;
        if *epoch != state.position.epoch || *offset > state.position.offset.saturating_add(1) {
            return Err(PortError::unavailable("the feed", "a chat message is missing"));
        }
        if *offset > state.position.offset {
            self.add(&mut state, message, now);
            state.is_new = true;
            state.position.offset = *offset;
        }
        Ok(())
    }

    fn add(&self, state: &mut State, message: &FeedMessage, now: Timestamp) {
        let (data, is_shadow) = match message.data.get("shadow") {
            Some(hidden) => (Arc::new(hidden.clone()), true),
            None => (message.data.clone(), false),
        };
        let text = |pointer| data.pointer(pointer).and_then(Value::as_str);
        let kind = text("/type").unwrap_or_default();
        let id = text("/id").map(str::to_owned);
        if kind == "removed" {
            for entry in state.entries.iter_mut().filter(|entry| entry.id == id) {
                entry.is_removed = true;
            }
            state.run = None;
        }
        let author = text("/viewer/id").and_then(|id| ViewerId::try_new(id).ok());
        let is_plain = kind == "chat" && text("/viewer/role") == Some("viewer");
        let is_shown = !is_plain || is_shadow || state.shows_one_more(now);
        let at = text("/sent_at").and_then(|at| at.parse().ok()).unwrap_or(now);
        let offset = message.position.offset;
        let said = Publication { offset, data: protocol::json(&data) };
        let entry = Entry {
            offset,
            at,
            id: (kind == "chat").then_some(id).flatten(),
            author: (kind == "chat").then_some(author).flatten(),
            is_shadow,
            is_shown,
            is_removed: false,
            frame: Frame::new(publication(&self.channel, said)),
            data,
        };
        state.entries.push_back(entry);
        state.forget_old(now);
    }

    /// Whether something was taken in since the last time.
    pub fn flush(&self) -> bool {
        std::mem::take(&mut self.state.lock().is_new)
    }

    /// Writes what is new to the watchers.
    pub fn sweep(&self) {
        self.watchers.sweep();
    }

    /// How long the last sweep took.
    pub fn last_sweep(&self) -> Duration {
        self.watchers.last_sweep()
    }

    /// Registers a watcher and tells it where the chat stands; `None` where the room was closed.
    /// `about` is what it is given beside the messages.
    pub fn join(
        &self,
        outbox: &Arc<Outbox>,
        after: Option<&FeedPosition>,
        about: Value,
        now: Timestamp,
    ) -> Option<(SubscribeResult, u64)> {
        let mut state = self.state.lock();
        if state.is_closed {
            return None;
        }
        self.watchers.join(outbox);
        state.forget_old(now);
        Some((begin(&state, after, outbox.subject(), about), state.end()))
    }

    /// Removes a watcher.
    pub fn leave(&self, outbox: &Arc<Outbox>) {
        self.watchers.leave(outbox);
    }

    /// Who watches.
    pub fn watchers(&self) -> Vec<Arc<Outbox>> {
        self.watchers.all()
    }

    /// Closes the chat if nobody watches it.
    pub fn close_if_empty(&self) -> bool {
        let mut state = self.state.lock();
        state.is_closed = self.watchers.is_empty();
        state.is_closed
    }

    /// What the chat keeps, as far as the viewer may see it.
    pub fn history(&self, viewer: Option<&ViewerId>, now: Timestamp) -> History {
        let mut state = self.state.lock();
        state.forget_old(now);
        let epoch = &state.position.epoch;
        let visible = state.entries.iter().filter(|entry| entry.is_for(viewer));
        let messages = visible.map(|entry| entry.message(epoch)).collect();
        History { top: state.position.clone(), messages: Some(messages) }
    }

    /// How far it is.
    pub fn position(&self) -> FeedPosition {
        self.state.lock().position.clone()
    }

    /// The place before the first message that is kept.
    pub fn begins_after(&self) -> u64 {
        let state = self.state.lock();
        state.position.offset.saturating_sub(u64::try_from(state.entries.len()).unwrap_or(u64::MAX))
    }

    /// What a watcher lacks that has everything before `next`: the newest as far as they fit, its
    /// own in any case, and how many were left out.
    pub fn catch_up(&self, next: u64, viewer: Option<&ViewerId>) -> Catch {
        let mut state = self.state.lock();
        let end = state.end();
        if next >= end {
            return Catch::Nothing;
        }
        if next < state.life {
            let again = subscribed(&self.channel, begin(&state, None, viewer, json!({})));
            return Catch::Again { snapshot: Frame::new(again), next: end };
        }
        if let Some(run) = state.run.as_ref().filter(|run| (run.from, run.end) == (next, end)) {
            return Catch::One { frame: run.frame.clone(), next: end };
        }
        let (frames, is_for_all) = self.lacking(&mut state, next, viewer);
        if frames.is_empty() {
            return Catch::Passed { next: end };
        }
        let frame = Frame::several(frames);
        if is_for_all {
            state.run = Some(Run { from: next, end, frame: frame.clone() });
        }
        Catch::One { frame, next: end }
    }

    /// The messages from `next` on that a viewer is to see, and whether anybody sees the same.
    fn lacking(
        &self,
        state: &mut State,
        next: u64,
        viewer: Option<&ViewerId>,
    ) -> (Vec<Arc<Frame>>, bool) {
        let mut skipped = state.first.saturating_sub(next);
        let have = usize::try_from(next.saturating_sub(state.first)).unwrap_or(usize::MAX);
        let (mut frames, mut bytes, mut is_for_all) = (Vec::new(), 0_usize, true);
        for entry in state.entries.iter().skip(have).rev() {
            is_for_all &= !entry.is_shadow;
            if !entry.is_for(viewer) {
                continue;
            }
            let size = bytes.saturating_add(entry.frame.data().map_or(0, Bytes::len));
            let is_own = entry.author.is_some() && entry.author.as_ref() == viewer;
            let fits = frames.len() < CHAT_BACKLOG_MESSAGES_MAX && size <= CHAT_BACKLOG_BYTES_MAX;
            let is_for_anybody = entry.is_shown && fits;
            is_for_all &= is_for_anybody;
            if is_own || is_for_anybody {
                bytes = size;
                frames.push(entry.frame.clone());
            } else {
                skipped = skipped.saturating_add(1);
            }
        }
        if skipped > 0 {
            metrics::chat_skipped(skipped);
            frames.push(self.skip_frame(state, skipped));
        }
        frames.reverse();
        (frames, is_for_all && skipped == 0)
    }

    fn skip_frame(&self, state: &mut State, count: u64) -> Arc<Frame> {
        if state.skips.len() >= SKIP_FRAMES_MAX {
            state.skips.clear();
        }
        let frame = state.skips.entry(count).or_insert_with(|| {
            let data = protocol::json(&json!({"type": "skipped", "count": count}));
            Frame::new(publication(&self.channel, Publication { offset: 0, data }))
        });
        frame.clone()
    }
}

/// Who said something, and when, if a viewer did.
pub fn said(message: &FeedMessage) -> Option<(ViewerId, Timestamp)> {
    let said = message.data.get("shadow").unwrap_or(&message.data);
    let text = |pointer| said.pointer(pointer).and_then(Value::as_str);
    let viewer = text("/viewer/id").filter(|_| text("/type") == Some("chat"))?;
    Some((ViewerId::try_new(viewer).ok()?, text("/sent_at")?.parse().ok()?))
}

/// A subscription as it begins now: all that was missed, or the last messages.
fn begin(
    state: &State,
    after: Option<&FeedPosition>,
    viewer: Option<&ViewerId>,
    about: Value,
) -> SubscribeResult {
    let FeedPosition { epoch, offset } = &state.position;
    let kept = u64::try_from(state.entries.len()).unwrap_or(u64::MAX);
    let recovered = after.is_some_and(|after| {
        let missed = offset.checked_sub(after.offset);
        after.epoch == *epoch && missed.is_some_and(|missed| missed <= kept)
    });
    let visible = state.entries.iter().filter(|entry| entry.is_for(viewer));
    let mut publications = Vec::new();
    let mut data = Bytes::new();
    if let Some(after) = after.filter(|_| recovered) {
        let missed = visible.filter(|entry| entry.offset > after.offset);
        publications = missed.map(|entry| Publication::from(&entry.message(epoch))).collect();
    } else {
        let said = |entry: &&Entry| entry.id.is_some();
        let last = visible.rev().filter(said).take(CHAT_WELCOME_MESSAGES);
        let mut messages: Vec<&Value> = last.map(|entry| &*entry.data).collect();
        messages.reverse();
        let mut all = json!({"messages": messages});
        if let (Some(all), Value::Object(about)) = (all.as_object_mut(), about) {
            all.extend(about);
        }
        data = protocol::json(&all);
    }
    SubscribeResult {
        recoverable: true,
        positioned: true,
        epoch: epoch.clone(),
        offset: *offset,
        was_recovering: after.is_some(),
        recovered,
        publications,
        data,
    }
}

#[cfg(test)]
mod tests;
