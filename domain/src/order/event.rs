//! Facts of an order.

use std::fmt;

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::admission::Admission;
use crate::fingerprint::Fingerprint;
use crate::ids::{BroadcastId, OrderId, SpotlightId, ViewerRef};
use crate::line::{Lines, PricedLine};
use crate::money::Money;
use crate::payment::DeclineKind;
use crate::personal::Personal;

/// Why an order ended without a sale, or waits; an open list in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderReason {
    /// The provider said no.
    PaymentDeclined,
    /// The provider never answered.
    PaymentTimeout,
    /// The hold ran out while the provider's answer was not known.
    PaymentUnknown,
    /// The payment came after the hold had run out.
    LatePayment,
    /// The capture failed for good.
    CaptureFailed,
    /// The hold ran out unpaid.
    HoldExpired,
    /// The offer version was withdrawn.
    Withdrawn,
    /// The order was never acknowledged to its buyer in time.
    NotAccepted,
    /// The command could not be processed.
    Parked,
    /// The log had no stock, or the viewer no units left: only after Redis lost data.
    StockGuard,
    /// The viewer asked for it.
    CancelledByViewer,
    /// The host asked for it.
    CancelledByHost,
    /// The host gave a sale back.
    RefundedByHost,
}

impl OrderReason {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaymentDeclined => "payment_declined",
            Self::PaymentTimeout => "payment_timeout",
            Self::PaymentUnknown => "payment_unknown",
            Self::LatePayment => "late_payment",
            Self::CaptureFailed => "capture_failed",
            Self::HoldExpired => "hold_expired",
            Self::Withdrawn => "withdrawn",
            Self::NotAccepted => "not_accepted",
            Self::Parked => "parked",
            Self::StockGuard => "stock_guard",
            Self::CancelledByViewer => "cancelled_by_viewer",
            Self::CancelledByHost => "cancelled_by_host",
            Self::RefundedByHost => "refunded_by_host",
        }
    }
}

impl fmt::Display for OrderReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was accepted, with every input of the decision (design rule 16).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Which order.
    pub order_id: OrderId,
    /// In which spotlight.
    pub spotlight_id: SpotlightId,
    /// In which broadcast.
    pub broadcast_id: BroadcastId,
    /// By whom.
    pub viewer_ref: ViewerRef,
    /// What, at which price.
    pub lines: Vec<PricedLine>,
    /// What it costs.
    pub total: Money,
    /// The gate's yes.
    pub admission: Admission,
    /// The payment method that the buyer chose; absent where the order waits for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<String>,
    /// The fingerprint of the idempotency key.
    pub key_fingerprint: Fingerprint,
    /// The fingerprint of the request.
    pub body_fingerprint: Fingerprint,
    /// When the request arrived, by the node's clock.
    #[serde(with = "crate::rfc3339")]
    pub received_at: Timestamp,
    /// The node that took the request.
    pub node: String,
    /// When it was decided, by the writer's clock.
    #[serde(with = "crate::rfc3339")]
    pub accepted_at: Timestamp,
    /// Who, and what the shop wrote on it.
    #[serde(default)]
    pub personal: Personal,
}

/// Units of a sale that was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// Of which spotlight.
    pub spotlight_id: SpotlightId,
    /// By whom.
    pub viewer_ref: ViewerRef,
    /// What.
    pub lines: Lines,
    /// Whether they can be sold again; then `StockAdjusted` of the same transaction says so.
    pub restock: bool,
}

/// What happened to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderEvent {
    /// The order is in the log.
    #[serde(with = "accepted")]
    OrderAccepted {
        /// What was accepted.
        accepted: Box<Accepted>,
    },
    /// The provider is to be asked; no call goes out without this fact.
    PaymentRequested {
        /// Which order.
        order_id: OrderId,
        /// 1, 2, 3 …; part of the provider's idempotency key.
        attempt: u32,
        /// Which provider.
        provider: String,
        /// By which method.
        method: String,
        /// How much.
        amount: Money,
    },
    /// The amount is set aside; the capture is to be asked for.
    PaymentAuthorized {
        /// Which order.
        order_id: OrderId,
        /// Of which attempt.
        attempt: u32,
        /// How much.
        amount: Money,
        /// The provider's reference.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// The buyer has to act before the provider can answer; what is to be done stands in
    /// `personal`.
    PaymentActionRequired {
        /// Which order.
        order_id: OrderId,
        /// Of which attempt.
        attempt: u32,
        /// What is to be done, and the provider's reference.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// The amount is ours.
    PaymentCaptured {
        /// Which order.
        order_id: OrderId,
        /// Of which attempt.
        attempt: u32,
        /// How much.
        amount: Money,
    },
    /// The provider said no.
    PaymentDeclined {
        /// Which order.
        order_id: OrderId,
        /// Of which attempt.
        attempt: u32,
        /// How final it is.
        kind: DeclineKind,
        /// The provider's code.
        code: String,
    },
    /// The answer was lost; the provider is queried, never charged again.
    PaymentUnknown {
        /// Which order.
        order_id: OrderId,
        /// Of which attempt.
        attempt: u32,
    },
    /// The capture failed for good.
    CaptureFailed {
        /// Which order.
        order_id: OrderId,
        /// Of which attempt.
        attempt: u32,
        /// The provider's code.
        code: String,
    },
    /// The authorisation was given back.
    PaymentVoided {
        /// Which order.
        order_id: OrderId,
        /// Of which attempt.
        attempt: u32,
    },
    /// The order is paid and its units are sold.
    OrderConfirmed {
        /// Which order.
        order_id: OrderId,
    },
    /// The order ended without a sale.
    OrderFailed {
        /// Which order.
        order_id: OrderId,
        /// Why.
        reason: OrderReason,
    },
    /// The buyer or the host called it off.
    OrderCancelled {
        /// Which order.
        order_id: OrderId,
        /// Why.
        reason: OrderReason,
        /// What somebody typed.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// Money is to be given back; no call goes out without this fact.
    RefundRequested {
        /// Which order.
        order_id: OrderId,
        /// 1, 2, 3 …; part of the provider's idempotency key.
        attempt: u32,
        /// How much.
        amount: Money,
        /// Why.
        reason: OrderReason,
        /// The units of a sale that the viewer no longer has; absent where nothing was sold.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        returned: Option<Box<Returned>>,
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// Money was given back.
    OrderRefunded {
        /// Which order.
        order_id: OrderId,
        /// Of which refund.
        attempt: u32,
        /// How much.
        amount: Money,
    },
}

/// The fields of what was accepted stand in the event itself. As `flatten` has it, without its
/// detour over a copy of every value: this is the largest event and the most frequent one.
mod accepted {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Accepted;

    #[expect(clippy::borrowed_box, reason = "the field as serde passes it")]
    pub(super) fn serialize<S: Serializer>(
        accepted: &Box<Accepted>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        accepted.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Box<Accepted>, D::Error> {
        Box::deserialize(deserializer)
    }
}

impl OrderEvent {
    /// The order that it belongs to.
    pub fn order_id(&self) -> OrderId {
        match self {
            Self::OrderAccepted { accepted } => accepted.order_id,
            Self::PaymentRequested { order_id, .. }
            | Self::PaymentActionRequired { order_id, .. }
            | Self::PaymentAuthorized { order_id, .. }
            | Self::PaymentCaptured { order_id, .. }
            | Self::PaymentDeclined { order_id, .. }
            | Self::PaymentUnknown { order_id, .. }
            | Self::CaptureFailed { order_id, .. }
            | Self::PaymentVoided { order_id, .. }
            | Self::OrderConfirmed { order_id }
            | Self::OrderFailed { order_id, .. }
            | Self::OrderCancelled { order_id, .. }
            | Self::RefundRequested { order_id, .. }
            | Self::OrderRefunded { order_id, .. } => *order_id,
        }
    }
}

impl DomainEvent for OrderEvent {
    fn event_type(&self) -> String {
        match self {
            Self::OrderAccepted { .. } => "OrderAccepted",
            Self::PaymentRequested { .. } => "PaymentRequested",
            Self::PaymentActionRequired { .. } => "PaymentActionRequired",
            Self::PaymentAuthorized { .. } => "PaymentAuthorized",
            Self::PaymentCaptured { .. } => "PaymentCaptured",
            Self::PaymentDeclined { .. } => "PaymentDeclined",
            Self::PaymentUnknown { .. } => "PaymentUnknown",
            Self::CaptureFailed { .. } => "CaptureFailed",
            Self::PaymentVoided { .. } => "PaymentVoided",
            Self::OrderConfirmed { .. } => "OrderConfirmed",
            Self::OrderFailed { .. } => "OrderFailed",
            Self::OrderCancelled { .. } => "OrderCancelled",
            Self::RefundRequested { .. } => "RefundRequested",
            Self::OrderRefunded { .. } => "OrderRefunded",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
