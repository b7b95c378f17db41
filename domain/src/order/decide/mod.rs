//! The decisions of an order: which facts a command leads to, on its own stream, on its
//! reservation's and on its spotlight's.

mod accept;
mod late;
mod payment;
mod refund;
mod request;
mod withdraw;

use super::command::PlaceOrder;
use super::event::Accepted;
use super::{Order, OrderCommand, OrderEnd, OrderError, OrderEvent, OrderReason};
use crate::actor::Role;
use crate::command::Context;
use crate::ledger::Ledger;
use crate::line::Lines;
use crate::payment::PaymentStatus;
use crate::personal::Personal;
use crate::reservation::{Hold, ReleaseReason, Reservation, ReservationCommand};
use crate::spotlight::{Spotlight, SpotlightEvent, VoidCause};
use crate::waitlist::OFFER_ADMISSION;
use accept::{accept, refusal, repeated, void};

/// What an order's decision looks at besides the order.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// Its spotlight.
    pub spotlight: &'a Spotlight,
    /// The spotlight's stock.
    pub ledger: &'a Ledger,
    /// Units that the viewer holds and has bought in the spotlight.
    pub viewer_units: i64,
    /// The order's reservation.
    pub reservation: &'a Reservation,
    /// Its second one, where the payment came after the hold.
    pub again: &'a Reservation,
    /// Epoch and number of the admission under which it was taken again.
    pub taken_again: Option<(u64, u64)>,
}

impl<'a> Scene<'a> {
    /// What the order holds, if it does.
    pub const fn hold(&self) -> Option<&'a Hold> {
        match self.again.hold() {
            Some(hold) => Some(hold),
            None => self.reservation.hold(),
        }
    }

    /// What is written down when the viewer of an order abandons its hold.
    fn abandoned(&self, accepted: &Accepted) -> Option<SpotlightEvent> {
        self.spotlight.abandon(&accepted.viewer_ref, accepted.order_id)
    }

    /// The last oversell check: the units are free, and the viewer may have them (design rule 2).
    fn has_room(&self, lines: &Lines) -> bool {
        let units = self.viewer_units.saturating_add(i64::from(lines.units()));
        let limit = self.spotlight.terms.as_deref().and_then(|terms| terms.per_viewer_limit);
        limit.is_none_or(|limit| units <= i64::from(limit)) && self.ledger.has_room(lines)
    }
}

/// The facts that a command leads to, by stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderDecision {
    /// On the order's stream.
    pub order: Vec<OrderEvent>,
    /// On the stream of the reservation that it is about.
    pub reservation: Vec<ReservationCommand>,
    /// On the spotlight's stream.
    pub spotlight: Vec<SpotlightEvent>,
}

impl OrderDecision {
    fn of(order: Vec<OrderEvent>) -> Self {
        Self { order, ..Self::default() }
    }

    fn releasing(order: Vec<OrderEvent>, held: bool, reason: ReleaseReason) -> Self {
        let release = held.then_some(ReservationCommand::Release { reason });
        let reservation = release.into_iter().collect();
        Self { order, reservation, ..Self::default() }
    }
}

impl Order {
    /// What a command leads to; a repeat leads to nothing.
    ///
    /// # Errors
    /// [`OrderError`] where the command is refused.
    pub fn decide(
        &self,
        command: &OrderCommand,
        scene: &Scene<'_>,
        context: &Context,
    ) -> Result<OrderDecision, OrderError> {
        match command {
            OrderCommand::PlaceOrder { place } => self.place(place, scene, context),
            OrderCommand::FailParked { place } => self.fail_parked(place, scene, context),
            OrderCommand::RequestPayment { payment, .. } => {
                self.request_payment(payment, scene, context)
            }
            OrderCommand::RecordPayment { attempt, result, .. }
            | OrderCommand::TellPayment { attempt, result, .. } => {
                self.record_payment(*attempt, result, scene)
            }
            OrderCommand::TakeAgain { admission, .. } => {
                self.take_again(*admission, scene, context)
            }
            OrderCommand::TurnAway { .. } => self.turn_away(scene),
            OrderCommand::RefundOrder { reason, lines, restock, .. } => {
                self.refund(reason.as_deref(), lines.as_ref(), *restock, scene, context)
            }
            OrderCommand::WithdrawOrder { .. } => self.withdraw(scene),
            OrderCommand::EndParked { .. } => self.end_parked(scene),
            OrderCommand::ExpireHold { .. } => self.expire(scene, context),
            OrderCommand::CancelOrder { reason, .. } => self.cancel(reason.clone(), scene, context),
        }
    }

    fn accepted(&self) -> Result<&Accepted, OrderError> {
        self.accepted.as_deref().ok_or(OrderError::NotFound)
    }

    /// The order, where the caller may act on it: a viewer on its own, a host on its seller's.
    fn accepted_for(&self, scene: &Scene<'_>, context: &Context) -> Result<&Accepted, OrderError> {
        let accepted = self.accepted()?;
        scene.spotlight.terms_for(context).map_err(|_| OrderError::NotFound)?;
        let by_viewer = context.actor.role == Role::Viewer;
        if by_viewer && context.actor.subject.as_deref() != Some(accepted.viewer_ref.as_str()) {
            return Err(OrderError::NotFound);
        }
        Ok(accepted)
    }

    fn place(
        &self,
        place: &PlaceOrder,
        scene: &Scene<'_>,
        context: &Context,
    ) -> Result<OrderDecision, OrderError> {
        let admission = place.admission.ok_or(OrderError::NotAdmitted)?;
        if let Some(known) = self.accepted.as_deref() {
            return Ok(repeated(place, &known.admission, &admission));
        }
        let accepted = accept(place, admission, scene, context)?;
        let order_id = place.order_id;
        let failure = refusal(place, scene, context.decided_at);
        let amount = accepted.total;
        let mut order = vec![OrderEvent::OrderAccepted { accepted: Box::new(accepted) }];
        if let Some(reason) = failure {
            order.push(OrderEvent::OrderFailed { order_id, reason });
            return Ok(OrderDecision {
                order,
                reservation: vec![],
                spotlight: vec![void(
                    place.spotlight_id,
                    order_id,
                    &admission,
                    VoidCause::NotReserved,
                )],
            });
        }
        if let Some(choice) = &place.payment {
            order.push(OrderEvent::PaymentRequested {
                order_id,
                attempt: 1,
                provider: choice.provider.clone(),
                method: choice.method.clone(),
                amount,
            });
        }
        let reserve = ReservationCommand::Reserve {
            order_id,
            spotlight_id: place.spotlight_id,
            viewer_ref: place.viewer_ref.clone(),
            lines: place.lines.clone(),
            epoch: admission.epoch,
            admission_no: admission.number,
            deadline: scene.spotlight.hold_deadline(&place.viewer_ref, context.decided_at),
        };
        Ok(OrderDecision { order, reservation: vec![reserve], spotlight: vec![] })
    }

    fn fail_parked(
        &self,
        place: &PlaceOrder,
        scene: &Scene<'_>,
        context: &Context,
    ) -> Result<OrderDecision, OrderError> {
        let admission = place.admission.ok_or(OrderError::NotAdmitted)?;
        if let Some(known) = self.accepted.as_deref() {
            return Ok(repeated(place, &known.admission, &admission));
        }
        let accepted = accept(place, admission, scene, context)?;
        Ok(OrderDecision {
            order: vec![
                OrderEvent::OrderAccepted { accepted: Box::new(accepted) },
                OrderEvent::OrderFailed { order_id: place.order_id, reason: OrderReason::Parked },
            ],
            reservation: vec![],
            spotlight: vec![void(
                place.spotlight_id,
                place.order_id,
                &admission,
                VoidCause::Parked,
            )],
        })
    }

    /// What the provider answered could not be taken in: the units are given back, and what it
    /// holds or took goes back too.
    fn end_parked(&self, scene: &Scene<'_>) -> Result<OrderDecision, OrderError> {
        let order_id = self.accepted()?.order_id;
        if self.has_ended() {
            return Ok(OrderDecision::default());
        }
        let reason = OrderReason::Parked;
        let mut order = vec![OrderEvent::OrderFailed { order_id, reason }];
        order.extend(self.give_back(reason));
        Ok(OrderDecision::releasing(order, scene.hold().is_some(), ReleaseReason::Parked))
    }

    /// The hold has run out. An order whose payment is under way gives its units back and waits for
    /// the provider's final answer; an authorised one is left to its capture.
    fn expire(&self, scene: &Scene<'_>, context: &Context) -> Result<OrderDecision, OrderError> {
        let accepted = self.accepted()?;
        let Some(hold) = scene.hold() else { return Ok(OrderDecision::default()) };
        if hold.deadline > context.decided_at {
            return Err(OrderError::HoldOpen);
        }
        let order_id = accepted.order_id;
        let order = match self.payment {
            PaymentStatus::Authorized => return Ok(OrderDecision::default()),
            PaymentStatus::Requested | PaymentStatus::RequiresAction | PaymentStatus::Unknown => {
                vec![]
            }
            PaymentStatus::Declined => {
                vec![OrderEvent::OrderFailed { order_id, reason: OrderReason::PaymentDeclined }]
            }
            _ => vec![OrderEvent::OrderFailed { order_id, reason: OrderReason::HoldExpired }],
        };
        // while the provider's answer is waited for, it is not the viewer who is late
        let waits = matches!(self.payment, PaymentStatus::Requested | PaymentStatus::Unknown);
        let abandoned = if waits { None } else { scene.abandoned(accepted) };
        let decision = OrderDecision::releasing(order, true, ReleaseReason::HoldExpired);
        Ok(OrderDecision { spotlight: abandoned.into_iter().collect(), ..decision })
    }

    fn cancel(
        &self,
        text: Option<String>,
        scene: &Scene<'_>,
        context: &Context,
    ) -> Result<OrderDecision, OrderError> {
        let accepted = self.accepted_for(scene, context)?;
        let by_viewer = context.actor.role == Role::Viewer;
        match self.end {
            OrderEnd::Open => {}
            OrderEnd::Cancelled => return Ok(OrderDecision::default()),
            OrderEnd::Confirmed => return Err(OrderError::AlreadyConfirmed),
            OrderEnd::Failed => return Err(OrderError::AlreadyEnded),
        }
        let reason =
            if by_viewer { OrderReason::CancelledByViewer } else { OrderReason::CancelledByHost };
        let mut order = vec![OrderEvent::OrderCancelled {
            order_id: accepted.order_id,
            reason,
            personal: Personal::text(text),
        }];
        order.extend(self.give_back(reason));
        let held = scene.hold().is_some();
        // an offer to somebody who waited was not asked for at that moment, and may be declined
        let gives_up = by_viewer && held && accepted.admission.number != OFFER_ADMISSION;
        let abandoned = if gives_up { scene.abandoned(accepted) } else { None };
        let decision = OrderDecision::releasing(order, held, ReleaseReason::Cancelled);
        Ok(OrderDecision { spotlight: abandoned.into_iter().collect(), ..decision })
    }
}
