//! Money that came after the hold had run out: the order takes its units again, through the gate
//! like any other, or is turned away and gets its money back.

use super::accept::void;
use super::{OrderDecision, Scene};
use crate::admission::Admission;
use crate::command::Context;
use crate::line::Lines;
use crate::order::{Accepted, Order, OrderEnd, OrderError, OrderEvent, OrderReason};
use crate::payment::PaymentStatus;
use crate::reservation::{Reservation, ReservationCommand};
use crate::spotlight::VoidCause;

impl Order {
    /// Whether its money is there, or set aside, and its units are not: it may take them again,
    /// once.
    pub fn may_take_again(&self, first: &Reservation, again: &Reservation) -> bool {
        self.end == OrderEnd::Open
            && matches!(self.payment, PaymentStatus::Captured | PaymentStatus::Authorized)
            && matches!(first, Reservation::Released)
            && matches!(again, Reservation::Absent)
    }

    /// The gate said yes. As with any admission, an event ends it, whatever the log says.
    pub(super) fn take_again(
        &self,
        admission: Option<Admission>,
        scene: &Scene<'_>,
        context: &Context,
    ) -> Result<OrderDecision, OrderError> {
        let admission = admission.ok_or(OrderError::NotAdmitted)?;
        let accepted = self.accepted()?;
        if let Some(taken) = scene.taken_again {
            let same = taken == (admission.epoch, admission.number);
            let voided = (!same).then(|| void_of(accepted, &admission, VoidCause::Duplicate));
            return Ok(OrderDecision {
                spotlight: voided.into_iter().collect(),
                ..OrderDecision::default()
            });
        }
        let lines = unpriced(accepted)?;
        if !self.may_take_again(scene.reservation, scene.again) {
            // it ended meanwhile; this may be told again, like the void of a repeat
            let spotlight = vec![void_of(accepted, &admission, VoidCause::Duplicate)];
            return Ok(OrderDecision { spotlight, ..OrderDecision::default() });
        }
        if !scene.has_room(&lines) {
            let spotlight = vec![void_of(accepted, &admission, VoidCause::NotReserved)];
            return Ok(OrderDecision { spotlight, ..self.turn_away(scene)? });
        }
        let order_id = accepted.order_id;
        let reserve = ReservationCommand::Reserve {
            order_id,
            spotlight_id: accepted.spotlight_id,
            viewer_ref: accepted.viewer_ref.clone(),
            lines,
            epoch: admission.epoch,
            admission_no: admission.number,
            deadline: scene.spotlight.hold_deadline(&accepted.viewer_ref, context.decided_at),
        };
        if self.payment == PaymentStatus::Captured {
            return Ok(OrderDecision {
                order: vec![OrderEvent::OrderConfirmed { order_id }],
                reservation: vec![reserve, ReservationCommand::Confirm],
                spotlight: vec![],
            });
        }
        Ok(OrderDecision { reservation: vec![reserve], ..OrderDecision::default() })
    }

    /// The gate has no units for it: it fails, and what was captured goes back.
    pub(super) fn turn_away(&self, scene: &Scene<'_>) -> Result<OrderDecision, OrderError> {
        let order_id = self.accepted()?.order_id;
        if !self.may_take_again(scene.reservation, scene.again) {
            return Ok(OrderDecision::default());
        }
        let reason = OrderReason::LatePayment;
        let mut order = vec![OrderEvent::OrderFailed { order_id, reason }];
        order.extend(self.give_back(reason));
        Ok(OrderDecision::of(order))
    }

    /// Asks all captured money back that was not asked back before.
    pub(super) fn give_back(&self, reason: OrderReason) -> Option<OrderEvent> {
        let accepted = self.accepted().ok()?;
        let minor = self.captured_minor.saturating_sub(self.refund_asked_minor);
        (minor > 0).then(|| OrderEvent::RefundRequested {
            order_id: accepted.order_id,
            attempt: self.refund_attempt.saturating_add(1),
            amount: crate::money::Money::new(minor, accepted.total.currency),
            reason,
            returned: None,
            personal: crate::personal::Personal::default(),
        })
    }
}

fn void_of(
    accepted: &Accepted,
    admission: &Admission,
    cause: VoidCause,
) -> crate::spotlight::SpotlightEvent {
    void(accepted.spotlight_id, accepted.order_id, admission, cause)
}

/// What was accepted, without its prices.
fn unpriced(accepted: &Accepted) -> Result<Lines, OrderError> {
    // they were lines before they were priced
    Lines::try_new(accepted.lines.iter().map(crate::line::PricedLine::unpriced).collect())
        .map_err(|_| OrderError::NotFound)
}
