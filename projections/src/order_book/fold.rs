//! The fold of one order: what readers see of it after each event.

use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::OrderId;
use domain::money::Money;
use domain::order::{Accepted, OrderEvent, OrderReason};
use domain::payment::PaymentStatus;
use domain::reservation::ReservationEvent;
use domain::views::{OrderStatus, OrderView, PaymentView};

/// The order that an event belongs to: events of the order's own stream and of its reservation's.
pub fn order_of(event: &Event) -> Option<OrderId> {
    event.order()
}

/// Takes an event in. An event of another order, one that was taken in before, and one of an order
/// whose acceptance was not seen change nothing.
pub fn fold(current: Option<OrderView>, recorded: &Recorded) -> Option<OrderView> {
    let Some(order) = order_of(&recorded.event) else { return current };
    let mut view = match (current, &recorded.event) {
        (Some(view), _) if view.id != order || recorded.position <= view.position => {
            return Some(view);
        }
        (Some(view), _) => view,
        (None, Event::Order(OrderEvent::OrderAccepted { accepted })) => accept(accepted, recorded),
        (None, _) => return None,
    };
    match &recorded.event {
        Event::Order(event) => apply_order(&mut view, event),
        Event::Reservation(event) => apply_reservation(&mut view, event),
        Event::Broadcast(_) | Event::Spotlight(_) => {}
    }
    view.version = view.version.saturating_add(1);
    view.updated_at = recorded.metadata.decided_at;
    view.position = recorded.position;
    Some(view)
}

/// Whether something is still to be done about its money: the provider owes an answer to a payment
/// or to a refund, or what was paid late waits for its units.
pub fn payment_is_open(view: &OrderView) -> bool {
    let waits = view.payment.status == PaymentStatus::Captured && !view.status.is_final();
    view.payment.status.is_open() || view.payment.refund_due.is_some() || waits
}

/// Until when units are held, where the end of the hold is to be proposed: an authorised payment
/// is left to its capture.
pub fn hold_to_expire(view: &OrderView) -> Option<domain::Timestamp> {
    view.hold_expires_at.filter(|_| view.payment.status != PaymentStatus::Authorized)
}

fn accept(accepted: &Accepted, recorded: &Recorded) -> OrderView {
    OrderView {
        id: accepted.order_id,
        spotlight_id: accepted.spotlight_id,
        broadcast_id: accepted.broadcast_id,
        seller: recorded.metadata.seller.clone(),
        viewer: accepted.personal.viewer.clone(),
        viewer_ref: accepted.viewer_ref.clone(),
        status: OrderStatus::Pending,
        reason: None,
        lines: accepted.lines.clone(),
        total: accepted.total,
        offer_version: accepted.admission.offer_version,
        version: 0,
        hold_expires_at: None,
        payment_method: accepted.payment_method.clone(),
        payment: PaymentView::default(),
        refunded: None,
        reference: accepted.personal.reference.clone(),
        metadata: accepted.personal.metadata.clone(),
        body_fingerprint: accepted.body_fingerprint.clone(),
        // as the 202 and the receipt have it; the decision comes a little later
        accepted_at: accepted.admission.at,
        updated_at: accepted.accepted_at,
        position: Position::START,
    }
}

fn apply_reservation(view: &mut OrderView, event: &ReservationEvent) {
    match event {
        ReservationEvent::StockReserved { deadline, .. } => {
            view.status = OrderStatus::Reserved;
            view.reason = None;
            view.hold_expires_at = Some(*deadline);
        }
        ReservationEvent::ReservationConfirmed { .. } => view.hold_expires_at = None,
        ReservationEvent::ReservationReleased { .. } => {
            view.hold_expires_at = None;
            view.payment.retryable = false;
            // the order did not end with its hold: it waits for the provider's final answer
            if !view.status.is_final() {
                view.status = OrderStatus::Pending;
                view.reason = Some(OrderReason::PaymentUnknown);
            }
        }
    }
}

fn apply_order(view: &mut OrderView, event: &OrderEvent) {
    // it is asked for anew, or over
    view.payment.next_action = None;
    match event {
        OrderEvent::OrderAccepted { .. } => {}
        OrderEvent::PaymentActionRequired { personal, .. } => {
            view.payment.status = PaymentStatus::RequiresAction;
            view.payment.next_action.clone_from(&personal.next_action);
        }
        OrderEvent::PaymentRequested { attempt, provider, method, .. } => {
            view.payment.status = PaymentStatus::Requested;
            view.payment.attempts = *attempt;
            view.payment.provider = Some(provider.clone());
            view.payment.retryable = false;
            view.payment_method = Some(method.clone());
        }
        OrderEvent::PaymentAuthorized { .. } => view.payment.status = PaymentStatus::Authorized,
        OrderEvent::PaymentCaptured { .. } => view.payment.status = PaymentStatus::Captured,
        OrderEvent::PaymentDeclined { kind, attempt, .. } => {
            view.payment.status = PaymentStatus::Declined;
            view.payment.retryable =
                kind.may_retry(*attempt) && view.status == OrderStatus::Reserved;
        }
        OrderEvent::PaymentUnknown { .. } => view.payment.status = PaymentStatus::Unknown,
        OrderEvent::CaptureFailed { .. } => view.payment.status = PaymentStatus::Declined,
        OrderEvent::PaymentVoided { .. } => view.payment.status = PaymentStatus::Voided,
        OrderEvent::OrderConfirmed { .. } => end(view, OrderStatus::Confirmed, None),
        OrderEvent::OrderFailed { reason, .. } => end(view, OrderStatus::Failed, Some(*reason)),
        OrderEvent::OrderCancelled { reason, .. } => {
            end(view, OrderStatus::Cancelled, Some(*reason));
        }
        OrderEvent::RefundRequested { amount, reason, .. } => {
            view.payment.refund_due = Some(sum(view.payment.refund_due, *amount));
            view.reason = view.reason.or(Some(*reason));
        }
        OrderEvent::OrderRefunded { amount, .. } => refund(view, *amount),
    }
}

fn end(view: &mut OrderView, status: OrderStatus, reason: Option<OrderReason>) {
    view.status = status;
    view.reason = reason;
    view.hold_expires_at = None;
    view.payment.retryable = false;
}

/// A sale that was wholly given back is `refunded`; an order that failed or was cancelled stays
/// so, also when late money of it went back.
fn refund(view: &mut OrderView, amount: Money) {
    let refunded = sum(view.refunded, amount);
    let back = Money::new(amount.minor.saturating_neg(), amount.currency);
    view.refunded = Some(refunded);
    view.payment.refund_due = Some(sum(view.payment.refund_due, back)).filter(|due| due.minor > 0);
    if refunded.minor < view.total.minor {
        view.payment.status = PaymentStatus::PartiallyRefunded;
        return;
    }
    view.payment.status = PaymentStatus::Refunded;
    if view.status == OrderStatus::Confirmed {
        view.status = OrderStatus::Refunded;
    }
}

/// An order has one currency, so the sum exists; where a foreign log breaks that, the older amount
/// stays.
fn sum(known: Option<Money>, amount: Money) -> Money {
    known.map_or(amount, |known| known.checked_add(amount).unwrap_or(known))
}
