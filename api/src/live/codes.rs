//! The numbers of the protocol that the SDKs act on.

/// Why a connection is closed: below 3500 the client connects again, from there it stays away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The node goes away.
    Shutdown,
    /// Something here failed.
    Internal,
    /// The token ran out and was not refreshed.
    Expired,
    /// The client reads too slowly.
    Slow,
    /// A stream has a gap that cannot be filled on this connection.
    InsufficientState,
    /// No answer to a ping.
    NoPong,
    /// The token is forged or malformed.
    InvalidToken,
    /// A message that is no command.
    BadRequest,
    /// No connect command in time.
    Stale,
    /// The viewer has too many connections.
    ConnectionLimit,
    /// Somebody here ended it: a ban, say.
    Forced,
    /// Too many commands were refused.
    TooManyErrors,
    /// A message is too large.
    TooLarge,
    /// What came breaks the rules of WebSocket.
    Malformed,
    /// Text that is not UTF-8.
    NotText,
}

impl Close {
    /// The close code and its reason.
    pub const fn parts(self) -> (u16, &'static str) {
        match self {
            Self::Shutdown => (3001, "shutdown"),
            Self::Internal => (3004, "internal server error"),
            Self::Expired => (3005, "connection expired"),
            Self::Slow => (3008, "slow"),
            Self::InsufficientState => (3010, "insufficient state"),
            Self::NoPong => (3012, "no pong"),
            Self::InvalidToken => (3500, "invalid token"),
            Self::BadRequest => (3501, "bad request"),
            Self::Stale => (3502, "stale"),
            Self::Forced => (3503, "force disconnect"),
            Self::ConnectionLimit => (3504, "connection limit"),
            Self::TooManyErrors => (3509, "too many errors"),
            Self::TooLarge => (1009, "message too big"),
            Self::Malformed => (1002, "protocol error"),
            Self::NotText => (1007, "not UTF-8"),
        }
    }
}

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Something here failed; trying again may help.
    Internal,
    /// There is no such channel.
    UnknownChannel,
    /// The channel is not the caller's to see.
    PermissionDenied,
    /// There is no such call.
    MethodNotFound,
    /// The channel is subscribed already.
    AlreadySubscribed,
    /// The connection has too many channels.
    LimitExceeded,
    /// The command lacks something.
    BadRequest,
    /// The command is not offered.
    NotAvailable,
    /// The token has run out; the client fetches another one.
    TokenExpired,
    /// Too many commands; trying later helps.
    TooManyRequests,
    /// The channel does not keep what comes after that place.
    UnrecoverablePosition,
}

impl Refusal {
    /// The error's code, message and whether trying again may help.
    pub const fn parts(self) -> (u32, &'static str, bool) {
        match self {
            Self::Internal => (100, "internal server error", true),
            Self::UnknownChannel => (102, "unknown channel", false),
            Self::PermissionDenied => (103, "permission denied", false),
            Self::MethodNotFound => (104, "method not found", false),
            Self::AlreadySubscribed => (105, "already subscribed", false),
            Self::LimitExceeded => (106, "limit exceeded", false),
            Self::BadRequest => (107, "bad request", false),
            Self::NotAvailable => (108, "not available", false),
            Self::TokenExpired => (109, "token expired", false),
            Self::TooManyRequests => (111, "too many requests", true),
            Self::UnrecoverablePosition => (112, "unrecoverable position", false),
        }
    }
}

/// An unsubscription after which the client subscribes again: its state is incomplete.
pub const UNSUBSCRIBED_INSUFFICIENT: (u32, &str) = (2500, "insufficient state");
