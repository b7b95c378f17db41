//! Likes of a room on this node, summed up until they are told.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// The member of a room's state that counts its likes.
pub const LIKE_COUNT: &str = "like_count";

/// The likes that were not told yet.
#[derive(Default)]
pub struct Likes {
    waiting: AtomicU64,
    came: Notify,
}

impl Likes {
    /// Adds likes; tells how many wait.
    pub fn add(&self, count: u64) -> u64 {
        let before = self.waiting.fetch_add(count, Ordering::Relaxed);
        self.came.notify_one();
        before.saturating_add(count)
    }

    /// How many wait.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes away what was told.
    pub fn told(&self, count: u64) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }

    /// Waits until some come.
    pub async fn came(&self) {
        self.came.notified().await;
    }
}
