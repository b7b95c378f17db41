//! What viewers see: state (latest value wins) and streams (every message counts).

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::envelope::Position;
use crate::ids::StreamKey;
use crate::ports::PortError;

/// A place in a channel. The epoch changes whenever the channel could have started again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedPosition {
    /// Names one life of the channel.
    pub epoch: String,
    /// Counts its messages; the first is 1.
    pub offset: u64,
}

/// One message of a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedMessage {
    /// Where it stands.
    pub position: FeedPosition,
    /// A merge patch (RFC 7396) of a state channel, or a message of a stream.
    pub data: std::sync::Arc<Value>,
}

/// A state channel as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// As of where.
    pub position: FeedPosition,
    /// The whole state; an empty object where nothing was published yet.
    pub data: Value,
}

/// The messages of a stream after a position.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The stream's top.
    pub top: FeedPosition,
    /// All messages after the asked position, in order; `None` where any of them is gone: all or
    /// nothing.
    pub messages: Option<Vec<FeedMessage>>,
}

/// Who watches a room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Connections.
    pub clients: u32,
    /// Viewers: one with two connections to a node counts once there.
    pub viewers: u32,
}

/// What a node says of who watches there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report<'a> {
    /// The node.
    pub node: &'a str,
    /// Who watches.
    pub audience: Audience,
    /// Viewers that came since the last time, as numbers that follow from their pseudonyms; who is
    /// told again is counted once.
    pub came: &'a [u64],
    /// How long the word holds.
    pub lasting: Duration,
}

/// Who watches a room, and who did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attendance {
    /// Now, at the nodes whose word still holds.
    pub audience: Audience,
    /// The most viewers that there were at once.
    pub peak: u32,
    /// Viewers that came at all, each counted once: within 1 % where there are many.
    pub distinct: u64,
}

/// The bus between projections and sockets. Channels are named as on the wire, with the seller
/// before the viewer: `live:{broadcast}`, `chat:{broadcast}`, `user#{seller}/{viewer}`; and
/// `moderation:{broadcast}` and `node:{node}`, which no client sees.
#[async_trait]
pub trait FeedBus: Send + Sync {
    /// Merges a patch into a state channel. Ignored where `version` is not above the stored one
    /// of (channel, key), so that repeats are harmless.
    ///
    /// # Errors
    /// It cannot be reached; publishing again is safe.
    async fn patch(
        &self,
        channel: &str,
        key: StreamKey,
        version: Position,
        patch: &Value,
    ) -> Result<(), PortError>;
    /// Appends a message to a stream. Ignored where `version` is not above the stored one of
    /// (channel, key).
    ///
    /// # Errors
    /// It cannot be reached; publishing again is safe.
    async fn push(
        &self,
        channel: &str,
        key: StreamKey,
        version: Position,
        message: &Value,
    ) -> Result<(), PortError>;
    /// Appends a message to a stream, also where the same was appended before; tells its place.
    ///
    /// # Errors
    /// It cannot be reached, or did not answer: whether it was appended is not known then.
    async fn append(&self, channel: &str, message: &Value) -> Result<FeedPosition, PortError>;
    /// Adds to a count that is a member of a state channel and patches it in; tells the sum. A
    /// count that was lost goes on from `at_least`.
    ///
    /// # Errors
    /// It cannot be reached, or did not answer: whether it was added is not known then.
    async fn add(
        &self,
        channel: &str,
        member: &str,
        by: u64,
        at_least: u64,
    ) -> Result<u64, PortError>;
    /// Says who watches a state channel at one node; tells the sum over the nodes whose word still
    /// holds, and patches it in as `viewer_count` where it changed.
    ///
    /// # Errors
    /// It cannot be reached; saying it again is safe.
    async fn report(&self, channel: &str, report: &Report<'_>) -> Result<Attendance, PortError>;
    /// The last version that was taken for (channel, key).
    ///
    /// # Errors
    /// It cannot be reached.
    async fn version(&self, channel: &str, key: StreamKey) -> Result<Position, PortError>;
    /// The whole of a state channel.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn snapshot(&self, channel: &str) -> Result<Snapshot, PortError>;
    /// The messages of a stream after a position; `None` for just the top.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn history(
        &self,
        channel: &str,
        after: Option<&FeedPosition>,
    ) -> Result<History, PortError>;
    /// Writes beside a stream what it comes to at a place, for whoever begins there. Ignored where the
    /// stream has begun again, or a later sum is known.
    ///
    /// # Errors
    /// It cannot be reached; writing it again is safe.
    async fn sum_up(&self, channel: &str, at: &FeedPosition, sum: &Value) -> Result<(), PortError>;
    /// What a stream came to at a place, and where; gone with the stream's life.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn sum(&self, channel: &str) -> Result<Option<FeedMessage>, PortError>;
    /// Messages from now on. A subscription is bounded: what is slow sees
    /// [`FeedSubscription::next`] fail and starts again from a snapshot or the history.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn subscribe(&self, channel: &str) -> Result<Box<dyn FeedSubscription>, PortError>;
}

/// One node's subscription to one channel.
#[async_trait]
pub trait FeedSubscription: Send {
    /// The next message; offsets of a stream are contiguous, those of a state may jump.
    ///
    /// # Errors
    /// The subscription fell behind or the bus was lost: subscribe again and recover.
    async fn next(&mut self) -> Result<FeedMessage, PortError>;
}
