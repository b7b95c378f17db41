//! Every limit of the sockets, by name.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

/// Connections of one node where nothing else is set.
pub const CONNECTIONS_DEFAULT: usize = 100_000;
/// Connections that begin on one node in a second, where nothing else is set.
pub const CONNECTS_PER_SECOND_DEFAULT: NonZeroU32 = NonZeroU32::new(5_000).unwrap();
/// Connections of one address on one node where nothing else is set: many people may share it.
pub const ADDRESS_CONNECTIONS_DEFAULT: usize = 2_000;
/// Connections that begin from one address in a second, where nothing else is set.
pub const ADDRESS_CONNECTS_PER_SECOND_DEFAULT: NonZeroU32 = NonZeroU32::new(200).unwrap();
/// As many connections as may begin in so many seconds may begin at once.
pub const CONNECTS_BURST_SECONDS: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// Bytes of one inbound message.
pub const INBOUND_BYTES_MAX: usize = 16 * 1_024;
/// Channels of one connection.
pub const CHANNELS_MAX: usize = 16;
/// Commands of one connection per second; as many may come at once.
pub const COMMANDS_PER_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// Pings and pongs of WebSocket itself of one connection per second.
pub const CONTROL_FRAMES_PER_SECOND: u32 = 50;
/// Errors of one connection before it is closed.
pub const ERRORS_MAX: u32 = 100;
/// Connections of one viewer on one node.
pub const CONNECTIONS_PER_VIEWER_MAX: usize = 5;
/// Bytes of a personal stream that wait for one connection.
pub const STREAM_BYTES_MAX: usize = 64 * 1_024;
/// Bytes of replies that wait for one connection.
pub const REPLY_BYTES_MAX: usize = 1_024 * 1_024;
/// Patches that a room remembers for connections that are behind; further behind is a snapshot.
pub const ROOM_PATCHES_MAX: usize = 64;
/// Spotlights of a broadcast that a room is filled with.
pub const ROOM_SPOTLIGHTS_MAX: usize = 100;
/// Open orders in the data of a personal stream, of each status.
pub const OPEN_ORDERS_MAX: usize = 50;
/// Messages of a personal stream that are looked at for what the order book does not have yet.
pub const OVERLAY_MESSAGES_MAX: u64 = 50;
/// Messages of a personal stream after which it is summed up again: before those since the last time
/// are more than it keeps.
pub const SUMMED_AGAIN_AFTER: usize = 50;
/// Characters of a chat message, as a person counts them.
pub const CHAT_CHARACTERS_MAX: usize = 200;
/// Bytes of a chat message: a character may have marks without end.
pub const CHAT_BYTES_MAX: usize = 4 * 1_024;
/// Messages of viewers that one viewer of a chat is shown per second; others are counted.
pub const CHAT_SHOWN_PER_SECOND: u32 = 20;
/// Chat messages that wait for one connection; the oldest are left out, and counted.
pub const CHAT_BACKLOG_MESSAGES_MAX: usize = 64;
/// Bytes of chat messages that wait for one connection.
pub const CHAT_BACKLOG_BYTES_MAX: usize = 32 * 1_024;
/// Chat messages that whoever comes is given.
pub const CHAT_WELCOME_MESSAGES: usize = 50;
/// Chat messages of one viewer per second.
pub const CHAT_PER_SECOND: NonZeroU32 = NonZeroU32::MIN;
/// Chat messages of one viewer at once.
pub const CHAT_BURST: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// Calls of `like` of one viewer per second; as many may come at once.
pub const LIKES_PER_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// Viewers whose last message a room remembers, for slow mode.
pub const CHAT_SPEAKERS_MAX: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();
/// Chat messages that wait to be kept.
pub const CHAT_LOG_WAITING_MAX: usize = 10_000;
/// Chat messages that are kept at once.
pub const CHAT_LOG_AT_ONCE: usize = 200;
/// Likes of one call.
pub const LIKE_COUNT_MAX: u64 = 50;
/// How often a node says who watches before its word runs out.
pub const REPORTS_PER_WORD: u32 = 3;
/// Messages that wait for an emulated connection.
pub const EMULATED_MESSAGES_MAX: usize = 32;
/// Bytes of a request that carries commands: JSON inside JSON is longer.
pub const EMULATION_BODY_BYTES_MAX: usize = 2 * INBOUND_BYTES_MAX + 1_024;
/// Bytes that a connection reads ahead.
pub const READ_BUFFER_BYTES: usize = 128;
/// Bytes that the kernel takes for one connection; it doubles them for its own use.
pub const SEND_BUFFER_BYTES: usize = 32 * 1_024;
/// A socket takes more once so few bytes wait to be sent.
pub const UNSENT_BYTES_LOW: u32 = 16 * 1_024;
/// How long what was sent may stay without an acknowledgement.
pub const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(20);
/// Bytes that are read for nothing when a connection is closed from here.
pub const FAREWELL_BYTES_MAX: usize = 256 * 1_024;

/// What an operator or a test may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveLimits {
    /// Connections of this node; more are refused with 503 before the upgrade, as are those past the
    /// next three limits.
    pub connections: usize,
    /// Connections that begin on this node in a second.
    pub connects_per_second: NonZeroU32,
    /// Connections of one address on this node.
    pub address_connections: usize,
    /// Connections that begin from one address in a second.
    pub address_connects_per_second: NonZeroU32,
    /// How often a connection is pinged.
    pub ping_every: Duration,
    /// How long the answer to a ping may take.
    pub pong_within: Duration,
    /// How long a connection may take to send its connect command.
    pub connect_within: Duration,
    /// How long one write may take.
    pub write_within: Duration,
    /// The time between two frames of a room; the first change goes out at once.
    pub room_window: Duration,
    /// How long likes are summed up before they are told.
    pub like_window: Duration,
    /// How long whoever is banned stays, to be told.
    pub ban_grace: Duration,
    /// How often a node says who watches a room.
    pub report_every: Duration,
    /// How long a room is kept that nobody watches.
    pub room_linger: Duration,
    /// How long a connection outlives its token, so that a refresh may come.
    pub expiry_grace: Duration,
    /// How long saying goodbye may take: what waits before it is written as far as it is read.
    pub close_within: Duration,
    /// How long closing all connections may take.
    pub drain_within: Duration,
}

impl Default for LiveLimits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS_DEFAULT,
            connects_per_second: CONNECTS_PER_SECOND_DEFAULT,
            address_connections: ADDRESS_CONNECTIONS_DEFAULT,
            address_connects_per_second: ADDRESS_CONNECTS_PER_SECOND_DEFAULT,
            ping_every: Duration::from_secs(25),
            pong_within: Duration::from_secs(8),
            connect_within: Duration::from_secs(10),
            write_within: Duration::from_secs(20),
            room_window: Duration::from_millis(50),
            like_window: Duration::from_millis(200),
            ban_grace: Duration::from_millis(250),
            report_every: Duration::from_secs(2),
            room_linger: Duration::from_mins(1),
            expiry_grace: Duration::from_secs(25),
            close_within: Duration::from_secs(1),
            drain_within: Duration::from_secs(30),
        }
    }
}
