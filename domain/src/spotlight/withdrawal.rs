//! An offer version that was stopped, and how far its orders are settled.

use serde::{Deserialize, Serialize};

/// What becomes of the orders of a withdrawn version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settle {
    /// They go on at the price that was accepted.
    Honour,
    /// They are cancelled, and what was paid goes back.
    Cancel,
}

/// A withdrawn version and how far its orders are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Which version.
    pub offer_version: u32,
    /// What becomes of its orders.
    pub settle: Settle,
    /// Orders of it that were not over when it was withdrawn.
    pub total: u64,
    /// Of these, settled.
    pub done: u64,
    /// Of these, waiting for somebody: their refund is parked.
    pub failed: u64,
    /// Whether something of it is left to be done.
    pub open: bool,
}

impl Withdrawal {
    /// A version that was just withdrawn.
    pub const fn begun(offer_version: u32, settle: Settle) -> Self {
        Self { offer_version, settle, total: 0, done: 0, failed: 0, open: true }
    }
}
