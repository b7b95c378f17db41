//! What a gate is loaded with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::stock_gate::{EntryState, GateOffer};
use crate::Timestamp;
use crate::admission::Admission;
use crate::envelope::Position;
use crate::fingerprint::Fingerprint;
use crate::ids::{OrderId, Sku, SpotlightId, ViewerRef};
use crate::line::Lines;
use crate::spotlight::SpotlightStatus;

/// One order in a [`GateSnapshot`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotOrder {
    /// Which order.
    pub order: OrderId,
    /// Whose.
    pub viewer: ViewerRef,
    /// What.
    pub lines: Lines,
    /// Held, sold or ended; never pending.
    pub state: EntryState,
    /// The admission of the log.
    pub admission: Admission,
    /// The fingerprint of the request.
    pub fingerprint: Fingerprint,
    /// Until when it is held.
    pub deadline: Option<Timestamp>,
    /// Units of a sale that went back: they no longer count for the viewer.
    #[serde(default)]
    pub returned: u32,
}

/// The gate's state as of a position, folded from the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateSnapshot {
    /// Which spotlight.
    pub spotlight: SpotlightId,
    /// The epoch of the last `GateReopened`; 1 before the first.
    pub epoch: u64,
    /// The last position of the spotlight in the log.
    pub applied: Position,
    /// Where it stands.
    pub status: SpotlightStatus,
    /// When it is to open.
    pub opens_at: Option<Timestamp>,
    /// When it is to close.
    pub closes_at: Option<Timestamp>,
    /// What is sold.
    pub offer: GateOffer,
    /// Units that one viewer may hold and buy.
    pub per_viewer_limit: Option<u32>,
    /// The limit of each SKU.
    pub limits: BTreeMap<Sku, i64>,
    /// Every order that the log knows, with its units.
    pub orders: Vec<SnapshotOrder>,
    /// Units that are kept for those who wait.
    #[serde(default)]
    pub kept: BTreeMap<Sku, i64>,
    /// Units that viewers wait for, where the spotlight limits them.
    #[serde(default)]
    pub waiting: BTreeMap<ViewerRef, u32>,
}

/// What came of loading a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// The gate is open under the new epoch.
    Done,
    /// The gate has this epoch or a higher one already; nothing was changed.
    NotHigher {
        /// The gate's epoch.
        epoch: u64,
    },
}
