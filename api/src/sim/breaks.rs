//! Planted faults: each must be found, or the simulator is blind.

use std::str::FromStr;

/// A known fault that can be planted into the core's surroundings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Break {
    /// The gate answers 0 both for *short* and for *last one sold*, and 0 is taken for sold, as in
    /// the seed's Lua.
    SeedLua,
    /// The gate gives units back by counting up, also when the release is delivered again.
    DoubleRelease,
    /// The store does not look at fences.
    NoFence,
    /// A rebuilt gate forgets what was sold.
    RebuildWithoutConfirmed,
    /// An append whose outcome is not known is taken for a refusal, and compensated.
    CompensateAmbiguous,
    /// A reduction is sent to the log without taking its units at the gate.
    ReductionSkipsGate,
}

/// Every planted fault, with its name on the command line.
pub const BREAKS: [(Break, &str); 6] = [
    (Break::SeedLua, "seed_lua"),
    (Break::DoubleRelease, "double_release"),
    (Break::NoFence, "no_fence"),
    (Break::RebuildWithoutConfirmed, "rebuild_without_confirmed"),
    (Break::CompensateAmbiguous, "compensate_ambiguous"),
    (Break::ReductionSkipsGate, "reduction_skips_gate"),
];

impl Break {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        BREAKS.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }
}

/// A name that is no planted fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no planted fault")]
pub struct UnknownBreak(pub String);

impl FromStr for Break {
    type Err = UnknownBreak;
    fn from_str(name: &str) -> Result<Self, UnknownBreak> {
        BREAKS
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(planted, _)| *planted)
            .ok_or_else(|| UnknownBreak(name.to_owned()))
    }
}
