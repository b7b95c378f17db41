//! Token buckets per viewer and per address.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
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
/// Orders from one address per second: a carrier has thousands of viewers behind one.
pub const ADDRESS_ORDERS_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(499);
/// Orders from one address at once.
pub const ADDRESS_ORDERS_BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(1_999);
/// After so many checks, buckets that are full again are dropped: at most so many more are kept
/// than viewers have ordered within the last two seconds.
pub const CHECKS_PER_SWEEP: u32 = 100_000;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// A limit: how many per second, how many at once.
struct Limit {
    name: &'static str,
    per_second: NonZeroU32,
    burst: NonZeroU32,
    says: &'static str,
}

const PER_VIEWER: Limit =
    Limit { name: "orders", per_second: ORDERS_PER_SECOND, burst: ORDERS_BURST, says: "a viewer" };
/// How often a viewer beyond its rate may ask for an order that it has placed.
const REPEATS: Limit =
    Limit { name: "repeats", per_second: ORDERS_PER_SECOND, burst: ORDERS_BURST, says: "a viewer" };
const PER_ADDRESS: Limit = Limit {
    name: "orders-per-address",
    per_second: ADDRESS_ORDERS_PER_SECOND,
    burst: ADDRESS_ORDERS_BURST,
    says: "an address",
};

type Buckets = RateLimiter<u64, DashMapStateStore<u64>, DefaultClock, StateInformationMiddleware>;

/// The buckets of one limit.
struct Meter {
    limit: Limit,
    buckets: Buckets,
    clock: DefaultClock,
    checks: AtomicU32,
}

impl Meter {
    fn new(limit: Limit) -> Self {
        let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
        let buckets = RateLimiter::dashmap(quota).with_middleware();
        Self { limit, buckets, clock: DefaultClock::default(), checks: AtomicU32::new(0) }
    }

    fn check(&self, key: u64) -> Result<u32, Problem> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CHECKS_PER_SWEEP == CHECKS_PER_SWEEP - 1 {
            self.buckets.retain_recent();
        }
        match self.buckets.check_key(&key) {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now()).as_secs_f64().ceil().max(1.0);
                let seconds = if wait < 60.0 { format!("{wait:.0}") } else { "60".to_owned() };
                crate::metrics::rate_limited();
                Err(refusal(&self.limit, &seconds))
            }
        }
    }
}

/// The limits of orders per viewer and per address, in this process.
pub struct OrderRate {
    viewers: Meter,
    repeats: Meter,
    addresses: Meter,
    hasher: RandomState,
}

impl Default for OrderRate {
    fn default() -> Self {
        let (viewers, addresses) = (Meter::new(PER_VIEWER), Meter::new(PER_ADDRESS));
        Self { viewers, repeats: Meter::new(REPEATS), addresses, hasher: RandomState::new() }
    }
}

impl std::fmt::Debug for OrderRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (viewers, addresses) = (&self.viewers.buckets, &self.addresses.buckets);
        f.debug_struct("OrderRate")
            .field("viewers", &viewers.len())
            .field("addresses", &addresses.len())
            .finish_non_exhaustive()
    }
}

impl OrderRate {
    /// Lets one order of the viewer pass; tells how many more of it may pass at once. Where limits
    /// apply to its address, they come first.
    ///
    /// # Errors
    /// 429 `rate_limited` with `Retry-After`, `RateLimit` and `RateLimit-Policy`.
    pub fn check(&self, caller: &Caller, address: Option<IpAddr>) -> Result<u32, Problem> {
        if let Some(address) = address {
            self.addresses.check(self.hasher.hash_one(network(address)))?;
        }
        self.viewers.check(self.hasher.hash_one((&caller.seller, &caller.subject)))
    }

    /// Whether a press beyond the rate is looked into: it may repeat one that was answered, and a
    /// repeat orders nothing. That has a rate of its own, as high as that of orders.
    pub fn may_repeat(&self, caller: &Caller) -> bool {
        self.repeats.check(self.hasher.hash_one((&caller.seller, &caller.subject))).is_ok()
    }
}

/// Who is counted as one: an IPv6 client has a whole /64 of addresses.
fn network(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

fn refusal(limit: &Limit, seconds: &str) -> Problem {
    let Limit { name, per_second, burst, says } = limit;
    let retry_after = seconds.parse().unwrap_or(1);
    let window = burst.get() / per_second.get();
    let policy = format!("\"{name}\";q={burst};w={window}");
    let mut problem = Problem::new(Code::RateLimited)
        .detail(format!("{says} places {per_second} orders per second, {burst} at once"))
        .retry_after(retry_after);
    let limit = format!("\"{name}\";r=0;t={seconds}");
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
            assert!(rate.check(&ana, None).is_ok());
        }
        assert_eq!(rate.check(&ana, None).expect_err("over").code(), Code::RateLimited);
        let bob = Caller::for_test("acme", "bob", domain::actor::Role::Viewer);
        assert!(rate.check(&bob, None).is_ok());
        let other = Caller::for_test("other", "ana", domain::actor::Role::Viewer);
        assert!(rate.check(&other, None).is_ok());
    }

    #[test]
    fn an_address_has_a_limit_of_its_own() {
        let rate = OrderRate::default();
        let order = |viewer: u32, address: &str| {
            let subject = format!("v{viewer}");
            let caller = Caller::for_test("acme", &subject, domain::actor::Role::Viewer);
            rate.check(&caller, Some(address.parse().expect("valid")))
        };
        for viewer in 0..ADDRESS_ORDERS_BURST.get() {
            assert!(order(viewer, "2001:db8::1").is_ok());
        }
        // some come back while the loop runs
        let mut refused = (0..10_000).filter_map(|viewer| order(viewer, "2001:db8::2").err());
        let refused = refused.next().expect("the same network");
        assert_eq!(refused.code(), Code::RateLimited);
        assert!(order(1, "2001:db8:0:1::1").is_ok() && order(2, "203.0.113.7").is_ok());
    }
}
