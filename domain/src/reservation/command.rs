//! What may be asked of a reservation.

use serde::{Deserialize, Serialize};

use super::event::ReleaseReason;
use crate::Timestamp;
use crate::ids::{OrderId, SpotlightId, ViewerRef};
use crate::line::Lines;

/// A command to a reservation; only decisions of an order issue them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReservationCommand {
    /// Hold units.
    Reserve {
        /// For which order.
        order_id: OrderId,
        /// Of which spotlight.
        spotlight_id: SpotlightId,
        /// By whom.
        viewer_ref: ViewerRef,
        /// What.
        lines: Lines,
        /// The gate's epoch of the take.
        epoch: u64,
        /// The gate's number of the take.
        admission_no: u64,
        /// Until when.
        deadline: Timestamp,
    },
    /// Sell the units.
    Confirm,
    /// Give the units back.
    Release {
        /// Why.
        reason: ReleaseReason,
    },
}
