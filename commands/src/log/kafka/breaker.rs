//! Whether Kafka is known to be down, so that nothing is taken from stock for it.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Appends in a row without an acknowledgement that open the breaker.
pub const FAILURES_MAX: u32 = 3;
/// How long an open breaker refuses before one append may try.
pub const OPEN_FOR: Duration = Duration::from_secs(2);
/// How long an acknowledgement outweighs a probe that found nothing: on a busy machine the probe is
/// what comes late.
pub const ACK_OUTWEIGHS_PROBE: Duration = Duration::from_secs(2);

/// Closed while appends are acknowledged; open once they are not, or once the probe finds no
/// leader; then one append per [`OPEN_FOR`] may try until one is acknowledged.
#[derive(Debug)]
pub struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
        acknowledged: Option<Instant>,
    },
    /// The probe found it down, so the probe closes it as well.
    Unreachable,
    /// It can be reached and yet does not acknowledge.
    Failing {
        since: Instant,
    },
}

const CLOSED: State = State::Closed { failures: 0, acknowledged: None };

impl Default for Breaker {
    fn default() -> Self {
        Self { state: Mutex::new(CLOSED) }
    }
}

impl Breaker {
    /// Whether an append may be tried now.
    pub fn allows(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        match *state {
            State::Closed { .. } => true,
            State::Failing { since } if now.saturating_duration_since(since) >= OPEN_FOR => {
                *state = State::Failing { since: now };
                true
            }
            State::Unreachable | State::Failing { .. } => false,
        }
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        !matches!(*self.state.lock(), State::Closed { .. })
    }

    /// An append was acknowledged.
    pub fn acknowledged(&self, now: Instant) {
        *self.state.lock() = State::Closed { failures: 0, acknowledged: Some(now) };
    }

    /// An append was not acknowledged.
    pub fn failed(&self, now: Instant) {
        let mut state = self.state.lock();
        *state = match *state {
            State::Closed { failures, acknowledged } if failures + 1 < FAILURES_MAX => {
                State::Closed { failures: failures + 1, acknowledged }
            }
            State::Unreachable => State::Unreachable,
            State::Closed { .. } | State::Failing { .. } => State::Failing { since: now },
        };
    }

    /// Every connection is lost.
    pub fn disconnected(&self) {
        *self.state.lock() = State::Unreachable;
    }

    /// The probe asked the cluster for the topic's leaders.
    pub fn probed(&self, reachable: bool, now: Instant) {
        let mut state = self.state.lock();
        *state = match (*state, reachable) {
            (State::Closed { acknowledged: Some(at), .. }, false)
                if now.saturating_duration_since(at) < ACK_OUTWEIGHS_PROBE =>
            {
                *state
            }
            (_, false) => State::Unreachable,
            (State::Unreachable, true) => CLOSED,
            (State::Closed { .. } | State::Failing { .. }, true) => *state,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_at_the_limit_and_not_before() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 1..FAILURES_MAX {
            breaker.failed(now);
        }
        assert!(breaker.allows(now));
        breaker.failed(now);
        assert!(!breaker.allows(now));
    }

    #[test]
    fn an_acknowledgement_starts_the_count_again() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..2 * FAILURES_MAX {
            breaker.failed(now);
            breaker.acknowledged(now);
        }
        assert!(breaker.allows(now));
    }

    #[test]
    fn one_append_per_period_may_try_until_one_is_acknowledged() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES_MAX {
            breaker.failed(start);
        }
        breaker.probed(true, start);
        let almost = OPEN_FOR.checked_sub(Duration::from_millis(1)).expect("longer");
        assert!(!breaker.allows(start + almost));
        assert!(breaker.allows(start + OPEN_FOR));
        assert!(!breaker.allows(start + OPEN_FOR));
        breaker.failed(start + OPEN_FOR);
        assert!(!breaker.allows(start + OPEN_FOR + almost));
        assert!(breaker.allows(start + 2 * OPEN_FOR));
        breaker.acknowledged(start + 2 * OPEN_FOR);
        assert!(breaker.allows(start + 2 * OPEN_FOR));
        assert!(!breaker.is_open());
    }

    #[test]
    fn what_the_probe_opened_the_probe_closes() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        breaker.probed(false, now);
        breaker.failed(now);
        assert!(!breaker.allows(now + 10 * OPEN_FOR));
        breaker.probed(true, now);
        assert!(breaker.allows(now));
    }

    #[test]
    fn a_late_probe_does_not_outweigh_acknowledgements() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        breaker.acknowledged(now);
        let almost = ACK_OUTWEIGHS_PROBE.checked_sub(Duration::from_millis(1)).expect("longer");
        breaker.probed(false, now + almost);
        assert!(breaker.allows(now + almost));
        breaker.probed(false, now + ACK_OUTWEIGHS_PROBE);
        assert!(!breaker.allows(now + ACK_OUTWEIGHS_PROBE));
    }

    #[test]
    fn lost_connections_open_it_at_once() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        breaker.acknowledged(now);
        breaker.disconnected();
        assert!(!breaker.allows(now));
    }
}
