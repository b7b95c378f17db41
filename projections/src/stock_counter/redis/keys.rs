//! The keys of one spotlight, all under one hash tag.

use domain::ids::SpotlightId;

/// Which of the keys `take` uses, from the first on.
const TAKE_KEYS: usize = 6;
/// How many sets remember which spotlights are live.
pub(super) const LIVE_SETS: u128 = 16;

const PARTS: [&str; 7] = ["m", "s", "e", "p", "l", "v", "d"];

/// The keys in the order of the scripts: meta, stock, entries, pending, ids, viewers, deadlines.
pub(super) struct GateKeys([String; 7]);

impl GateKeys {
    pub fn of(prefix: &str, spotlight: SpotlightId) -> Self {
        Self(PARTS.map(|part| format!("{prefix}gate:{{{spotlight}}}:{part}")))
    }

    /// Where a snapshot is put together, in the same slot.
    pub fn temporary(prefix: &str, spotlight: SpotlightId, token: &str) -> Self {
        Self(PARTS.map(|part| format!("{prefix}gate:{{{spotlight}}}:load:{token}:{part}")))
    }

    pub fn all(&self) -> &[String] {
        &self.0
    }

    pub fn meta(&self) -> &str {
        let [meta, ..] = &self.0;
        meta
    }

    pub fn pending(&self) -> &str {
        let [_, _, _, pending, ..] = &self.0;
        pending
    }

    pub fn ids(&self) -> &str {
        let [_, _, _, _, ids, ..] = &self.0;
        ids
    }

    pub fn of_take(&self) -> &[String] {
        self.0.split_at(TAKE_KEYS).0
    }
}

/// The set that remembers a live spotlight; a set lies in one slot, so no script crosses slots.
pub(super) fn live_set(prefix: &str, spotlight: SpotlightId) -> String {
    live_set_at(prefix, spotlight.0.as_u128() % LIVE_SETS)
}

pub(super) fn live_set_at(prefix: &str, number: u128) -> String {
    format!("{prefix}gate:live:{number}")
}
