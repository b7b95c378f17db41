//! Facts of a reservation.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{OrderId, Sku, SpotlightId, ViewerRef};
use crate::line::Lines;
use crate::spotlight::UnitsBySku;

/// Why units were given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    /// The payment failed.
    PaymentFailed,
    /// The hold ran out.
    HoldExpired,
    /// The buyer or the host cancelled.
    Cancelled,
    /// The command was parked and its deadline passed.
    Parked,
}

/// What happened to a reservation: sequence 1 is `StockReserved`, sequence 2 is one of the others,
/// and there is no sequence 3 (design rule 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReservationEvent {
    /// Units are held.
    StockReserved {
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
        /// Until when, by the writer's clock.
        #[serde(with = "crate::rfc3339")]
        deadline: Timestamp,
    },
    /// The units are sold.
    ReservationConfirmed {
        /// For which order.
        order_id: OrderId,
        /// Of which spotlight.
        spotlight_id: SpotlightId,
        /// By whom.
        viewer_ref: ViewerRef,
        /// What.
        lines: Lines,
    },
    /// The units are free again.
    ReservationReleased {
        /// For which order.
        order_id: OrderId,
        /// Of which spotlight.
        spotlight_id: SpotlightId,
        /// By whom.
        viewer_ref: ViewerRef,
        /// What.
        lines: Lines,
        /// Why.
        reason: ReleaseReason,
        /// What of it stays taken for those who wait; `UnitsCarried` follows.
        #[serde(default, skip_serializing_if = "UnitsBySku::is_empty")]
        kept: UnitsBySku,
    },
}

impl ReservationEvent {
    /// The spotlight whose units it moves.
    pub const fn spotlight_id(&self) -> SpotlightId {
        match self {
            Self::StockReserved { spotlight_id, .. }
            | Self::ReservationConfirmed { spotlight_id, .. }
            | Self::ReservationReleased { spotlight_id, .. } => *spotlight_id,
        }
    }

    /// The order that holds the units.
    pub const fn order_id(&self) -> OrderId {
        match self {
            Self::StockReserved { order_id, .. }
            | Self::ReservationConfirmed { order_id, .. }
            | Self::ReservationReleased { order_id, .. } => *order_id,
        }
    }

    /// The viewer who holds the units.
    pub const fn viewer_ref(&self) -> &ViewerRef {
        match self {
            Self::StockReserved { viewer_ref, .. }
            | Self::ReservationConfirmed { viewer_ref, .. }
            | Self::ReservationReleased { viewer_ref, .. } => viewer_ref,
        }
    }

    /// What of a SKU stays taken for those who wait.
    pub fn kept(&self, sku: &Sku) -> u32 {
        match self {
            Self::ReservationReleased { kept, .. } => kept.get(sku).copied().unwrap_or(0),
            Self::StockReserved { .. } | Self::ReservationConfirmed { .. } => 0,
        }
    }

    /// The units.
    pub const fn lines(&self) -> &Lines {
        match self {
            Self::StockReserved { lines, .. }
            | Self::ReservationConfirmed { lines, .. }
            | Self::ReservationReleased { lines, .. } => lines,
        }
    }
}

impl DomainEvent for ReservationEvent {
    fn event_type(&self) -> String {
        match self {
            Self::StockReserved { .. } => "StockReserved",
            Self::ReservationConfirmed { .. } => "ReservationConfirmed",
            Self::ReservationReleased { .. } => "ReservationReleased",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
