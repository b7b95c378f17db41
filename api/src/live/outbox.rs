//! What waits for one connection, within bounds: replies and streams in order, and for each room
//! only where the connection stands in it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use domain::ids::{ViewerId, ViewerRef};
use parking_lot::Mutex;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::codec::{Codec, Frame};
use super::codes::{Close, UNSUBSCRIBED_INSUFFICIENT};
use super::feed::Feed;
use super::limits::{REPLY_BYTES_MAX, STREAM_BYTES_MAX};
use super::metrics;
use super::protocol::unsubscribed;
use super::room::Catch;
use super::schema::Reply;
use super::token::Claims;
use super::unsent::Unsent;
use super::wire;

/// A ping as it is written on a WebSocket.
const PING_JSON: &[u8] = b"\x81\x02{}";
/// A ping as it is written on a WebSocket in Protobuf: a message of no bytes, after its length.
const PING_PROTOBUF: &[u8] = b"\x82\x01\0";

/// What the connection watches, and what of it it has.
pub struct Watched {
    /// The state or the chat of a room.
    pub feed: Feed,
    /// The next patch or message to send.
    pub next: u64,
    /// Whether the server made the subscription.
    pub server_side: bool,
}

#[derive(Default)]
struct Waiting {
    queue: Vec<Bytes>,
    reply_bytes: usize,
    stream_bytes: usize,
    rooms: Vec<Watched>,
    /// What the socket has not taken yet.
    unsent: Unsent,
    personal_ended: bool,
    close: Option<Close>,
}

/// How far a connection's socket took what waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Everything.
    All,
    /// It takes no more for now.
    Blocked,
    /// Everything, and the connection is to be closed; or it is to be closed at once.
    Closing(Close),
    /// The other side is gone.
    Gone,
}

/// What waits for one connection.
pub struct Outbox {
    codec: Codec,
    viewer: OnceLock<(Arc<Claims>, ViewerRef)>,
    waiting: Mutex<Waiting>,
    changed: Notify,
    /// Where it is written to, unless something else carries it.
    socket: Option<OwnedWriteHalf>,
    shard: usize,
    reply_bytes_max: usize,
}

impl Outbox {
    /// Nothing waits yet; something takes it out with [`Outbox::next`].
    pub fn new(codec: Codec) -> Self {
        let (viewer, waiting, changed) = (OnceLock::new(), Mutex::default(), Notify::new());
        let (socket, shard, reply_bytes_max) = (None, 0, REPLY_BYTES_MAX);
        Self { codec, viewer, waiting, changed, socket, shard, reply_bytes_max }
    }

    /// Nothing waits yet; it is written to a WebSocket with [`Outbox::push_on`].
    #[must_use]
    pub fn on(self, socket: OwnedWriteHalf) -> Self {
        Self { socket: Some(socket), ..self }
    }

    /// Belongs to a shard.
    #[must_use]
    pub fn of_shard(self, shard: usize) -> Self {
        Self { shard, ..self }
    }

    /// Lets more replies wait.
    #[cfg(feature = "echo")]
    #[must_use]
    pub fn with_reply_bytes_max(self, reply_bytes_max: usize) -> Self {
        Self { reply_bytes_max, ..self }
    }

    /// The socket, where it is one.
    pub const fn socket(&self) -> Option<&OwnedWriteHalf> {
        self.socket.as_ref()
    }

    /// The place of its shard.
    pub const fn shard(&self) -> usize {
        self.shard
    }

    /// Who is at the other end, once it is known.
    pub fn subject(&self) -> Option<&ViewerId> {
        self.viewer.get().map(|(claims, _)| &claims.subject)
    }

    /// The pseudonym of who is at the other end, once it is known.
    pub fn viewer_ref(&self) -> Option<&ViewerRef> {
        self.viewer.get().map(|(_, viewer)| viewer)
    }

    /// Says who is at the other end.
    pub fn set_viewer(&self, claims: Arc<Claims>, viewer: ViewerRef) {
        let _ = self.viewer.set((claims, viewer));
    }

    /// How the connection speaks.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// A reply as it is written here.
    fn encode(&self, reply: &Reply) -> Bytes {
        let payload = self.codec.encode(reply);
        if self.socket.is_some() { wire::message(self.codec, &payload) } else { payload }
    }

    /// A shared frame as it is written here.
    fn shared(&self, frame: &Frame) -> Bytes {
        if self.socket.is_some() { frame.framed(self.codec) } else { frame.bytes(self.codec) }
    }

    /// Adds a reply; whoever asks for more than is read is closed.
    pub fn reply(&self, reply: &Reply) {
        self.add(self.encode(reply), false);
    }

    /// Adds a message of a stream: never dropped, never merged, and closed past the bound.
    pub fn stream(&self, reply: &Reply) {
        self.add(self.encode(reply), true);
    }

    /// Asks whether the other side is there: at once where nothing waits, without waking anybody.
    pub fn ping(&self) {
        let Some(socket) = &self.socket else { return self.reply(&Reply::default()) };
        let frame = match self.codec {
            Codec::Json => PING_JSON,
            Codec::Protobuf => PING_PROTOBUF,
        };
        let mut waiting = self.waiting.lock();
        let is_free =
            waiting.queue.is_empty() && waiting.unsent.is_empty() && waiting.close.is_none();
        if !is_free {
            drop(waiting);
            return self.add(Bytes::from_static(frame), false);
        }
        let written = waiting.unsent.write_all(&mut vec![Bytes::from_static(frame)], socket);
        let is_done = written.is_ok() && waiting.unsent.is_empty();
        drop(waiting);
        metrics::frames(1);
        if !is_done {
            self.changed.notify_one();
        }
    }

    /// Adds a frame as it is.
    pub fn frame(&self, frame: Bytes) {
        self.add(frame, false);
    }

    fn add(&self, frame: Bytes, is_stream: bool) {
        let mut waiting = self.waiting.lock();
        let bytes = frame.len();
        let (sum, max) = if is_stream {
            (&mut waiting.stream_bytes, STREAM_BYTES_MAX)
        } else {
            (&mut waiting.reply_bytes, self.reply_bytes_max)
        };
        *sum = sum.saturating_add(bytes);
        if *sum > max {
            waiting.close.get_or_insert(Close::Slow);
        } else {
            waiting.queue.push(frame);
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// Adds a reply, and rooms whose patches follow it.
    pub fn reply_and_watch(&self, reply: &Reply, rooms: impl IntoIterator<Item = Watched>) {
        let mut waiting = self.waiting.lock();
        let rooms = rooms.into_iter();
        // two, mostly, and no more ever
        waiting.rooms.reserve_exact(rooms.size_hint().0);
        waiting.rooms.extend(rooms);
        drop(waiting);
        self.reply(reply);
    }

    /// Whether a room is watched; it is not once its subscription was ended from here.
    pub fn watches(&self, channel: &str) -> bool {
        self.waiting.lock().rooms.iter().any(|watched| watched.feed.channel() == channel)
    }

    /// Ends the client's own subscription to its stream.
    pub fn end_personal(&self, reply: &Reply) {
        self.waiting.lock().personal_ended = true;
        self.stream(reply);
    }

    /// Whether the personal stream was ended from here since the last call.
    pub fn take_personal_ended(&self) -> bool {
        std::mem::take(&mut self.waiting.lock().personal_ended)
    }

    /// Stops watching a room.
    pub fn unwatch(&self, channel: &str) {
        self.waiting.lock().rooms.retain(|watched| watched.feed.channel() != channel);
    }

    /// Ends the connection, once what waits was written as far as it can be.
    pub fn close(&self, close: Close) {
        self.waiting.lock().close.get_or_insert(close);
        self.changed.notify_one();
    }

    /// Waits until something changed since the last time.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits until the connection is to be closed for what it did not read.
    pub async fn overflowed(&self) {
        while self.waiting.lock().close != Some(Close::Slow) {
            self.changed.notified().await;
        }
    }

    /// A room has something new: writes everything that waits, or says so to whatever carries the
    /// connection. `frames` is room to work in. Whether something was written.
    pub fn push_on(&self, frames: &mut Vec<Bytes>) -> bool {
        if self.socket.is_none() {
            self.changed.notify_one();
            return false;
        }
        let mut waiting = self.waiting.lock();
        let was_blocked = !waiting.unsent.is_empty();
        let (written, some) = self.write_out(&mut waiting, frames);
        drop(waiting);
        // the connection's own task waits for the socket, and ends what is to be ended
        let is_over = matches!(written, Written::Closing(_) | Written::Gone);
        if is_over || written == Written::Blocked && !was_blocked {
            self.changed.notify_one();
        }
        some
    }

    /// Writes everything that waits, as far as the socket takes it.
    pub fn write(&self) -> Written {
        let (written, some) = self.write_out(&mut self.waiting.lock(), &mut Vec::new());
        metrics::frames(u64::from(some));
        written
    }

    /// Writes only what the socket has not taken yet.
    pub fn write_unsent(&self) -> Written {
        let Some(socket) = &self.socket else { return Written::Gone };
        let mut waiting = self.waiting.lock();
        match waiting.unsent.write(socket) {
            Err(_) => Written::Gone,
            Ok(()) if waiting.unsent.is_empty() => Written::All,
            Ok(()) => Written::Blocked,
        }
    }

    /// Lets nothing wait any more but a frame that ends the connection.
    pub fn say_goodbye(&self, frame: Bytes) {
        let Some(socket) = &self.socket else { return };
        let mut waiting = self.waiting.lock();
        waiting.rooms.clear();
        waiting.queue.clear();
        // what fails here is found out by whoever writes next
        let _ = waiting.unsent.write_all(&mut vec![frame], socket);
    }

    fn write_out(&self, waiting: &mut Waiting, frames: &mut Vec<Bytes>) -> (Written, bool) {
        let Some(socket) = &self.socket else { return (Written::Gone, false) };
        if waiting.close == Some(Close::Slow) {
            return (Written::Closing(Close::Slow), false);
        }
        match waiting.unsent.write(socket) {
            Err(_) => return (Written::Gone, false),
            Ok(()) if !waiting.unsent.is_empty() => return (Written::Blocked, false),
            Ok(()) => {}
        }
        frames.clear();
        self.take(waiting, frames);
        if frames.is_empty() {
            return (waiting.close.map_or(Written::All, Written::Closing), false);
        }
        match waiting.unsent.write_all(frames, socket) {
            Err(_) => (Written::Gone, false),
            Ok(()) if !waiting.unsent.is_empty() => (Written::Blocked, true),
            Ok(()) => (waiting.close.map_or(Written::All, Written::Closing), true),
        }
    }

    /// Everything that is to be written now, as one message without a header.
    pub async fn next(&self) -> Result<Bytes, Close> {
        loop {
            let changed = self.changed.notified();
            if let Some(message) = self.message()? {
                metrics::frames(1);
                return Ok(message);
            }
            changed.await;
        }
    }

    fn message(&self) -> Result<Option<Bytes>, Close> {
        let mut waiting = self.waiting.lock();
        if waiting.close == Some(Close::Slow) {
            return Err(Close::Slow);
        }
        let mut frames = Vec::new();
        self.take(&mut waiting, &mut frames);
        match (frames.len(), waiting.close) {
            (0, Some(close)) => Err(close),
            (0, None) => Ok(None),
            (1, _) => Ok(frames.pop()),
            _ => Ok(Some(self.codec.join(&frames))),
        }
    }

    /// Takes out everything that waits; a frame of a room is shared with all its receivers.
    fn take(&self, waiting: &mut Waiting, frames: &mut Vec<Bytes>) {
        // what it has room for is not kept: most connections are told nothing of their own
        frames.append(&mut std::mem::take(&mut waiting.queue));
        (waiting.reply_bytes, waiting.stream_bytes) = (0, 0);
        waiting.rooms.retain_mut(|watched| match watched.feed.catch_up(watched.next, self) {
            Catch::Nothing => true,
            Catch::Passed { next } => {
                watched.next = next;
                true
            }
            Catch::One { frame, next } => {
                frames.push(self.shared(&frame));
                watched.next = next;
                true
            }
            Catch::Again { snapshot, next } if watched.server_side => {
                frames.push(self.shared(&snapshot));
                watched.next = next;
                true
            }
            Catch::Again { .. } => {
                let channel = watched.feed.channel();
                frames.push(self.encode(&unsubscribed(channel, UNSUBSCRIBED_INSUFFICIENT)));
                false
            }
        });
    }
}

#[cfg(test)]
mod tests;
