//! An order as clients read it.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use domain::order::OrderReason;
use domain::payment::NextAction;
use domain::views::{AcceptedOrder, OrderView, ReceiptJson};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::MoneyBody;

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Line)]
pub struct LineBody {
    /// What.
    pub sku: String,
    /// How many.
    pub quantity: u32,
    /// The price of one unit, as promised.
    pub unit_price: MoneyBody,
}

/// The payment of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Payment)]
pub struct PaymentBody {
    /// none, requested, `requires_action`, authorized, captured, declined, unknown, voided,
    /// `partially_refunded` or refunded.
    #[schema(value_type = String)]
    pub status: Cow<'static, str>,
    /// Whether the buyer may try again.
    pub retryable: bool,
    /// Which provider; null before the first attempt.
    pub provider: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// What the buyer has to do while the payment `requires_action`: `{type: redirect, url}`, or
    /// `{type: client_secret, client_secret}`; only its viewer is shown it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub next_action: Option<NextAction>,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Order)]
pub struct OrderBody {
    /// Derived from seller, viewer, spotlight and idempotency key.
    pub id: Uuid,
    /// In which spotlight.
    pub spotlight_id: Uuid,
    /// In which broadcast.
    pub broadcast_id: Uuid,
    /// Who ordered; null once shredded.
    pub viewer: Option<String>,
    /// pending, reserved, confirmed, failed, cancelled or refunded.
    #[schema(value_type = String)]
    pub status: Cow<'static, str>,
    /// Why it ended, or waits; an open list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was ordered, at which price.
    pub lines: Vec<LineBody>,
    /// What it costs.
    pub total: MoneyBody,
    /// The offer version that was sold.
    pub offer_version: u32,
    /// The order's own sequence: keep the higher one.
    pub version: u64,
    /// Until when units are held; null while pending and after the end.
    pub hold_expires_at: Option<DateTime<Utc>>,
    /// How the buyer pays; null while the order waits for a method.
    pub payment_method: Option<String>,
    /// Where the payment stands.
    pub payment: PaymentBody,
    /// What was given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refunded: Option<MoneyBody>,
    /// The shop's reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The shop's own fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// When it was accepted.
    #[serde(with = "domain::rfc3339")]
    pub accepted_at: DateTime<Utc>,
    /// When it last changed.
    #[serde(with = "domain::rfc3339")]
    pub updated_at: DateTime<Utc>,
    /// The signed promise that the order was accepted; null where it is no longer kept.
    #[schema(value_type = Option<Object>)]
    pub receipt: Option<ReceiptJson>,
}

impl OrderBody {
    /// The order with its receipt.
    pub fn with_receipt(order: OrderView, receipt: Option<ReceiptJson>) -> Self {
        Self { receipt, ..Self::from(order) }
    }

    /// Where it can be read.
    pub fn location(&self) -> String {
        format!("/v1/orders/{}", self.id)
    }
}

impl From<AcceptedOrder> for OrderBody {
    fn from(accepted: AcceptedOrder) -> Self {
        Self::with_receipt(accepted.order, accepted.receipt)
    }
}

impl From<OrderView> for OrderBody {
    fn from(order: OrderView) -> Self {
        let lines = order.lines.into_iter().map(|line| LineBody {
            sku: line.sku.into(),
            quantity: line.quantity.get(),
            unit_price: line.unit_price.into(),
        });
        let payment = PaymentBody {
            status: order.payment.status.as_str().into(),
            retryable: order.payment.retryable,
            provider: order.payment.provider,
            attempts: order.payment.attempts,
            next_action: order.payment.next_action,
        };
        Self {
            id: order.id.0,
            spotlight_id: order.spotlight_id.0,
            broadcast_id: order.broadcast_id.0,
            viewer: order.viewer.map(Into::into),
            status: order.status.as_str().into(),
            reason: order.reason.map(OrderReason::as_str).map(ToOwned::to_owned),
            lines: lines.collect(),
            total: order.total.into(),
            offer_version: order.offer_version,
            version: order.version,
            hold_expires_at: order.hold_expires_at,
            payment_method: order.payment_method,
            payment,
            refunded: order.refunded.map(Into::into),
            reference: order.reference,
            metadata: order.metadata,
            accepted_at: order.accepted_at,
            updated_at: order.updated_at,
            receipt: None,
        }
    }
}

/// The name of a plain enum as JSON has it.
pub(crate) fn name_of(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

/// A page of orders, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderList {
    /// The orders.
    pub items: Vec<OrderBody>,
    /// Where the next page starts; null on the last one.
    pub next_cursor: Option<String>,
}
