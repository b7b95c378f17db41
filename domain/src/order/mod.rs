//! One order: pending → reserved → confirmed, or failed, cancelled, refunded.

mod command;
mod decide;
mod error;
mod event;

use std::collections::BTreeMap;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::{OrderCommand, PaymentChoice, PlaceOrder};
pub use decide::{OrderDecision, Scene};
pub use error::OrderError;
pub use event::{Accepted, OrderEvent, OrderReason, Returned};

use crate::command::Context;
use crate::desk::Desk;
use crate::ids::Sku;
use crate::payment::PaymentStatus;

/// How an order ended, or that it has not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderEnd {
    /// It has not ended.
    #[default]
    Open,
    /// Paid and sold.
    Confirmed,
    /// Ended without a sale.
    Failed,
    /// Called off.
    Cancelled,
}

/// The state of an order that decisions need.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What was accepted; absent until then.
    pub accepted: Option<Box<Accepted>>,
    /// How it ended.
    pub end: OrderEnd,
    /// Why.
    pub reason: Option<OrderReason>,
    /// Where its payment stands.
    pub payment: PaymentStatus,
    /// The last attempt; 0 before the first.
    pub attempt: u32,
    /// Whether the last refusal allows another attempt.
    pub retryable: bool,
    /// What was captured, in minor units.
    pub captured_minor: i64,
    /// What was given back, in minor units.
    pub refunded_minor: i64,
    /// What is to be given back or was, in minor units.
    pub refund_asked_minor: i64,
    /// The last refund; 0 before the first.
    pub refund_attempt: u32,
    /// Units of the sale that went back.
    pub returned: BTreeMap<Sku, u32>,
}

impl Order {
    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.end != OrderEnd::Open
    }

    /// Takes a fact in; cannot fail.
    pub fn apply(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::OrderAccepted { accepted } => self.accepted = Some(accepted.clone()),
            OrderEvent::PaymentRequested { attempt, .. } => {
                self.payment = PaymentStatus::Requested;
                self.attempt = *attempt;
                self.retryable = false;
            }
            OrderEvent::PaymentActionRequired { .. } => {
                self.payment = PaymentStatus::RequiresAction;
            }
            OrderEvent::PaymentAuthorized { .. } => self.payment = PaymentStatus::Authorized,
            OrderEvent::PaymentCaptured { amount, .. } => {
                self.payment = PaymentStatus::Captured;
                self.captured_minor = self.captured_minor.saturating_add(amount.minor);
            }
            OrderEvent::PaymentDeclined { kind, attempt, .. } => {
                self.payment = PaymentStatus::Declined;
                self.retryable = kind.may_retry(*attempt);
            }
            OrderEvent::PaymentUnknown { .. } => self.payment = PaymentStatus::Unknown,
            OrderEvent::CaptureFailed { .. } => self.payment = PaymentStatus::Declined,
            OrderEvent::PaymentVoided { .. } => self.payment = PaymentStatus::Voided,
            OrderEvent::OrderConfirmed { .. } => self.end = OrderEnd::Confirmed,
            OrderEvent::OrderFailed { reason, .. } => {
                self.end = OrderEnd::Failed;
                self.reason = Some(*reason);
                self.retryable = false;
            }
            OrderEvent::OrderCancelled { reason, .. } => {
                self.end = OrderEnd::Cancelled;
                self.reason = Some(*reason);
                self.retryable = false;
            }
            OrderEvent::RefundRequested { attempt, amount, returned, .. } => {
                for line in returned.iter().flat_map(|returned| &returned.lines) {
                    let units = self.returned.entry(line.sku.clone()).or_default();
                    *units = units.saturating_add(line.quantity.get());
                }
                self.refund_attempt = *attempt;
                self.refund_asked_minor = self.refund_asked_minor.saturating_add(amount.minor);
            }
            OrderEvent::OrderRefunded { amount, .. } => {
                self.refunded_minor = self.refunded_minor.saturating_add(amount.minor);
                self.payment = if self.refunded_minor >= self.captured_minor {
                    PaymentStatus::Refunded
                } else {
                    PaymentStatus::PartiallyRefunded
                };
            }
        }
    }
}

impl Aggregate for Order {
    const TYPE: &'static str = "order";
    type Command = (OrderCommand, Box<Desk>, Context);
    type Event = OrderEvent;
    type Error = OrderError;
    type Services = ();

    async fn handle(
        &mut self,
        (command, desk, context): Self::Command,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), OrderError> {
        let scene = desk.scene(&command);
        for event in self.decide(&command, &scene, &context)?.order {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: OrderEvent) {
        Self::apply(self, &event);
    }
}
