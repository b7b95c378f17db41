//! That somebody's keys were destroyed, and on whose word.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::envelope::Position;
use crate::ids::SellerId;
use crate::repair::Repair;

/// The keys of a subject were destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shredding {
    /// Within which seller.
    pub seller: SellerId,
    /// Whose, as a keyed pseudonym.
    pub subject: String,
    /// When.
    #[serde(with = "crate::rfc3339")]
    pub at: Timestamp,
    /// Who did it, and why.
    #[serde(flatten)]
    pub by: Repair,
    /// How many keys.
    pub keys: u64,
    /// Where the log ended.
    pub head: Position,
}
