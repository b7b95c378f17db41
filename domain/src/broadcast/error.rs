//! Why a command to a broadcast is refused.

use crate::limits::CHAT_SANCTIONS_MAX;

/// A refusal; nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BroadcastError {
    /// No such broadcast.
    #[error("the broadcast does not exist")]
    NotFound,
    /// The broadcast exists with other terms.
    #[error("the broadcast exists already with other terms")]
    Exists,
    /// The broadcast is over.
    #[error("the broadcast has ended")]
    Ended,
    /// So many viewers are muted or banned already.
    #[error("no more than {CHAT_SANCTIONS_MAX} viewers of a broadcast are muted or banned")]
    TooManySanctions,
}

impl BroadcastError {
    /// The stable code of the refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Exists => "already_exists",
            Self::Ended => "broadcast_ended",
            Self::TooManySanctions => "limit_exceeded",
        }
    }
}
