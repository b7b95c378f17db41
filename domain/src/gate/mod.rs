//! The stock gate as a pure state machine, and its fold from the log.
//!
//! [`GateState`] is the one definition of what admission means: the in-memory gate runs it, and the
//! scripts of the Redis gate are tested against it. Units are *used* from the moment they are taken
//! until an event gives them back, and an entry gives its units back at most once, because only an
//! entry that still holds them can (design rule 1).

mod apply;
mod entry;
mod snapshot;
mod state;
mod take;

pub use apply::apply_events;
pub use snapshot::{SnapshotFold, load_snapshot};
pub use state::GateState;

use std::time::Duration;

/// The pause before a pending entry may be claimed a second time; it doubles with every claim.
pub const CLAIM_PAUSE_FIRST: Duration = Duration::from_secs(2);
/// The longest pause between two claims of a pending entry.
pub const CLAIM_PAUSE_MAX: Duration = Duration::from_mins(1);
/// How often the pause doubles before it stays at [`CLAIM_PAUSE_MAX`].
const CLAIM_DOUBLINGS_MAX: u32 = 5;

/// The pause after an entry was claimed for the `claims`th time, on top of the age that a claim
/// asks for.
pub fn claim_pause(claims: u32) -> Duration {
    let doublings = claims.saturating_sub(1).min(CLAIM_DOUBLINGS_MAX);
    CLAIM_PAUSE_FIRST.saturating_mul(1 << doublings).min(CLAIM_PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!(claim_pause(1), CLAIM_PAUSE_FIRST);
        assert_eq!(claim_pause(2), CLAIM_PAUSE_FIRST * 2);
        assert_eq!(claim_pause(5), Duration::from_secs(32));
        assert_eq!(claim_pause(6), CLAIM_PAUSE_MAX);
        assert_eq!(claim_pause(u32::MAX), CLAIM_PAUSE_MAX);
    }
}
