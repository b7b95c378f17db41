//! What Stripe tells by itself.

use domain::ids::OrderId;
use domain::payment::PaymentResult;
use serde::Deserialize;
use serde_json::Value;

use super::wire::{Intent, Refund, home};

/// An event, as far as we need it.
#[derive(Debug, Deserialize)]
pub struct StripeEvent {
    /// Its id, the same each time it is told.
    pub id: String,
    /// What happened, such as `payment_intent.succeeded`.
    #[serde(rename = "type")]
    pub kind: String,
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    object: Value,
}

/// What an event tells about a payment of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Of which order.
    pub order: OrderId,
    /// Of which attempt; of which refund, where one was done.
    pub attempt: u32,
    /// What became of it.
    pub result: PaymentResult,
}

impl StripeEvent {
    /// What it tells; nothing where it is of no payment of ours, or has no answer in it.
    pub fn told(self) -> Option<Told> {
        let object = self.data.object;
        let (home, result) = match self.kind.as_str() {
            "payment_intent.amount_capturable_updated"
            | "payment_intent.succeeded"
            | "payment_intent.payment_failed"
            | "payment_intent.canceled"
            | "payment_intent.requires_action" => {
                let intent: Intent = serde_json::from_value(object).ok()?;
                (home(&intent.metadata)?, intent.result()?)
            }
            "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
                let refund: Refund = serde_json::from_value(object).ok()?;
                (home(refund.metadata.as_ref()?)?, refund.result()?)
            }
            _ => return None,
        };
        let (order, attempt) = home;
        Some(Told { order, attempt, result })
    }
}
