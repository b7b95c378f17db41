//! Why a command to a broadcast is refused.

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
}

impl BroadcastError {
    /// The stable code of the refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Exists => "already_exists",
            Self::Ended => "broadcast_ended",
        }
    }
}
