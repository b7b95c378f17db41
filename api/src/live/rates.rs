//! Token buckets of calls, per viewer of this node.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::limits::{CHAT_BURST, CHAT_PER_SECOND, LIKES_PER_SECOND};
use super::token::Claims;

/// After so many checks, buckets that are full again are dropped.
const CHECKS_PER_SWEEP: u32 = 100_000;

/// The limit of one call.
pub struct Rate {
    buckets: DefaultKeyedRateLimiter<u64>,
    hasher: RandomState,
    checks: AtomicU32,
}

/// The limits of this node.
pub struct Rates {
    /// Chat messages.
    pub chat: Rate,
    /// Likes.
    pub likes: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            chat: Rate::new(CHAT_PER_SECOND, CHAT_BURST),
            likes: Rate::new(LIKES_PER_SECOND, LIKES_PER_SECOND),
        }
    }
}

impl Rate {
    fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        Self {
            buckets: RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst)),
            hasher: RandomState::new(),
            checks: AtomicU32::new(0),
        }
    }

    /// Lets one call of the viewer pass, or tells how long it has to wait.
    ///
    /// # Errors
    /// The time to wait.
    pub fn check(&self, claims: &Claims) -> Result<(), Duration> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CHECKS_PER_SWEEP == CHECKS_PER_SWEEP - 1 {
            self.buckets.retain_recent();
        }
        let viewer = self.hasher.hash_one((&claims.seller, &claims.subject));
        let now = DefaultClock::default().now();
        self.buckets.check_key(&viewer).map_err(|until| until.wait_time_from(now))
    }
}
