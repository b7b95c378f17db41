//! The bounds of a channel.

use std::time::Duration;

/// Messages that a stream keeps for recovery.
pub const STREAM_MESSAGES_MAX: usize = 100;
/// Messages that a chat keeps.
pub const CHAT_MESSAGES_MAX: usize = 200;
/// How long a chat's messages are kept after the last one (5 min).
pub const CHAT_KEPT: Duration = Duration::from_mins(5);
/// The member of a room's state that counts its viewers.
pub const VIEWER_COUNT: &str = "viewer_count";
/// Viewers of one broadcast that one process counts apart.
pub const VIEWERS_COUNTED_MAX: usize = 1_000_000;
/// What the name of a chat begins with.
const CHAT: &str = "chat:";
/// How long a channel is kept after its last message (24 h).
pub const FEED_KEPT: Duration = Duration::from_hours(24);
/// Messages that wait for one subscription; one more and it fails.
pub const SUBSCRIBER_MESSAGES_MAX: usize = 1_024;

/// The bounds of a bus; the default is what production uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedLimits {
    /// Messages that a stream keeps for recovery.
    pub stream_messages: usize,
    /// Messages that a chat keeps.
    pub chat_messages: usize,
    /// How long a chat's messages are kept after the last one.
    pub chat_kept: Duration,
    /// How long a channel is kept after its last message.
    pub kept: Duration,
    /// Messages that wait for one subscription.
    pub subscriber_messages: usize,
}

impl Default for FeedLimits {
    fn default() -> Self {
        Self {
            stream_messages: STREAM_MESSAGES_MAX,
            chat_messages: CHAT_MESSAGES_MAX,
            chat_kept: CHAT_KEPT,
            kept: FEED_KEPT,
            subscriber_messages: SUBSCRIBER_MESSAGES_MAX,
        }
    }
}

impl FeedLimits {
    /// How many messages a stream keeps, and for how long after the last one.
    pub fn history(&self, channel: &str) -> (usize, Duration) {
        if channel.starts_with(CHAT) {
            (self.chat_messages, self.chat_kept)
        } else {
            (self.stream_messages, self.kept)
        }
    }
}
