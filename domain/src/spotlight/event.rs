//! Facts of a spotlight.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::waitlist::{UnitsBySku, Wait, WaitOutcome};
use super::withdrawal::{Settle, Withdrawal};
use crate::Timestamp;
use crate::demand::Observed;
use crate::ids::{BroadcastId, OrderId, SellerId, Sku, SpotlightId, ViewerRef};
use crate::line::Lines;
use crate::offer::{Offer, Product, SkuTerms};
use crate::personal::Personal;

/// What made a spotlight open or close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The host asked for it.
    Host,
    /// Its time had come.
    Schedule,
    /// The broadcast ended.
    BroadcastEnded,
}

/// Why a gate entry is given back without a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoidCause {
    /// The order is known under another admission.
    Duplicate,
    /// The order failed at acceptance.
    NotReserved,
    /// The host's command was refused by the log.
    Refused,
    /// The command was parked.
    Parked,
}

/// What a spotlight offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpotlightTerms {
    /// Which spotlight.
    pub spotlight_id: SpotlightId,
    /// In which broadcast.
    pub broadcast_id: BroadcastId,
    /// Whose it is.
    pub seller: SellerId,
    /// What is shown.
    pub product: Product,
    /// What can be ordered, with the units at the start.
    pub skus: Vec<SkuTerms>,
    /// The first offer.
    pub offer: Offer,
    /// Units that one viewer may hold and buy over the spotlight's life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_viewer_limit: Option<u32>,
    /// How long a reservation is held, in seconds.
    pub hold_seconds: u32,
    /// How long a reservation of a viewer is held who has abandoned
    /// [`ABANDONED_HOLDS`](crate::limits::ABANDONED_HOLDS) holds here, in seconds; absent where all
    /// are held equally long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abandoned_hold_seconds: Option<u32>,
    /// When it is to open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Timestamp>,
    /// When it is to close.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Timestamp>,
    /// The shop's reference and own fields.
    #[serde(default, skip_serializing_if = "Personal::is_empty")]
    pub personal: Personal,
}

/// What happened to a spotlight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpotlightEvent {
    /// The offer was prepared.
    SpotlightScheduled {
        /// What it offers.
        #[serde(flatten)]
        terms: Box<SpotlightTerms>,
    },
    /// Orders are taken.
    SpotlightOpened {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// The writer's time.
        at: Timestamp,
        /// What made it open.
        cause: Cause,
    },
    /// Orders are not taken for a while.
    SpotlightPaused {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// The writer's time.
        at: Timestamp,
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// Orders are taken again.
    SpotlightResumed {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// The writer's time.
        at: Timestamp,
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// Units were added or taken away.
    StockAdjusted {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// Of which SKU.
        sku: Sku,
        /// How many, signed.
        delta: i64,
        /// The gate's entry of a reduction; what the gate took is turned into a lower limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gate_entry: Option<Uuid>,
        /// The refund that put the units back, if it was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refund_of: Option<OrderId>,
        /// What of it stays taken for those who wait; `UnitsCarried` follows.
        #[serde(default, skip_serializing_if = "UnitsBySku::is_empty")]
        kept: UnitsBySku,
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// The price changed.
    OfferChanged {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// The new price list.
        offer: Offer,
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// An offer version was stopped; its orders are settled. The spotlight stays paused until the
    /// next offer.
    OfferWithdrawn {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// Which version.
        offer_version: u32,
        /// What becomes of its orders.
        settle: Settle,
        /// The writer's time.
        at: Timestamp,
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// How far the settling of a withdrawn version has come.
    WithdrawalProgressed {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// How far.
        withdrawal: Withdrawal,
    },
    /// The gate lost its data, or may have; it is rebuilt as of this event under a new epoch.
    GateReopened {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// The epoch of the rebuilt gate.
        epoch: u64,
    },
    /// What the gate took under this entry is given back: no reservation came of it.
    AdmissionVoided {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// The gate's entry: an order, or a host's command.
        entry: Uuid,
        /// The gate's epoch of the take.
        epoch: u64,
        /// The gate's number of the take.
        admission_no: u64,
        /// Why.
        cause: VoidCause,
        /// What of it stays taken for those who wait; `UnitsCarried` follows.
        #[serde(default, skip_serializing_if = "UnitsBySku::is_empty")]
        kept: UnitsBySku,
    },
    /// A viewer waits for units that are sold out, behind everybody who waits already.
    WaitlistJoined {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// The gate's entry, which is the command's id; the order of an offer follows from it.
        entry: Uuid,
        /// Who waits, for what.
        #[serde(flatten)]
        wait: Box<Wait>,
    },
    /// The next in line was made an offer: an order that waits for its payment, with units that
    /// were kept.
    WaitlistOffered {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// To whom.
        viewer_ref: ViewerRef,
        /// The order.
        order_id: OrderId,
        /// What.
        lines: Lines,
        /// Until when it can be paid.
        #[serde(with = "crate::rfc3339")]
        expires_at: Timestamp,
    },
    /// A viewer waits no longer: an offer ended, or the waiting did.
    WaitlistEnded {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// Who.
        viewer_ref: ViewerRef,
        /// How.
        outcome: WaitOutcome,
        /// The offer's order; absent where there was no offer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order_id: Option<OrderId>,
    },
    /// Units that were given up or added stay taken: they are the next in line's.
    UnitsCarried {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// How many of each SKU.
        units: UnitsBySku,
    },
    /// Units that were kept are free: nobody waits for them any more.
    UnitsFreed {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// How many of each SKU.
        units: UnitsBySku,
    },
    /// A viewer let a hold run out, or called it off, while the next step was the viewer's: counted
    /// where the spotlight has a shorter hold for that, and until it applies.
    HoldAbandoned {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// By whom.
        viewer_ref: ViewerRef,
        /// Which order's.
        order_id: OrderId,
    },
    /// Units were asked for and refused: at most one of each node, SKU and second.
    DemandObserved {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// In which second, by the node's clock.
        second: Timestamp,
        /// The node that refused.
        node: String,
        /// What, how often and by whom.
        #[serde(flatten)]
        observed: Box<Observed>,
    },
    /// No order is taken any more.
    SpotlightClosed {
        /// Which spotlight.
        spotlight_id: SpotlightId,
        /// The writer's time.
        at: Timestamp,
        /// What made it close.
        cause: Cause,
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
}

impl SpotlightEvent {
    /// The spotlight that it belongs to.
    pub fn spotlight_id(&self) -> SpotlightId {
        match self {
            Self::SpotlightScheduled { terms } => terms.spotlight_id,
            Self::SpotlightOpened { spotlight_id, .. }
            | Self::SpotlightPaused { spotlight_id, .. }
            | Self::SpotlightResumed { spotlight_id, .. }
            | Self::StockAdjusted { spotlight_id, .. }
            | Self::OfferChanged { spotlight_id, .. }
            | Self::OfferWithdrawn { spotlight_id, .. }
            | Self::WithdrawalProgressed { spotlight_id, .. }
            | Self::GateReopened { spotlight_id, .. }
            | Self::AdmissionVoided { spotlight_id, .. }
            | Self::DemandObserved { spotlight_id, .. }
            | Self::WaitlistJoined { spotlight_id, .. }
            | Self::WaitlistOffered { spotlight_id, .. }
            | Self::WaitlistEnded { spotlight_id, .. }
            | Self::UnitsCarried { spotlight_id, .. }
            | Self::UnitsFreed { spotlight_id, .. }
            | Self::HoldAbandoned { spotlight_id, .. }
            | Self::SpotlightClosed { spotlight_id, .. } => *spotlight_id,
        }
    }
}

impl DomainEvent for SpotlightEvent {
    fn event_type(&self) -> String {
        match self {
            Self::SpotlightScheduled { .. } => "SpotlightScheduled",
            Self::SpotlightOpened { .. } => "SpotlightOpened",
            Self::SpotlightPaused { .. } => "SpotlightPaused",
            Self::SpotlightResumed { .. } => "SpotlightResumed",
            Self::StockAdjusted { .. } => "StockAdjusted",
            Self::OfferChanged { .. } => "OfferChanged",
            Self::OfferWithdrawn { .. } => "OfferWithdrawn",
            Self::WithdrawalProgressed { .. } => "WithdrawalProgressed",
            Self::GateReopened { .. } => "GateReopened",
            Self::AdmissionVoided { .. } => "AdmissionVoided",
            Self::SpotlightClosed { .. } => "SpotlightClosed",
            Self::DemandObserved { .. } => "DemandObserved",
            Self::WaitlistJoined { .. } => "WaitlistJoined",
            Self::WaitlistOffered { .. } => "WaitlistOffered",
            Self::WaitlistEnded { .. } => "WaitlistEnded",
            Self::UnitsCarried { .. } => "UnitsCarried",
            Self::UnitsFreed { .. } => "UnitsFreed",
            Self::HoldAbandoned { .. } => "HoldAbandoned",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
