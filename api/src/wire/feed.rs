//! What sockets carry inside the protocol's messages: the data of channels, and calls.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{OrderBody, SpotlightBody, WaitBody};

/// The broadcast of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiveBroadcast {
    /// Which broadcast.
    pub id: Uuid,
    /// What viewers read.
    pub title: String,
    /// scheduled, live or ended.
    pub status: String,
}

/// The state of `live:{broadcast}`, as a subscription begins with it. A member without a value is
/// absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiveState {
    /// The broadcast.
    pub broadcast: LiveBroadcast,
    /// The offers by their ids.
    pub spotlights: BTreeMap<String, SpotlightBody>,
    /// Viewers of all nodes.
    pub viewer_count: u64,
    /// Likes so far.
    pub like_count: u64,
    /// The server's time: deadlines are by its clock.
    pub server_time: DateTime<Utc>,
}

/// Who said something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Speaker {
    /// The viewer.
    pub id: String,
    /// The name that others read.
    pub name: String,
    /// viewer, host or moderator.
    pub role: String,
}

/// A message of a viewer, a moderator or a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatSaid {
    /// Names it.
    pub id: Uuid,
    /// Who said it.
    pub viewer: Speaker,
    /// What was said.
    pub message: String,
    /// When.
    pub sent_at: DateTime<Utc>,
}

/// A message was taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatRemoved {
    /// The message.
    pub id: Uuid,
}

/// What the host or a moderator tells everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatAnnouncement {
    /// Names it.
    pub id: Uuid,
    /// What it says.
    pub message: String,
    /// When.
    pub sent_at: DateTime<Utc>,
}

/// Whose message is pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PinnedSpeaker {
    /// The viewer.
    pub id: String,
    /// The name that others read.
    pub name: String,
}

/// What is kept above the chat; without a message nothing is any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatPinned {
    /// Names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// The message that it is, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Uuid>,
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who said it, if a viewer did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewer: Option<PinnedSpeaker>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<DateTime<Utc>>,
}

/// Who may say something, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatModeIs {
    /// Whether only moderators and hosts may.
    pub frozen: bool,
    /// Seconds between two messages of a viewer; 0 for no such rule.
    pub slow_seconds: u32,
}

/// Messages that a viewer was not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatSkipped {
    /// How many.
    pub count: u64,
}

/// A message of `chat:{broadcast}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChatMessage {
    /// Somebody said something.
    Chat(ChatSaid),
    /// A message was taken away.
    Removed(ChatRemoved),
    /// What the host or a moderator tells everybody.
    Announcement(ChatAnnouncement),
    /// What is kept above the chat.
    Pinned(ChatPinned),
    /// Who may say something, and how often.
    Mode(ChatModeIs),
    /// Messages that this viewer was not shown.
    Skipped(ChatSkipped),
}

/// What a subscription to a chat begins with, unless it goes on after a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatWelcome {
    /// The last messages.
    pub messages: Vec<ChatMessage>,
    /// Who may say something, and how often.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<ChatMessage>,
    /// What is kept above the chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<ChatMessage>,
}

/// An order of the viewer after a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderChanged {
    /// The whole order; it has no receipt here.
    pub order: OrderBody,
}

/// What a moderator did about the viewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Moderated {
    /// muted, banned or pardoned.
    pub action: String,
    /// Where.
    pub broadcast_id: Uuid,
    /// Until when; absent where it has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A message of `user#{viewer}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UserMessage {
    /// An order changed.
    Order(Box<OrderChanged>),
    /// What a moderator did about the viewer.
    Moderation(Moderated),
    /// The viewer's place in a line, or what became of it.
    Waitlist(WaitBody),
}

/// What a subscription to the viewer's own stream begins with, unless it goes on after a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserWelcome {
    /// The open orders.
    pub orders: Vec<OrderBody>,
}

/// Commands to a connection of a network without WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmulatedCommands {
    /// The node of the connect result.
    pub node: String,
    /// The session of the connect result.
    pub session: String,
    /// The text of the commands, a line each.
    pub data: String,
}

/// The argument of `chat.send`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatSend {
    /// Where.
    pub broadcast: Uuid,
    /// At most 200 characters as a person counts them.
    pub message: String,
}

/// The result of `chat.send`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatSent {
    /// Names the message.
    pub id: Uuid,
}

/// The argument of `like`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LikeSend {
    /// What.
    pub broadcast: Uuid,
    /// How often.
    #[schema(minimum = 1, maximum = 50)]
    pub count: u64,
}

/// The result of `like`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Liked {
    /// Likes so far.
    pub like_count: u64,
}

/// The argument of `order.get`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderGet {
    /// Which order.
    pub id: Uuid,
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedCall {
    /// The stable code.
    pub code: String,
    /// For people.
    pub reason: String,
    /// After how long it may be tried again, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// The result of a call that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallRefused {
    /// Why.
    pub refused: RefusedCall,
}
