//! One payment: what is to be asked of the provider next, by what the log says.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Timestamp;
use domain::envelope::Recorded;
use domain::event::Event;
use domain::ids::{EventId, OrderId, SellerId, SpotlightId, StreamKey};
use domain::limits::PAYMENT_MARGIN_MILLIS;
use domain::money::Money;
use domain::order::{Accepted, Order, OrderEvent};
use domain::payment::PaymentStatus;
use domain::reservation::{Reservation, ReservationEvent};

use crate::clock::delta;

/// How long before the hold's end a provider is asked for the amount at the latest.
pub(super) const PAYMENT_MARGIN: Duration =
    Duration::from_millis(PAYMENT_MARGIN_MILLIS.unsigned_abs());
/// How long after the hold a payment without an answer is ended (`ONAIR_PAYMENT_FINAL_SECONDS`).
pub const PAYMENT_FINAL_DEFAULT: Duration = Duration::from_mins(2);

/// How long a refund is asked for without an answer, before it is parked for somebody.
pub const REFUND_UNANSWERED_MAX: Duration = Duration::from_hours(1);
/// How long a provider may have a refund in hand before somebody has to look: longer than any bank
/// takes.
pub const REFUND_PENDING_MAX: Duration = Duration::from_hours(24 * 30);

/// What is to be done about a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, until an event comes.
    Nothing,
    /// Ask for the amount. Asked twice it is asked once: the key is the same.
    Authorize,
    /// Take what was set aside.
    Capture,
    /// The money came after the hold: ask the gate for the units once more.
    TakeAgain,
    /// Give it back, or end an attempt that never answered.
    Void,
    /// Ask what became of it; it is never charged again.
    Query,
    /// Give captured money back.
    Refund {
        /// Which refund.
        attempt: u32,
        /// How much.
        amount: Money,
    },
}

/// What was asked of a provider in one attempt, and by which name it knows it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) provider: String,
    pub(super) method: String,
    pub(super) amount: Money,
    pub(super) reference: Option<String>,
}

/// An order as far as its payment needs it.
#[derive(Debug, Clone, Default)]
pub(super) struct Payment {
    order: Order,
    reservation: Reservation,
    again: Reservation,
    /// Until when units were held, also once they are not.
    pub(super) deadline: Option<Timestamp>,
    /// Each attempt.
    pub(super) asked: BTreeMap<u32, Asked>,
    /// The attempt that was paid.
    paid: Option<u32>,
    /// When the last refund was asked for.
    refund_asked_at: Option<Timestamp>,
    /// Who and where.
    pub(super) home: Option<(SellerId, StreamKey, SpotlightId)>,
    /// The event that led here.
    pub(super) causation: Option<EventId>,
}

impl Payment {
    /// Folds the streams of an order and its reservation.
    pub(super) fn of(events: &[Recorded]) -> Self {
        let mut payment = Self::default();
        for recorded in events {
            payment.take(recorded);
        }
        payment
    }

    fn take(&mut self, recorded: &Recorded) {
        self.causation = Some(recorded.event_id);
        match &recorded.event {
            Event::Order(event) => {
                match event {
                    OrderEvent::OrderAccepted { accepted } => {
                        let seller = recorded.metadata.seller.clone();
                        self.home = Some((seller, recorded.key, accepted.spotlight_id));
                    }
                    OrderEvent::PaymentRequested { attempt, method, amount, provider, .. } => {
                        let (provider, method) = (provider.clone(), method.clone());
                        let asked = Asked { provider, method, amount: *amount, reference: None };
                        self.asked.insert(*attempt, asked);
                    }
                    OrderEvent::PaymentActionRequired { attempt, personal, .. }
                    | OrderEvent::PaymentAuthorized { attempt, personal, .. } => {
                        if let Some(asked) = self.asked.get_mut(attempt) {
                            let known = asked.reference.take();
                            asked.reference = personal.payment_reference.clone().or(known);
                        }
                    }
                    OrderEvent::PaymentCaptured { attempt, .. } => self.paid = Some(*attempt),
                    OrderEvent::RefundRequested { .. } => {
                        self.refund_asked_at = Some(recorded.metadata.decided_at);
                    }
                    _ => {}
                }
                self.order.apply(event);
            }
            Event::Reservation(event) => {
                if recorded.stream.is_again() {
                    return self.again.apply(event);
                }
                if let ReservationEvent::StockReserved { deadline, .. } = event {
                    self.deadline = Some(*deadline);
                }
                self.reservation.apply(event);
            }
            Event::Broadcast(_) | Event::Spotlight(_) => {}
        }
    }

    /// The attempt that is under way.
    pub(super) const fn attempt(&self) -> u32 {
        self.order.attempt
    }

    /// Whether every attempt was asked of this provider: no other one can answer for it.
    pub(super) fn is_of(&self, provider: &str) -> bool {
        self.asked.values().all(|asked| asked.provider == provider)
    }

    /// The attempt whose money goes back: the one that was paid.
    pub(super) fn paid(&self) -> u32 {
        self.paid.unwrap_or_else(|| self.attempt())
    }

    /// Whether the order has ended; what is left is money.
    pub(super) fn has_ended(&self) -> bool {
        self.order.has_ended()
    }

    /// Whether the last refund has been asked for long enough without an answer.
    pub(super) fn gives_refund_up(&self, bound: Duration, now: Timestamp) -> bool {
        self.refund_asked_at.is_some_and(|at| at + delta(bound) <= now)
    }

    /// Whether the provider said already that the buyer has to act.
    pub(super) fn waits_for_buyer(&self) -> bool {
        self.order.payment == PaymentStatus::RequiresAction
    }

    /// From when on an attempt without an answer is ended.
    pub(super) fn final_at(&self, bound: Duration) -> Option<Timestamp> {
        self.deadline.map(|deadline| deadline + delta(bound))
    }

    /// What is to be done now.
    pub(super) fn step(&self, now: Timestamp, bound: Duration) -> Step {
        if let Some(refund) = self.refund_due() {
            return refund;
        }
        if self.order.may_take_again(&self.reservation, &self.again) {
            return Step::TakeAgain;
        }
        let ended = self.order.has_ended();
        let held = self.reservation.hold().is_some() || self.again.hold().is_some();
        // what was taken again is being captured: its time counts from its own hold
        let deadline = self.again.hold().map(|hold| hold.deadline).or(self.deadline);
        // a payment that is asked for at the last moment would be answered after the hold
        let in_time = deadline.is_none_or(|deadline| now + delta(PAYMENT_MARGIN) < deadline);
        let over = ended || deadline.is_some_and(|deadline| deadline + delta(bound) <= now);
        match self.order.payment {
            PaymentStatus::Requested
            | PaymentStatus::Unknown
            | PaymentStatus::RequiresAction
            | PaymentStatus::Authorized
                if over =>
            {
                Step::Void
            }
            PaymentStatus::Requested if held && in_time => Step::Authorize,
            // whether the provider was asked before the units were given back is not known: it is
            // asked what it knows, and never charged again
            PaymentStatus::Requested | PaymentStatus::Unknown | PaymentStatus::RequiresAction => {
                Step::Query
            }
            PaymentStatus::Authorized if held => Step::Capture,
            PaymentStatus::Authorized => Step::Void,
            _ => Step::Nothing,
        }
    }

    /// What a late payment takes again: who, and what was accepted.
    pub(super) fn accepted(&self) -> Option<&Accepted> {
        self.order.accepted.as_deref()
    }

    fn refund_due(&self) -> Option<Step> {
        let due = self.order.refund_asked_minor - self.order.refunded_minor;
        let accepted = self.order.accepted.as_deref()?;
        let attempt = self.order.refund_attempt;
        (due > 0)
            .then(|| Step::Refund { attempt, amount: Money::new(due, accepted.total.currency) })
    }
}

/// The order that an event moves, where its payment may have something to do.
pub(super) const fn moved(event: &Event) -> Option<OrderId> {
    match event {
        Event::Order(
            OrderEvent::PaymentRequested { order_id, .. }
            | OrderEvent::PaymentActionRequired { order_id, .. }
            | OrderEvent::PaymentAuthorized { order_id, .. }
            | OrderEvent::PaymentCaptured { order_id, .. }
            | OrderEvent::PaymentUnknown { order_id, .. }
            | OrderEvent::OrderFailed { order_id, .. }
            | OrderEvent::OrderCancelled { order_id, .. }
            | OrderEvent::RefundRequested { order_id, .. },
        ) => Some(*order_id),
        Event::Reservation(ReservationEvent::ReservationReleased { order_id, .. }) => {
            Some(*order_id)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::{Sku, ViewerRef};
    use domain::line::{Line, Lines};
    use domain::quantity::Quantity;

    use super::*;

    const BOUND: Duration = Duration::from_mins(2);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(millis).expect("a time")
    }

    /// A payment that is asked for, whose hold ends at that time.
    fn requested(deadline: Timestamp) -> Payment {
        let line = Line {
            sku: Sku::try_new("A").expect("a SKU"),
            quantity: Quantity::try_new(1).expect("a quantity"),
        };
        let mut payment = Payment::default();
        payment.reservation.apply(&ReservationEvent::StockReserved {
            order_id: OrderId(uuid::Uuid::nil()),
            spotlight_id: SpotlightId(uuid::Uuid::nil()),
            viewer_ref: ViewerRef::try_new("5f2d1c0b9a8e7d6c5b4a392817065f4e").expect("a name"),
            lines: Lines::try_new(vec![line]).expect("lines"),
            epoch: 1,
            admission_no: 1,
            deadline,
        });
        payment.deadline = Some(deadline);
        payment.order.payment = PaymentStatus::Requested;
        payment
    }

    #[test]
    fn a_provider_is_asked_only_while_its_answer_can_come_in_time() {
        let payment = requested(at(10_000));
        let last = 10_000 - PAYMENT_MARGIN_MILLIS;
        assert_eq!(payment.step(at(last - 1), BOUND), Step::Authorize);
        assert_eq!(payment.step(at(last), BOUND), Step::Query, "whether it was asked is not known");
    }
}
