//! What readers see: the shapes of the API, folded from events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::Timestamp;
use crate::broadcast::BroadcastStatus;
use crate::envelope::Position;
use crate::fingerprint::Fingerprint;
use crate::ids::{BroadcastId, OrderId, SellerId, Sku, SpotlightId, ViewerId, ViewerRef};
use crate::line::{Lines, PricedLine};
use crate::money::{Currency, Money};
use crate::offer::{Offer, Product, SkuTerms};
use crate::order::OrderReason;
use crate::payment::{NextAction, PaymentStatus};
use crate::spotlight::{SpotlightStatus, Withdrawal};

/// The status of an order in the API; the seed's words, then two more.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Accepted; the log has not reserved yet, or waits for the provider after the hold.
    #[default]
    Pending,
    /// Units are held.
    Reserved,
    /// Paid and sold.
    Confirmed,
    /// Ended without a sale.
    Failed,
    /// Called off.
    Cancelled,
    /// Paid and wholly given back.
    Refunded,
}

impl OrderStatus {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Reserved => "reserved",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
        }
    }

    /// Whether nothing more is to happen by itself.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Reserved)
    }
}

/// The payment of an order as readers see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    /// Where it stands.
    pub status: PaymentStatus,
    /// Whether the buyer may try again.
    pub retryable: bool,
    /// Which provider; absent before the first attempt.
    pub provider: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// What the buyer has to do, while the payment waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action: Option<NextAction>,
    /// What is to be given back and was not yet; not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_due: Option<Money>,
}

/// An order as readers see it; the order book's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// Which order.
    pub id: OrderId,
    /// In which spotlight.
    pub spotlight_id: SpotlightId,
    /// In which broadcast.
    pub broadcast_id: BroadcastId,
    /// Whose broadcast.
    pub seller: SellerId,
    /// Who ordered; absent once shredded.
    pub viewer: Option<ViewerId>,
    /// The viewer's pseudonym; not shown.
    pub viewer_ref: ViewerRef,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it ended, or waits.
    pub reason: Option<OrderReason>,
    /// What was ordered, at which price.
    pub lines: Vec<PricedLine>,
    /// What it costs.
    pub total: Money,
    /// The offer version that was sold.
    pub offer_version: u32,
    /// The order's own sequence: a reader keeps the higher one.
    pub version: u64,
    /// Until when units are held; absent while pending and after the end.
    pub hold_expires_at: Option<Timestamp>,
    /// The payment method that the buyer chose.
    pub payment_method: Option<String>,
    /// Where the payment stands.
    pub payment: PaymentView,
    /// What was given back.
    pub refunded: Option<Money>,
    /// The shop's reference.
    pub reference: Option<String>,
    /// The shop's own fields.
    pub metadata: Option<Map<String, Value>>,
    /// The fingerprint of the request; not shown.
    pub body_fingerprint: Fingerprint,
    /// When it was accepted.
    #[serde(with = "crate::rfc3339")]
    pub accepted_at: Timestamp,
    /// When it last changed.
    #[serde(with = "crate::rfc3339")]
    pub updated_at: Timestamp,
    /// The position of the last event that changed it; not shown.
    pub position: Position,
}

/// The stock of one SKU as readers see it: `limited_quantity = remaining + held + sold`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Units of the offer.
    pub limited_quantity: i64,
    /// Units that can be ordered now.
    pub remaining: i64,
    /// Units held for orders.
    pub held: i64,
    /// Units sold.
    pub sold: i64,
}

/// A spotlight as readers see it; the sales board's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpotlightView {
    /// Which spotlight.
    pub id: SpotlightId,
    /// In which broadcast.
    pub broadcast_id: BroadcastId,
    /// Whose it is.
    pub seller: SellerId,
    /// Where it stands.
    pub status: SpotlightStatus,
    /// What is shown.
    pub product: Product,
    /// The SKUs.
    pub skus: Vec<SkuTerms>,
    /// The offer that is sold now.
    pub offer: Offer,
    /// When it is to open.
    pub opens_at: Option<Timestamp>,
    /// When it is to close.
    pub closes_at: Option<Timestamp>,
    /// Units that one viewer may hold and buy.
    pub per_viewer_limit: Option<u32>,
    /// How long a reservation is held, in seconds.
    pub hold_seconds: u32,
    /// How long a reservation is held of a viewer who has abandoned two holds here, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abandoned_hold_seconds: Option<u32>,
    /// The stock as the log knows it.
    pub inventory: BTreeMap<Sku, Inventory>,
    /// The last withdrawal of an offer version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Withdrawal>,
    /// The shop's reference.
    pub reference: Option<String>,
    /// The shop's own fields.
    pub metadata: Option<Map<String, Value>>,
    /// When it was prepared.
    pub created_at: Timestamp,
    /// When it opened.
    pub opened_at: Option<Timestamp>,
    /// When it closed.
    pub closed_at: Option<Timestamp>,
    /// The position of the last event that changed it.
    pub position: Position,
}

/// A broadcast as readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastView {
    /// Which broadcast.
    pub id: BroadcastId,
    /// Whose it is.
    pub seller: SellerId,
    /// What viewers read.
    pub title: String,
    /// The currency of every offer in it.
    pub currency: Currency,
    /// Where it stands.
    pub status: BroadcastStatus,
    /// When it is to start.
    pub starts_at: Option<Timestamp>,
    /// When it went live.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it was announced.
    pub created_at: Timestamp,
    /// The position of the last event that changed it.
    pub position: Position,
}

/// What the gate knows of an order before the log does: enough to answer for it (design rule 15).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedOrder {
    /// The order as it was answered.
    pub order: OrderView,
    /// What was asked, for a repeat of the command.
    pub lines: Lines,
    /// The signed receipt; absent until the log acknowledged.
    pub receipt: Option<ReceiptJson>,
}

/// A receipt: JSON that is passed on as it was signed, not parsed and written again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReceiptJson(Box<RawValue>);

impl ReceiptJson {
    /// Writes a receipt; nothing where it does not serialise.
    pub fn of(receipt: &impl Serialize) -> Option<Self> {
        to_raw_value(receipt).map(Self).ok()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for ReceiptJson {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ReceiptJson {}
