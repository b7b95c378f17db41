//! Request bodies as the OpenAPI document shows them; [`crate::broadcaster::input`] and
//! [`crate::ordering::input`] read them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::MoneyBody;

/// A broadcast to be announced.
#[derive(Debug, ToSchema)]
pub struct NewBroadcast {
    /// What viewers read.
    #[schema(max_length = 200, example = "Friday show")]
    pub title: String,
    /// The currency of every offer in it (ISO 4217).
    #[schema(min_length = 3, max_length = 3, example = "KRW")]
    pub currency: String,
    /// When it is to start; in the future.
    pub starts_at: Option<DateTime<Utc>>,
}

/// A reason that somebody typed.
#[derive(Debug, ToSchema)]
pub struct Reason {
    /// The reason.
    #[schema(max_length = 500)]
    pub reason: Option<String>,
}

/// What a provider tells of one attempt.
#[derive(Debug, ToSchema)]
pub struct ProviderEvent {
    /// `payment.result`.
    #[schema(example = "payment.result")]
    pub r#type: String,
    /// When it happened.
    pub timestamp: DateTime<Utc>,
    /// What happened.
    pub data: ProviderResult,
}

/// What became of one attempt.
#[derive(Debug, ToSchema)]
pub struct ProviderResult {
    /// Of which order.
    pub order_id: Uuid,
    /// Of which attempt of it; of which refund, where one was done.
    #[schema(minimum = 1, example = 1)]
    pub attempt: u32,
    /// `{outcome: authorized|captured|refunded, amount}`, `{outcome: requires_action, action: {type:
    /// redirect, url}}`, `{outcome: declined, kind: soft|hard,
    /// code}`, `{outcome: voided}`, `{outcome: capture_failed|refund_failed, code}`.
    #[schema(value_type = Object)]
    pub result: Value,
}

/// How an order is to be paid.
#[derive(Debug, ToSchema)]
pub struct NewPayment {
    /// The method.
    #[schema(max_length = 64, example = "sim_ok")]
    pub method: String,
}

/// Why something is done.
#[derive(Debug, ToSchema)]
pub struct NeededReason {
    /// The reason.
    #[schema(max_length = 500)]
    pub reason: String,
}

/// Which offer version is withdrawn.
#[derive(Debug, ToSchema)]
pub struct NewWithdrawal {
    /// The version.
    #[schema(minimum = 1, example = 1)]
    pub offer_version: u32,
    /// honour: its orders go on at their price. cancel: they are called off and refunded.
    #[schema(pattern = "^(honour|cancel)$", example = "cancel")]
    pub settle: String,
    /// Why.
    #[schema(max_length = 500)]
    pub reason: String,
}

/// What is to be given back.
#[derive(Debug, ToSchema)]
pub struct NewRefund {
    /// Why.
    #[schema(max_length = 500)]
    pub reason: String,
    /// Which units; all that are left where it is absent.
    #[schema(min_items = 1, max_items = 20)]
    pub lines: Option<Vec<NewLine>>,
    /// Whether the units can be sold again; false by default.
    pub restock: Option<bool>,
}

/// The product of a new spotlight.
#[derive(Debug, ToSchema)]
pub struct NewProduct {
    /// The shop's own id.
    #[schema(max_length = 128, example = "lamp-1")]
    pub id: String,
    /// What viewers read.
    #[schema(max_length = 200, example = "Lamp")]
    pub name: String,
    /// A picture: an http or https address.
    #[schema(max_length = 2048)]
    pub image_url: Option<String>,
    /// The price outside the show.
    pub original_price: MoneyBody,
}

/// A SKU of a new spotlight.
#[derive(Debug, ToSchema)]
pub struct NewSku {
    /// The shop's own id; each once.
    #[schema(max_length = 128, example = "lamp-red")]
    pub sku: String,
    /// What viewers read.
    #[schema(max_length = 200)]
    pub name: Option<String>,
    /// Units at the start.
    #[schema(minimum = 1, maximum = 10_000_000, example = 100)]
    pub limited_quantity: u32,
    /// A price of its own.
    pub live_price: Option<MoneyBody>,
}

/// A product to be shown.
#[derive(Debug, ToSchema)]
pub struct NewSpotlight {
    /// What is shown.
    pub product: NewProduct,
    /// The price of one unit in the show, in the broadcast's currency.
    pub live_price: MoneyBody,
    /// What can be ordered.
    #[schema(min_items = 1, max_items = 100)]
    pub skus: Vec<NewSku>,
    /// Units that one viewer may hold and buy over the spotlight's life.
    #[schema(minimum = 1, maximum = 10_000_000)]
    pub per_viewer_limit: Option<u32>,
    /// How long a reservation is held, in seconds.
    #[schema(minimum = 2, maximum = 3600, default = 600)]
    pub hold_seconds: Option<u32>,
    /// How long a reservation is held of a viewer who has let two holds of this spotlight run out
    /// or has called them off, in seconds; not longer than the others.
    #[schema(minimum = 2, maximum = 3600)]
    pub abandoned_hold_seconds: Option<u32>,
    /// When it is to open; now where it is absent and the broadcast is live.
    pub opens_at: Option<DateTime<Utc>>,
    /// When it is to close.
    pub closes_at: Option<DateTime<Utc>>,
    /// The shop's reference.
    #[schema(max_length = 128)]
    pub reference: Option<String>,
    /// The shop's own fields, at most 2 KiB.
    pub metadata: Option<Map<String, Value>>,
}

/// A signed change of stock.
#[derive(Debug, ToSchema)]
pub struct StockChange {
    /// Of which SKU.
    #[schema(max_length = 128)]
    pub sku: String,
    /// How many, signed, not 0.
    #[schema(minimum = -10_000_000, maximum = 10_000_000, example = -5)]
    pub delta: i64,
    /// Why.
    #[schema(max_length = 500)]
    pub reason: String,
}

/// A new price.
#[derive(Debug, ToSchema)]
pub struct OfferChange {
    /// The price of one unit of every SKU without a price of its own.
    pub live_price: MoneyBody,
    /// Why.
    #[schema(max_length = 500)]
    pub reason: String,
}

/// A line of a new order, or of what is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewLine {
    /// What; each SKU in one line only.
    #[schema(max_length = 128, example = "lamp-red")]
    pub sku: String,
    /// How many.
    #[schema(minimum = 1, maximum = 99, example = 1)]
    pub quantity: u32,
}

/// An order to be placed; at most 99 units over all lines.
#[derive(Debug, ToSchema)]
pub struct NewOrder {
    /// In which spotlight.
    pub spotlight_id: Uuid,
    /// The offer version that the buyer saw.
    #[schema(minimum = 1, example = 1)]
    pub offer_version: u32,
    /// What.
    #[schema(min_items = 1, max_items = 20)]
    pub lines: Vec<NewLine>,
    /// How the buyer pays: one of the provider's methods; its own default where it is absent.
    /// Null: the order waits for a method.
    #[schema(max_length = 64, example = "sim_ok")]
    pub payment_method: Option<String>,
    /// The shop's reference.
    #[schema(max_length = 128)]
    pub reference: Option<String>,
    /// The shop's own fields, at most 2 KiB.
    pub metadata: Option<Map<String, Value>>,
}

/// What is waited for; at most 99 units over all lines.
#[derive(Debug, ToSchema)]
pub struct NewWait {
    /// What.
    #[schema(min_items = 1, max_items = 20)]
    pub lines: Vec<NewLine>,
}

/// Something to be said to everybody.
#[derive(Debug, ToSchema)]
pub struct Announcement {
    /// What.
    #[schema(max_length = 500)]
    pub message: String,
}

/// Something to be kept above the chat: one of both, or nothing to take away what is.
#[derive(Debug, ToSchema)]
pub struct Pin {
    /// A chat message.
    pub message_id: Option<Uuid>,
    /// A text of its own.
    #[schema(max_length = 500)]
    pub message: Option<String>,
}

/// How often a viewer may say something.
#[derive(Debug, ToSchema)]
pub struct SlowMode {
    /// Seconds between two messages; 0 for no such rule.
    #[schema(minimum = 0, maximum = 3600, example = 10)]
    pub seconds: u32,
}

/// How long a viewer may say nothing.
#[derive(Debug, ToSchema)]
pub struct Mute {
    /// Seconds; for good where it is absent.
    #[schema(minimum = 1, maximum = 31_536_000)]
    pub seconds: Option<u32>,
    /// Why; the viewer is told.
    #[schema(max_length = 500)]
    pub reason: Option<String>,
}

/// How long a viewer may not come in.
#[derive(Debug, ToSchema)]
pub struct Ban {
    /// Seconds; for good where it is absent.
    #[schema(minimum = 1, maximum = 31_536_000)]
    pub seconds: Option<u32>,
    /// Why; the viewer is told, unless it is not to notice.
    #[schema(max_length = 500)]
    pub reason: Option<String>,
    /// Whether the viewer is not to notice.
    #[schema(default = false)]
    pub shadow: Option<bool>,
}

/// The words that viewers may not say.
#[derive(Debug, ToSchema)]
pub struct BannedWords {
    /// All of them, at most 1,000 of at most 64 characters.
    #[schema(max_items = 1000)]
    pub words: Vec<String>,
}
