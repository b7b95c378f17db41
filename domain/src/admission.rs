//! The stock gate's fast yes.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What the gate wrote down when it took stock; a command carries it so that the writer judges the
/// window by the gate's time and the price by the gate's offer version (design rule 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The gate's epoch: how often it was rebuilt.
    pub epoch: u64,
    /// The gate's running number of this take, within the epoch.
    pub number: u64,
    /// The gate's clock at the take.
    #[serde(with = "crate::rfc3339")]
    pub at: Timestamp,
    /// The offer version that was sold.
    pub offer_version: u32,
}
