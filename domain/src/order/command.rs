//! What may be asked of an order.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::admission::Admission;
use crate::fingerprint::Fingerprint;
use crate::ids::{OrderId, SpotlightId, ViewerRef};
use crate::line::Lines;
use crate::payment::PaymentResult;
use crate::personal::Personal;

/// How the buyer pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentChoice {
    /// Which provider.
    pub provider: String,
    /// By which of its methods.
    pub method: String,
}

/// An order as the gate admitted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceOrder {
    /// The derived id.
    pub order_id: OrderId,
    /// In which spotlight.
    pub spotlight_id: SpotlightId,
    /// By whom.
    pub viewer_ref: ViewerRef,
    /// What.
    pub lines: Lines,
    /// The offer version that the buyer saw.
    pub offer_version: u32,
    /// How the buyer pays; absent where the order waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentChoice>,
    /// The fingerprint of the idempotency key.
    pub key_fingerprint: Fingerprint,
    /// The fingerprint of the request.
    pub body_fingerprint: Fingerprint,
    /// When the request arrived.
    #[serde(with = "crate::rfc3339")]
    pub received_at: Timestamp,
    /// The node that took it.
    pub node: String,
    /// Decided later than this it fails `not_accepted`: its buyer was never told that it was
    /// accepted (design rule 7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void_after: Option<Timestamp>,
    /// Who, and what the shop wrote on it.
    #[serde(default)]
    pub personal: Personal,
    /// The gate's yes; absent only inside the gate's own copy of the command, whose entry holds it.
    /// The last field: the copy becomes the command by what is added to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Admission>,
}

/// A command to an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OrderCommand {
    /// Reserve the units and ask for the payment.
    PlaceOrder {
        /// The order.
        place: Box<PlaceOrder>,
    },
    /// Pay an order that waits for it, or try again after a soft decline.
    RequestPayment {
        /// Which order.
        order_id: OrderId,
        /// How the buyer pays.
        payment: PaymentChoice,
    },
    /// What a provider answered.
    RecordPayment {
        /// Of which order.
        order_id: OrderId,
        /// Of which attempt.
        attempt: u32,
        /// What it answered.
        result: PaymentResult,
    },
    /// What a provider told by itself; its repeats have the same command id.
    TellPayment {
        /// Of which order.
        order_id: OrderId,
        /// Of which attempt.
        attempt: u32,
        /// What it told.
        result: PaymentResult,
    },
    /// The payment came after the hold had run out, and the gate gave the units once more.
    TakeAgain {
        /// Which order.
        order_id: OrderId,
        /// The gate's yes; absent only inside the gate's own copy of the command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        admission: Option<Admission>,
    },
    /// The payment came after the hold had run out, and the gate had no units left.
    TurnAway {
        /// Which order.
        order_id: OrderId,
    },
    /// A sweeper found the hold run out.
    ExpireHold {
        /// Of which order.
        order_id: OrderId,
    },
    /// The buyer or the host calls it off.
    CancelOrder {
        /// Which order.
        order_id: OrderId,
        /// What somebody typed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The host gives a sale back.
    RefundOrder {
        /// Which order.
        order_id: OrderId,
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Which units; all that are left where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<Lines>,
        /// Whether they can be sold again.
        restock: bool,
    },
    /// Its offer version was withdrawn: it is called off, and what was paid goes back.
    WithdrawOrder {
        /// Which order.
        order_id: OrderId,
    },
    /// The deadline of a parked `PlaceOrder` has passed: its order fails.
    FailParked {
        /// The order.
        place: Box<PlaceOrder>,
    },
    /// The deadline of a provider's answer that was parked has passed: its order ends.
    EndParked {
        /// Which order.
        order_id: OrderId,
    },
}

impl OrderCommand {
    /// The order that it is for.
    pub fn order_id(&self) -> OrderId {
        match self {
            Self::PlaceOrder { place } | Self::FailParked { place } => place.order_id,
            Self::RequestPayment { order_id, .. }
            | Self::RecordPayment { order_id, .. }
            | Self::TellPayment { order_id, .. }
            | Self::TakeAgain { order_id, .. }
            | Self::TurnAway { order_id }
            | Self::EndParked { order_id }
            | Self::WithdrawOrder { order_id }
            | Self::RefundOrder { order_id, .. }
            | Self::ExpireHold { order_id }
            | Self::CancelOrder { order_id, .. } => *order_id,
        }
    }
}
