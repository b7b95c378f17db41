//! What waits for one connection, within bounds: replies and streams in order, and for each room
//! only where the connection stands in it.

use std::sync::OnceLock;

use bytes::Bytes;
use domain::ids::{ViewerId, ViewerRef};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::codec::Codec;
use super::codes::{Close, UNSUBSCRIBED_INSUFFICIENT};
use super::feed::Feed;
use super::limits::{REPLY_BYTES_MAX, STREAM_BYTES_MAX};
use super::protocol::unsubscribed;
use super::room::Catch;
use super::schema::Reply;

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
    personal_ended: bool,
    close: Option<Close>,
}

/// What waits for one connection.
pub struct Outbox {
    codec: Codec,
    viewer: OnceLock<(ViewerId, ViewerRef)>,
    waiting: Mutex<Waiting>,
    changed: Notify,
}

impl Outbox {
    /// Nothing waits yet.
    pub fn new(codec: Codec) -> Self {
        let (viewer, waiting) = (OnceLock::new(), Mutex::default());
        Self { codec, viewer, waiting, changed: Notify::new() }
    }

    /// Who is at the other end, once it is known.
    pub fn subject(&self) -> Option<&ViewerId> {
        self.viewer.get().map(|(subject, _)| subject)
    }

    /// The pseudonym of who is at the other end, once it is known.
    pub fn viewer_ref(&self) -> Option<&ViewerRef> {
        self.viewer.get().map(|(_, viewer)| viewer)
    }

    /// Says who is at the other end.
    pub fn set_viewer(&self, subject: ViewerId, viewer: ViewerRef) {
        let _ = self.viewer.set((subject, viewer));
    }

    /// How the connection speaks.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Adds a reply; whoever asks for more than is read is closed.
    pub fn reply(&self, reply: &Reply) {
        self.add(self.codec.encode(reply), false);
    }

    /// Adds a message of a stream: never dropped, never merged, and closed past the bound.
    pub fn stream(&self, reply: &Reply) {
        self.add(self.codec.encode(reply), true);
    }

    fn add(&self, frame: Bytes, is_stream: bool) {
        let mut waiting = self.waiting.lock();
        let bytes = frame.len();
        let (sum, max) = if is_stream {
            (&mut waiting.stream_bytes, STREAM_BYTES_MAX)
        } else {
            (&mut waiting.reply_bytes, REPLY_BYTES_MAX)
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
        self.waiting.lock().rooms.extend(rooms);
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

    /// A room has something new.
    pub fn room_changed(&self) {
        self.changed.notify_one();
    }

    /// Waits until the connection is to be closed for what it did not read.
    pub async fn overflowed(&self) {
        loop {
            let changed = self.changed.notified();
            if self.waiting.lock().close == Some(Close::Slow) {
                return;
            }
            changed.await;
        }
    }

    /// Everything that is to be written now, as one frame; a frame of a room alone is shared with
    /// all its receivers.
    pub async fn next(&self) -> Result<Bytes, Close> {
        loop {
            let changed = self.changed.notified();
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
            changed.await;
        }
    }

    fn take(&self) -> Result<Option<Bytes>, Close> {
        let mut waiting = self.waiting.lock();
        if waiting.close == Some(Close::Slow) {
            return Err(Close::Slow);
        }
        let mut frames = std::mem::take(&mut waiting.queue);
        (waiting.reply_bytes, waiting.stream_bytes) = (0, 0);
        waiting.rooms.retain_mut(|watched| match watched.feed.catch_up(watched.next, self) {
            Catch::Nothing => true,
            Catch::Patch { frame, next } => {
                frames.push(frame.bytes(self.codec));
                watched.next = next;
                true
            }
            Catch::Messages { frames: messages, next } => {
                frames.extend(messages.iter().map(|frame| frame.bytes(self.codec)));
                watched.next = next;
                true
            }
            Catch::Again { snapshot, next } if watched.server_side => {
                frames.push(snapshot.bytes(self.codec));
                watched.next = next;
                true
            }
            Catch::Again { .. } => {
                let channel = watched.feed.channel();
                let ended = unsubscribed(channel, UNSUBSCRIBED_INSUFFICIENT);
                frames.push(self.codec.encode(&ended));
                false
            }
        });
        let close = waiting.close;
        drop(waiting);
        match (frames.len(), close) {
            (0, Some(close)) => Err(close),
            (0, None) => Ok(None),
            (1, _) => Ok(frames.pop()),
            _ => Ok(Some(self.codec.join(&frames))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::publication;
    use super::super::schema::Publication;
    use super::*;

    /// A message that is written as so many bytes.
    fn message(bytes: usize) -> Reply {
        let with = |letters: usize| {
            let data = format!("\"{}\"", "x".repeat(letters)).into();
            publication("c", Publication { offset: 0, data })
        };
        let around = Codec::Json.encode(&with(0)).len();
        with(bytes - around)
    }

    #[tokio::test]
    async fn a_stream_past_its_bound_closes_the_connection() {
        let outbox = Outbox::new(Codec::Json);
        outbox.stream(&message(STREAM_BYTES_MAX));
        assert_eq!(outbox.next().await.map(|frame| frame.len()), Ok(STREAM_BYTES_MAX));
        outbox.stream(&message(STREAM_BYTES_MAX));
        outbox.stream(&message(100));
        assert_eq!(outbox.next().await, Err(Close::Slow));
        outbox.overflowed().await;
    }

    #[tokio::test]
    async fn what_waits_is_one_frame_and_then_the_end() {
        let outbox = Outbox::new(Codec::Json);
        outbox.reply(&Reply { id: 1, ..Reply::default() });
        outbox.stream(&Reply { id: 2, ..Reply::default() });
        outbox.close(Close::Shutdown);
        assert_eq!(outbox.next().await, Ok("{\"id\":1}\n{\"id\":2}".into()));
        assert_eq!(outbox.next().await, Err(Close::Shutdown));
    }
}
