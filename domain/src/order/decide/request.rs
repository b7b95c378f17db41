//! Paying an order that waits for it: one without a method, or one whose payment was declined and
//! may be tried again.

use super::{OrderDecision, Scene};
use crate::command::Context;
use crate::limits::PAYMENT_MARGIN_MILLIS;
use crate::order::{Order, OrderEnd, OrderError, OrderEvent, PaymentChoice};
use crate::payment::PaymentStatus;

impl Order {
    /// The next attempt, inside the hold. How many there may be is settled where one is declined:
    /// the last one leaves nothing to be tried again.
    pub(super) fn request_payment(
        &self,
        payment: &PaymentChoice,
        scene: &Scene<'_>,
        context: &Context,
    ) -> Result<OrderDecision, OrderError> {
        let accepted = self.accepted_for(scene, context)?;
        match self.end {
            OrderEnd::Open => {}
            OrderEnd::Confirmed => return Err(OrderError::AlreadyConfirmed),
            OrderEnd::Failed | OrderEnd::Cancelled => return Err(OrderError::AlreadyEnded),
        }
        let waits = match self.payment {
            PaymentStatus::None => true,
            PaymentStatus::Declined => self.retryable,
            _ => false,
        };
        if !waits {
            return Err(OrderError::PaymentNotAwaited);
        }
        let last = context.decided_at + chrono::TimeDelta::milliseconds(PAYMENT_MARGIN_MILLIS);
        match scene.reservation.hold() {
            Some(hold) if hold.deadline > last => {}
            _ => return Err(OrderError::HoldExpired),
        }
        Ok(OrderDecision::of(vec![OrderEvent::PaymentRequested {
            order_id: accepted.order_id,
            attempt: self.attempt.saturating_add(1),
            provider: payment.provider.clone(),
            method: payment.method.clone(),
            amount: accepted.total,
        }]))
    }
}
