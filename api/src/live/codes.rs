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
    /// Each of them, by code.
    pub const ALL: [Self; 15] = [
        Self::Malformed,
        Self::NotText,
        Self::TooLarge,
        Self::Shutdown,
        Self::Internal,
        Self::Expired,
        Self::Slow,
        Self::InsufficientState,
        Self::NoPong,
        Self::InvalidToken,
        Self::BadRequest,
        Self::Stale,
        Self::Forced,
        Self::ConnectionLimit,
        Self::TooManyErrors,
    ];

    /// Whether a client connects again by itself.
    pub const fn reconnects(self) -> bool {
        let (code, _) = self.parts();
        code >= FIRST_OF_PROTOCOL && code < FIRST_TERMINAL
    }

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
    /// Each of them, by code.
    pub const ALL: [Self; 11] = [
        Self::Internal,
        Self::UnknownChannel,
        Self::PermissionDenied,
        Self::MethodNotFound,
        Self::AlreadySubscribed,
        Self::LimitExceeded,
        Self::BadRequest,
        Self::NotAvailable,
        Self::TokenExpired,
        Self::TooManyRequests,
        Self::UnrecoverablePosition,
    ];

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

/// Below this, codes are those of WebSocket itself.
const FIRST_OF_PROTOCOL: u16 = 3000;
/// From here a client stays away.
pub const FIRST_TERMINAL: u16 = 3500;

/// An unsubscription after which the client subscribes again: its state is incomplete.
pub const UNSUBSCRIBED_INSUFFICIENT: (u32, &str) = (2500, "insufficient state");

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails to compile where one is new, and fails where it is not in the list.
    #[test]
    fn the_lists_are_whole() {
        let place = |close: Close| match close {
            Close::Malformed => 0,
            Close::NotText => 1,
            Close::TooLarge => 2,
            Close::Shutdown => 3,
            Close::Internal => 4,
            Close::Expired => 5,
            Close::Slow => 6,
            Close::InsufficientState => 7,
            Close::NoPong => 8,
            Close::InvalidToken => 9,
            Close::BadRequest => 10,
            Close::Stale => 11,
            Close::Forced => 12,
            Close::ConnectionLimit => 13,
            Close::TooManyErrors => 14,
        };
        assert!(Close::ALL.iter().enumerate().all(|(at, close)| place(*close) == at));
        let place = |refusal: Refusal| match refusal {
            Refusal::Internal => 0,
            Refusal::UnknownChannel => 1,
            Refusal::PermissionDenied => 2,
            Refusal::MethodNotFound => 3,
            Refusal::AlreadySubscribed => 4,
            Refusal::LimitExceeded => 5,
            Refusal::BadRequest => 6,
            Refusal::NotAvailable => 7,
            Refusal::TokenExpired => 8,
            Refusal::TooManyRequests => 9,
            Refusal::UnrecoverablePosition => 10,
        };
        assert!(Refusal::ALL.iter().enumerate().all(|(at, refusal)| place(*refusal) == at));
    }
}
