//! What may be asked of a spotlight.

use serde::{Deserialize, Serialize};

use super::event::{Cause, SpotlightTerms};
use super::waitlist::Wait;
use super::withdrawal::{Settle, Withdrawal};
use crate::Timestamp;
use crate::admission::Admission;
use crate::demand::Observed;
use crate::ids::{Sku, ViewerRef};
use crate::money::Money;

/// A command to a spotlight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SpotlightCommand {
    /// Prepare an offer.
    ScheduleSpotlight {
        /// What it offers.
        terms: Box<SpotlightTerms>,
        /// Whether it opens at once: the broadcast was live and no later time was asked for.
        open_now: bool,
    },
    /// Take orders.
    OpenSpotlight {
        /// What asks for it.
        cause: Cause,
    },
    /// Take no orders for a while; the gate has stopped already (design rule 11).
    PauseSpotlight {
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The gate's entry of this command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        admission: Option<Admission>,
    },
    /// Take orders again.
    ResumeSpotlight {
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Take no orders any more; the gate has stopped already (design rule 11).
    CloseSpotlight {
        /// What asks for it.
        cause: Cause,
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The gate's entry of this command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        admission: Option<Admission>,
    },
    /// Add units, or take units away that the gate has set aside already.
    AdjustStock {
        /// Of which SKU.
        sku: Sku,
        /// How many, signed, not 0.
        delta: i64,
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The gate's entry of a reduction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        admission: Option<Admission>,
    },
    /// Change the price; the gate refuses the old version already (design rule 11).
    ChangeOffer {
        /// The price of one unit of a SKU without a price of its own.
        live_price: Money,
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The gate's entry of this command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        admission: Option<Admission>,
    },
    /// Stop an offer version and settle its orders; the gate has stopped already (design rule 11).
    WithdrawOffer {
        /// Which version.
        offer_version: u32,
        /// What becomes of its orders.
        settle: Settle,
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The gate's entry of this command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        admission: Option<Admission>,
    },
    /// How far the settling of a withdrawn version has come.
    ReportWithdrawal {
        /// How far.
        withdrawal: Withdrawal,
    },
    /// Wait for units that are sold out; the gate counts them against the viewer's limit already.
    JoinWaitlist {
        /// Who, for what.
        wait: Box<Wait>,
        /// The gate's entry of this command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        admission: Option<Admission>,
    },
    /// Wait no longer.
    LeaveWaitlist {
        /// Who.
        viewer_ref: ViewerRef,
    },
    /// Write down what one node refused in one second.
    ObserveDemand {
        /// Which second.
        second: Timestamp,
        /// Which node.
        node: String,
        /// What, each SKU once.
        observed: Vec<Observed>,
    },
    /// Rebuild the gate under the epoch after `expected`; a repeat with an old epoch does nothing.
    ReopenGate {
        /// The epoch that was found lost.
        expected: u64,
    },
}

impl SpotlightCommand {
    /// The gate's entry that this command must end, if it has one.
    pub const fn admission(&self) -> Option<Admission> {
        match self {
            Self::PauseSpotlight { admission, .. }
            | Self::WithdrawOffer { admission, .. }
            | Self::CloseSpotlight { admission, .. }
            | Self::JoinWaitlist { admission, .. }
            | Self::AdjustStock { admission, .. }
            | Self::ChangeOffer { admission, .. } => *admission,
            _ => None,
        }
    }

    /// Takes the gate's entry out of a command that narrows.
    pub const fn forget_admission(&mut self) {
        match self {
            Self::PauseSpotlight { admission, .. }
            | Self::WithdrawOffer { admission, .. }
            | Self::CloseSpotlight { admission, .. }
            | Self::JoinWaitlist { admission, .. }
            | Self::AdjustStock { admission, .. }
            | Self::ChangeOffer { admission, .. } => *admission = None,
            _ => {}
        }
    }

    /// Writes the gate's entry into a command that narrows.
    pub const fn admit(&mut self, admitted: Admission) {
        match self {
            Self::PauseSpotlight { admission, .. }
            | Self::WithdrawOffer { admission, .. }
            | Self::CloseSpotlight { admission, .. }
            | Self::JoinWaitlist { admission, .. }
            | Self::AdjustStock { admission, .. }
            | Self::ChangeOffer { admission, .. } => *admission = Some(admitted),
            _ => {}
        }
    }
}
