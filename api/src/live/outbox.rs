//! What waits for one connection, within bounds: replies and streams in order, and for each room
//! only where the connection stands in it.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::codes::{Close, UNSUBSCRIBED_INSUFFICIENT};
use super::limits::{REPLY_BYTES_MAX, STREAM_BYTES_MAX};
use super::protocol::unsubscribed;
use super::room::{Catch, Room};

/// A room that the connection watches, and the patches that it has.
pub struct Watched {
    /// The room.
    pub room: Arc<Room>,
    /// The next patch to send.
    pub next: u64,
    /// Whether the server made the subscription.
    pub server_side: bool,
}

#[derive(Default)]
struct Waiting {
    queue: Vec<Utf8Bytes>,
    reply_bytes: usize,
    stream_bytes: usize,
    rooms: Vec<Watched>,
    personal_ended: bool,
    close: Option<Close>,
}

/// What waits for one connection.
#[derive(Default)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

impl Outbox {
    /// Adds a reply; whoever asks for more than is read is closed.
    pub fn reply(&self, frame: Utf8Bytes) {
        self.add(frame, false);
    }

    /// Adds a message of a stream: never dropped, never merged, and closed past the bound.
    pub fn stream(&self, frame: Utf8Bytes) {
        self.add(frame, true);
    }

    fn add(&self, frame: Utf8Bytes, is_stream: bool) {
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
    pub fn reply_and_watch(&self, frame: Utf8Bytes, rooms: impl IntoIterator<Item = Watched>) {
        self.waiting.lock().rooms.extend(rooms);
        self.reply(frame);
    }

    /// Whether a room is watched; it is not once its subscription was ended from here.
    pub fn watches(&self, channel: &str) -> bool {
        self.waiting.lock().rooms.iter().any(|watched| watched.room.channel() == channel)
    }

    /// Ends the client's own subscription to its stream.
    pub fn end_personal(&self, frame: Utf8Bytes) {
        self.waiting.lock().personal_ended = true;
        self.stream(frame);
    }

    /// Whether the personal stream was ended from here since the last call.
    pub fn take_personal_ended(&self) -> bool {
        std::mem::take(&mut self.waiting.lock().personal_ended)
    }

    /// Stops watching a room.
    pub fn unwatch(&self, channel: &str) {
        self.waiting.lock().rooms.retain(|watched| watched.room.channel() != channel);
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
    pub async fn next(&self) -> Result<Utf8Bytes, Close> {
        loop {
            let changed = self.changed.notified();
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
            changed.await;
        }
    }

    fn take(&self) -> Result<Option<Utf8Bytes>, Close> {
        let mut waiting = self.waiting.lock();
        if waiting.close == Some(Close::Slow) {
            return Err(Close::Slow);
        }
        let mut frames = std::mem::take(&mut waiting.queue);
        (waiting.reply_bytes, waiting.stream_bytes) = (0, 0);
        waiting.rooms.retain_mut(|watched| match watched.room.catch_up(watched.next) {
            Catch::Nothing => true,
            Catch::Patch { frame, next } => {
                frames.push(frame);
                watched.next = next;
                true
            }
            Catch::Again { snapshot, next } if watched.server_side => {
                frames.push(snapshot);
                watched.next = next;
                true
            }
            Catch::Again { .. } => {
                let channel = watched.room.channel();
                frames.push(unsubscribed(channel, UNSUBSCRIBED_INSUFFICIENT));
                false
            }
        });
        let close = waiting.close;
        drop(waiting);
        match (frames.len(), close) {
            (0, Some(close)) => Err(close),
            (0, None) => Ok(None),
            (1, _) => Ok(frames.pop()),
            _ => {
                let lines: Vec<&str> = frames.iter().map(Utf8Bytes::as_str).collect();
                Ok(Some(lines.join("\n").into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize) -> Utf8Bytes {
        "x".repeat(bytes).into()
    }

    #[tokio::test]
    async fn a_stream_past_its_bound_closes_the_connection() {
        let outbox = Outbox::default();
        outbox.stream(frame(STREAM_BYTES_MAX));
        assert_eq!(outbox.next().await.map(|frame| frame.len()), Ok(STREAM_BYTES_MAX));
        outbox.stream(frame(STREAM_BYTES_MAX));
        outbox.stream(frame(1));
        assert_eq!(outbox.next().await, Err(Close::Slow));
        outbox.overflowed().await;
    }

    #[tokio::test]
    async fn what_waits_is_one_frame_and_then_the_end() {
        let outbox = Outbox::default();
        outbox.reply("a".into());
        outbox.stream("b".into());
        outbox.close(Close::Shutdown);
        assert_eq!(outbox.next().await, Ok("a\nb".into()));
        assert_eq!(outbox.next().await, Err(Close::Shutdown));
    }
}
