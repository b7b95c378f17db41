//! The bounds of a channel.

use std::time::Duration;

/// Messages that a stream keeps for recovery.
pub const STREAM_MESSAGES_MAX: usize = 100;
/// How long a channel is kept after its last message (24 h).
pub const FEED_KEPT: Duration = Duration::from_hours(24);
/// Messages that wait for one subscription; one more and it fails.
pub const SUBSCRIBER_MESSAGES_MAX: usize = 1_024;

/// The bounds of a bus; the default is what production uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedLimits {
    /// Messages that a stream keeps for recovery.
    pub stream_messages: usize,
    /// How long a channel is kept after its last message.
    pub kept: Duration,
    /// Messages that wait for one subscription.
    pub subscriber_messages: usize,
}

impl Default for FeedLimits {
    fn default() -> Self {
        Self {
            stream_messages: STREAM_MESSAGES_MAX,
            kept: FEED_KEPT,
            subscriber_messages: SUBSCRIBER_MESSAGES_MAX,
        }
    }
}
