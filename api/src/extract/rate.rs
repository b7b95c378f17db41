//! Token buckets per viewer.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::{HeaderName, HeaderValue};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::Caller;
use crate::problem::{Code, Problem};

/// Orders of one viewer per second.
pub const ORDERS_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
/// Orders of one viewer at once.
pub const ORDERS_BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);
/// After so many checks, buckets that are full again are dropped: at most so many more are kept
/// than viewers have ordered within the last two seconds.
pub const CHECKS_PER_SWEEP: u32 = 100_000;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The limit of orders per viewer, in this process.
pub struct OrderRate {
    buckets: RateLimiter<u64, DashMapStateStore<u64>, DefaultClock, StateInformationMiddleware>,
    clock: DefaultClock,
    hasher: RandomState,
    checks: AtomicU32,
}

impl Default for OrderRate {
    fn default() -> Self {
        let quota = Quota::per_second(ORDERS_PER_SECOND).allow_burst(ORDERS_BURST);
        let buckets = RateLimiter::dashmap(quota).with_middleware();
        Self {
            buckets,
            clock: DefaultClock::default(),
            hasher: RandomState::new(),
            checks: AtomicU32::new(0),
        }
    }
}

impl std::fmt::Debug for OrderRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderRate").field("viewers", &self.buckets.len()).finish_non_exhaustive()
    }
}

impl OrderRate {
    /// Lets one order of the viewer pass; tells how many more may pass at once.
    ///
    /// # Errors
    /// 429 `rate_limited` with `Retry-After`, `RateLimit` and `RateLimit-Policy`.
    pub fn check(&self, caller: &Caller) -> Result<u32, Problem> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CHECKS_PER_SWEEP == CHECKS_PER_SWEEP - 1 {
            self.buckets.retain_recent();
        }
        let viewer = self.hasher.hash_one((&caller.seller, &caller.subject));
        match self.buckets.check_key(&viewer) {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now()).as_secs_f64().ceil().max(1.0);
                let seconds = if wait < 60.0 { format!("{wait:.0}") } else { "60".to_owned() };
                crate::metrics::rate_limited();
                Err(refusal(&seconds))
            }
        }
    }
}

fn refusal(seconds: &str) -> Problem {
    let retry_after = seconds.parse().unwrap_or(1);
    let window = ORDERS_BURST.get() / ORDERS_PER_SECOND.get();
    let policy = format!("\"orders\";q={ORDERS_BURST};w={window}");
    let mut problem = Problem::new(Code::RateLimited)
        .detail(format!(
            "a viewer places {ORDERS_PER_SECOND} orders per second, {ORDERS_BURST} at once"
        ))
        .retry_after(retry_after);
    let limit = format!("\"orders\";r=0;t={seconds}");
    for (name, value) in [(POLICY, policy), (LIMIT, limit)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            problem = problem.header(name, value);
        }
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_passes_and_the_next_one_does_not() {
        let rate = OrderRate::default();
        let ana = Caller::for_test("acme", "ana", domain::actor::Role::Viewer);
        for _ in 0..ORDERS_BURST.get() {
            assert!(rate.check(&ana).is_ok());
        }
        assert_eq!(rate.check(&ana).expect_err("over").code(), Code::RateLimited);
        let bob = Caller::for_test("acme", "bob", domain::actor::Role::Viewer);
        assert!(rate.check(&bob).is_ok());
        let other = Caller::for_test("other", "ana", domain::actor::Role::Viewer);
        assert!(rate.check(&other).is_ok());
    }
}
