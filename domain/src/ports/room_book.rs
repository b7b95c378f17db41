//! What a broadcast's room came to, for its seller: likes, and viewers.

use async_trait::async_trait;

use crate::ids::BroadcastId;
use crate::ports::PortError;

/// What a room came to. Each number only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoomTotals {
    /// Likes.
    pub likes: u64,
    /// The most viewers that there were at once.
    pub viewers_peak: u32,
    /// Viewers that came at all, each counted once.
    pub viewers_distinct: u64,
}

impl RoomTotals {
    /// The greater of each number.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            likes: self.likes.max(other.likes),
            viewers_peak: self.viewers_peak.max(other.viewers_peak),
            viewers_distinct: self.viewers_distinct.max(other.viewers_distinct),
        }
    }
}

/// What rooms came to. It is no part of the event log: the bus counts, and this outlives it.
#[async_trait]
pub trait RoomBook: Send + Sync {
    /// What a room came to; nothing where nobody was there.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn totals(&self, broadcast: BroadcastId) -> Result<RoomTotals, PortError>;
    /// Keeps the greater of each number and the one that is kept.
    ///
    /// # Errors
    /// It cannot be reached; keeping them again is safe.
    async fn keep(&self, broadcast: BroadcastId, totals: RoomTotals) -> Result<(), PortError>;
}
