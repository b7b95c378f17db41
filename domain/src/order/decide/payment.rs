//! What a provider's answer leads to.

use super::{OrderDecision, Scene};
use crate::money::Money;
use crate::order::{Order, OrderEnd, OrderError, OrderEvent, OrderReason};
use crate::payment::{DeclineKind, NextAction, PaymentResult, PaymentStatus};
use crate::personal::Personal;
use crate::reservation::{ReleaseReason, ReservationCommand};

impl Order {
    pub(super) fn record_payment(
        &self,
        attempt: u32,
        result: &PaymentResult,
        scene: &Scene<'_>,
    ) -> Result<OrderDecision, OrderError> {
        let accepted = self.accepted()?;
        if let PaymentResult::Refunded { amount } = result {
            return self.refunded(attempt, *amount);
        }
        if let PaymentResult::RefundFailed { code } = result {
            let due = self.refunded_minor < self.refund_asked_minor;
            return if attempt == self.refund_attempt && due {
                Err(OrderError::RefundFailed(code.clone()))
            } else {
                Ok(OrderDecision::default())
            };
        }
        // money of an earlier attempt is money all the same; anything else of it is old news
        let arrived = matches!(result, PaymentResult::Captured { .. });
        if attempt > self.attempt || (attempt < self.attempt && !arrived) {
            return Ok(OrderDecision::default());
        }
        if let PaymentResult::Authorized { amount, .. } | PaymentResult::Captured { amount } =
            result
            && *amount != accepted.total
            && !self.returns(*amount, accepted.total)
        {
            return Err(OrderError::AmountMismatch);
        }
        Ok(match result {
            PaymentResult::Authorized { amount, reference } => {
                self.authorized(attempt, *amount, reference.clone())
            }
            PaymentResult::RequiresAction { action, reference } => {
                self.action_required(attempt, action, reference.clone())
            }
            PaymentResult::Captured { amount } => self.captured(attempt, *amount, scene),
            PaymentResult::Declined { kind, code } => self.declined(attempt, *kind, code, scene),
            PaymentResult::Unknown => self.unknown(attempt),
            PaymentResult::CaptureFailed { code } => self.capture_failed(attempt, code, scene),
            PaymentResult::Voided => self.voided(attempt, scene),
            PaymentResult::Refunded { .. } | PaymentResult::RefundFailed { .. } => {
                OrderDecision::default()
            }
        })
    }

    /// Whether a wrong amount may be taken in, because all of it is given back: the order has ended
    /// unsold. Another currency is nobody's to guess.
    fn returns(&self, amount: Money, total: Money) -> bool {
        let unsold = matches!(self.end, OrderEnd::Failed | OrderEnd::Cancelled);
        unsold && amount.currency == total.currency && amount.minor > 0
    }

    fn authorized(&self, attempt: u32, amount: Money, reference: Option<String>) -> OrderDecision {
        let Ok(accepted) = self.accepted() else { return OrderDecision::default() };
        match self.payment {
            PaymentStatus::Requested | PaymentStatus::RequiresAction | PaymentStatus::Unknown => {
                OrderDecision::of(vec![OrderEvent::PaymentAuthorized {
                    order_id: accepted.order_id,
                    attempt,
                    amount,
                    personal: Personal { payment_reference: reference, ..Personal::default() },
                }])
            }
            _ => OrderDecision::default(),
        }
    }

    /// The hold goes on while the buyer acts.
    fn action_required(
        &self,
        attempt: u32,
        action: &NextAction,
        reference: Option<String>,
    ) -> OrderDecision {
        match (self.accepted(), self.payment) {
            (Ok(accepted), PaymentStatus::Requested | PaymentStatus::Unknown) => {
                OrderDecision::of(vec![OrderEvent::PaymentActionRequired {
                    order_id: accepted.order_id,
                    attempt,
                    personal: Personal {
                        payment_reference: reference,
                        next_action: Some(action.clone()),
                        ..Personal::default()
                    },
                }])
            }
            _ => OrderDecision::default(),
        }
    }

    /// Money arrived, whatever the provider said before: for an order that still holds its units it
    /// is a sale; one whose units are gone may take them again ([`Order::may_take_again`]); from
    /// any other it goes back.
    fn captured(&self, attempt: u32, amount: Money, scene: &Scene<'_>) -> OrderDecision {
        let Ok(accepted) = self.accepted() else { return OrderDecision::default() };
        if matches!(
            self.payment,
            PaymentStatus::None
                | PaymentStatus::Captured
                | PaymentStatus::PartiallyRefunded
                | PaymentStatus::Refunded
        ) {
            return OrderDecision::default();
        }
        let order_id = accepted.order_id;
        let captured = OrderEvent::PaymentCaptured { order_id, attempt, amount };
        if self.end == OrderEnd::Open && scene.hold().is_some() {
            return OrderDecision {
                order: vec![captured, OrderEvent::OrderConfirmed { order_id }],
                reservation: vec![ReservationCommand::Confirm],
                spotlight: vec![],
            };
        }
        let paid = Self { payment: PaymentStatus::Captured, ..self.clone() };
        if paid.may_take_again(scene.reservation, scene.again) {
            return OrderDecision::of(vec![captured]);
        }
        let reason = self.reason.unwrap_or(OrderReason::LatePayment);
        let mut order = vec![captured];
        if self.end == OrderEnd::Open {
            order.push(OrderEvent::OrderFailed { order_id, reason: OrderReason::LatePayment });
        }
        order.push(OrderEvent::RefundRequested {
            order_id,
            attempt: self.refund_attempt.saturating_add(1),
            amount,
            reason,
            returned: None,
            personal: Personal::default(),
        });
        OrderDecision::of(order)
    }

    fn declined(
        &self,
        attempt: u32,
        kind: DeclineKind,
        code: &str,
        scene: &Scene<'_>,
    ) -> OrderDecision {
        let Ok(accepted) = self.accepted() else { return OrderDecision::default() };
        if !self.payment.is_open() || self.payment == PaymentStatus::Authorized {
            return OrderDecision::default();
        }
        let order_id = accepted.order_id;
        let held = scene.hold().is_some();
        let code = code.to_owned();
        let declined = OrderEvent::PaymentDeclined { order_id, attempt, kind, code };
        if self.end != OrderEnd::Open || (kind.may_retry(attempt) && held) {
            return OrderDecision::of(vec![declined]);
        }
        let failed = OrderEvent::OrderFailed { order_id, reason: OrderReason::PaymentDeclined };
        OrderDecision::releasing(vec![declined, failed], held, ReleaseReason::PaymentFailed)
    }

    fn unknown(&self, attempt: u32) -> OrderDecision {
        match (self.accepted(), self.payment) {
            (Ok(accepted), PaymentStatus::Requested) => {
                let order_id = accepted.order_id;
                OrderDecision::of(vec![OrderEvent::PaymentUnknown { order_id, attempt }])
            }
            _ => OrderDecision::default(),
        }
    }

    fn capture_failed(&self, attempt: u32, code: &str, scene: &Scene<'_>) -> OrderDecision {
        let Ok(accepted) = self.accepted() else { return OrderDecision::default() };
        if self.payment != PaymentStatus::Authorized {
            return OrderDecision::default();
        }
        let order_id = accepted.order_id;
        let mut order =
            vec![OrderEvent::CaptureFailed { order_id, attempt, code: code.to_owned() }];
        if self.end == OrderEnd::Open {
            order.push(OrderEvent::OrderCancelled {
                order_id,
                reason: OrderReason::CaptureFailed,
                personal: Personal::default(),
            });
        }
        let held = scene.hold().is_some();
        OrderDecision::releasing(order, held, ReleaseReason::PaymentFailed)
    }

    fn voided(&self, attempt: u32, scene: &Scene<'_>) -> OrderDecision {
        let Ok(accepted) = self.accepted() else { return OrderDecision::default() };
        if !self.payment.is_open() {
            return OrderDecision::default();
        }
        let order_id = accepted.order_id;
        let mut order = vec![OrderEvent::PaymentVoided { order_id, attempt }];
        if self.end == OrderEnd::Open {
            let reason = if self.payment == PaymentStatus::Authorized {
                OrderReason::LatePayment
            } else {
                OrderReason::PaymentTimeout
            };
            order.push(OrderEvent::OrderFailed { order_id, reason });
        }
        let held = scene.hold().is_some();
        OrderDecision::releasing(order, held, ReleaseReason::PaymentFailed)
    }

    fn refunded(&self, attempt: u32, amount: Money) -> Result<OrderDecision, OrderError> {
        let order_id = self.accepted()?.order_id;
        if attempt != self.refund_attempt || self.refunded_minor >= self.refund_asked_minor {
            return Ok(OrderDecision::default());
        }
        if self.refunded_minor.saturating_add(amount.minor) > self.refund_asked_minor {
            return Err(OrderError::AmountMismatch);
        }
        Ok(OrderDecision::of(vec![OrderEvent::OrderRefunded { order_id, attempt, amount }]))
    }
}
