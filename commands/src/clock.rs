//! The system clock and random ids, the only places that ask the machine for them, and the seeded
//! ones of tests and simulation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::Timestamp;
use domain::ids::derive_id;
use domain::ports::{Clock, Ids};
use tokio::sync::watch;
use uuid::Uuid;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    fn now(&self) -> Timestamp {
        chrono::Utc::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// New ids of the machine, ordered by time (UUID v7).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// Ids that follow from a seed.
#[derive(Debug)]
pub struct SeededIds {
    seed: u64,
    next: AtomicU64,
}

impl SeededIds {
    /// The ids of a seed; the same seed gives the same ids in the same order.
    pub const fn new(seed: u64) -> Self {
        Self { seed, next: AtomicU64::new(0) }
    }
}

impl Ids for SeededIds {
    fn uuid(&self) -> Uuid {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        derive_id("seeded", &[&self.seed.to_be_bytes(), &number.to_be_bytes()])
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self { now: watch::Sender::new(start) }
    }

    /// Moves the clock on and wakes whoever waited for a time until then.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now += delta(by));
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.now() + delta(duration);
        let mut receiver = self.now.subscribe();
        // the sender lives as long as self
        let _ = receiver.wait_for(|now| *now >= until).await;
    }
}

/// A duration as a difference of times; one that does not fit is the longest.
pub fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

/// The time from `from` to `to`; nothing where the clock went back.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    (to - from).to_std().unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let (one, two, other) = (SeededIds::new(1), SeededIds::new(1), SeededIds::new(2));
        let first: Vec<_> = (0..3).map(|_| one.uuid()).collect();
        assert_eq!(first, (0..3).map(|_| two.uuid()).collect::<Vec<_>>());
        assert_ne!(first[0], first[1]);
        assert_ne!(first[0], other.uuid());
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_at_its_time_and_not_before() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        let mut sleep = Box::pin(clock.sleep(Duration::from_secs(2)));
        assert!(futures::poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_secs(1));
        assert!(futures::poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_secs(1));
        assert!(futures::poll!(&mut sleep).is_ready());
    }
}
