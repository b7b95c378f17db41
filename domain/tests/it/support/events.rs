//! The facts of order `n`, as the decisions of [`super::placed`] lead to them.

use super::{
    HOLD, NOW, PRICE, at, broadcast, krw, lines, order, placed, seller, spotlight, terms, viewer,
};
use domain::admission::Admission;
use domain::broadcast::BroadcastEvent;
use domain::event::Event;
use domain::ids::ViewerRef;
use domain::line::{Lines, total};
use domain::order::{Accepted, OrderEvent, OrderReason, PlaceOrder};
use domain::payment::{DeclineKind, NextAction};
use domain::personal::Personal;
use domain::reservation::{ReleaseReason, ReservationEvent};
use domain::spotlight::{Cause, SpotlightEvent, VoidCause};
use uuid::Uuid;

pub fn broadcast_scheduled() -> Event {
    Event::Broadcast(BroadcastEvent::BroadcastScheduled {
        broadcast_id: broadcast(),
        seller: seller(),
        title: "Friday".to_owned(),
        currency: krw(0).currency,
        starts_at: None,
    })
}

pub fn broadcast_started() -> Event {
    Event::Broadcast(BroadcastEvent::BroadcastStarted { broadcast_id: broadcast(), at: at(NOW) })
}

pub fn broadcast_ended() -> Event {
    let personal = Personal::default();
    Event::Broadcast(BroadcastEvent::BroadcastEnded {
        broadcast_id: broadcast(),
        at: at(NOW),
        personal,
    })
}

pub fn scheduled() -> Event {
    Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms: Box::new(terms()) })
}

pub fn opened() -> Event {
    let (spotlight_id, at) = (spotlight(), at(NOW));
    Event::Spotlight(SpotlightEvent::SpotlightOpened { spotlight_id, at, cause: Cause::Host })
}

pub fn paused() -> Event {
    let (spotlight_id, at, personal) = (spotlight(), at(NOW), Personal::default());
    Event::Spotlight(SpotlightEvent::SpotlightPaused { spotlight_id, at, personal })
}

pub fn resumed() -> Event {
    let (spotlight_id, at, personal) = (spotlight(), at(NOW), Personal::default());
    Event::Spotlight(SpotlightEvent::SpotlightResumed { spotlight_id, at, personal })
}

pub fn closed() -> Event {
    let (spotlight_id, at, personal) = (spotlight(), at(NOW), Personal::default());
    let cause = Cause::Host;
    Event::Spotlight(SpotlightEvent::SpotlightClosed { spotlight_id, at, cause, personal })
}

pub fn reopened(epoch: u64) -> Event {
    Event::Spotlight(SpotlightEvent::GateReopened { spotlight_id: spotlight(), epoch })
}

pub fn adjusted(name: &str, delta: i64, gate_entry: Option<Uuid>) -> Event {
    Event::Spotlight(SpotlightEvent::StockAdjusted {
        spotlight_id: spotlight(),
        sku: super::sku(name),
        delta,
        gate_entry,
        refund_of: None,
        personal: Personal::default(),
        kept: domain::spotlight::UnitsBySku::new(),
    })
}

pub fn offer_changed(version: u32, price: i64) -> Event {
    Event::Spotlight(SpotlightEvent::OfferChanged {
        spotlight_id: spotlight(),
        offer: super::offer(version, price),
        personal: Personal::default(),
    })
}

pub fn voided(entry: Uuid, admission: Admission, cause: VoidCause) -> Event {
    Event::Spotlight(SpotlightEvent::AdmissionVoided {
        spotlight_id: spotlight(),
        entry,
        epoch: admission.epoch,
        admission_no: admission.number,
        cause,
        kept: domain::spotlight::UnitsBySku::new(),
    })
}

/// What [`placed`] is accepted as.
pub fn acceptance(place: &PlaceOrder) -> Accepted {
    let admission = place.admission.unwrap();
    let lines = super::offer(admission.offer_version, PRICE).price(&place.lines);
    let total = total(&lines).unwrap();
    Accepted {
        order_id: place.order_id,
        spotlight_id: place.spotlight_id,
        broadcast_id: broadcast(),
        viewer_ref: place.viewer_ref.clone(),
        lines,
        total,
        admission,
        payment_method: place.payment.as_ref().map(|choice| choice.method.clone()),
        key_fingerprint: place.key_fingerprint.clone(),
        body_fingerprint: place.body_fingerprint.clone(),
        received_at: place.received_at,
        node: place.node.clone(),
        accepted_at: at(NOW),
        personal: place.personal.clone(),
    }
}

pub fn accepted_as(place: &PlaceOrder) -> Event {
    Event::Order(OrderEvent::OrderAccepted { accepted: Box::new(acceptance(place)) })
}

pub fn accepted(n: u64) -> Event {
    accepted_as(&placed(n))
}

pub fn reserved_as(place: &PlaceOrder) -> Event {
    let admission = place.admission.unwrap();
    Event::Reservation(ReservationEvent::StockReserved {
        order_id: place.order_id,
        spotlight_id: spotlight(),
        viewer_ref: place.viewer_ref.clone(),
        lines: place.lines.clone(),
        epoch: admission.epoch,
        admission_no: admission.number,
        deadline: at(NOW + HOLD),
    })
}

pub fn reserved(n: u64) -> Event {
    reserved_as(&placed(n))
}

/// Reserved once more, under another admission and at another time.
pub fn reserved_again(n: u64, admission: Admission, now: i64) -> Event {
    Event::Reservation(ReservationEvent::StockReserved {
        order_id: order(n),
        spotlight_id: spotlight(),
        viewer_ref: viewer(n),
        lines: lines(&[("A", 1)]),
        epoch: admission.epoch,
        admission_no: admission.number,
        deadline: at(now + HOLD),
    })
}

pub fn released_of(n: u64, viewer_ref: ViewerRef, lines: Lines, reason: ReleaseReason) -> Event {
    let (order_id, spotlight_id) = (order(n), spotlight());
    Event::Reservation(ReservationEvent::ReservationReleased {
        order_id,
        spotlight_id,
        viewer_ref,
        lines,
        reason,
        kept: domain::spotlight::UnitsBySku::new(),
    })
}

pub fn released(n: u64, reason: ReleaseReason) -> Event {
    released_of(n, viewer(n), lines(&[("A", 1)]), reason)
}

pub fn sold(n: u64) -> Event {
    Event::Reservation(ReservationEvent::ReservationConfirmed {
        order_id: order(n),
        spotlight_id: spotlight(),
        viewer_ref: viewer(n),
        lines: lines(&[("A", 1)]),
    })
}

pub fn requested(n: u64) -> Event {
    requested_again(n, 1)
}

pub fn requested_again(n: u64, attempt: u32) -> Event {
    Event::Order(OrderEvent::PaymentRequested {
        order_id: order(n),
        attempt,
        provider: "simulated".to_owned(),
        method: "sim_ok".to_owned(),
        amount: krw(PRICE),
    })
}

pub fn authorized(n: u64) -> Event {
    Event::Order(OrderEvent::PaymentAuthorized {
        order_id: order(n),
        attempt: 1,
        amount: krw(PRICE),
        personal: Personal::default(),
    })
}

pub fn captured(n: u64) -> Event {
    Event::Order(OrderEvent::PaymentCaptured { order_id: order(n), attempt: 1, amount: krw(PRICE) })
}

pub fn declined(n: u64, kind: DeclineKind) -> Event {
    declined_at(n, kind, 1)
}

pub fn declined_at(n: u64, kind: DeclineKind, attempt: u32) -> Event {
    let code = "card_declined".to_owned();
    Event::Order(OrderEvent::PaymentDeclined { order_id: order(n), attempt, kind, code })
}

pub fn action_required(n: u64) -> Event {
    let personal = Personal { next_action: Some(redirect()), ..Personal::default() };
    Event::Order(OrderEvent::PaymentActionRequired { order_id: order(n), attempt: 1, personal })
}

pub fn redirect() -> NextAction {
    NextAction::Redirect { url: "https://pay.example/3ds".to_owned() }
}

pub fn unknown(n: u64) -> Event {
    Event::Order(OrderEvent::PaymentUnknown { order_id: order(n), attempt: 1 })
}

pub fn capture_failed(n: u64) -> Event {
    let code = "expired".to_owned();
    Event::Order(OrderEvent::CaptureFailed { order_id: order(n), attempt: 1, code })
}

pub fn payment_voided(n: u64) -> Event {
    Event::Order(OrderEvent::PaymentVoided { order_id: order(n), attempt: 1 })
}

pub fn confirmed(n: u64) -> Event {
    Event::Order(OrderEvent::OrderConfirmed { order_id: order(n) })
}

pub fn failed(n: u64, reason: OrderReason) -> Event {
    Event::Order(OrderEvent::OrderFailed { order_id: order(n), reason })
}

pub fn cancelled(n: u64, reason: OrderReason) -> Event {
    let personal = Personal::default();
    Event::Order(OrderEvent::OrderCancelled { order_id: order(n), reason, personal })
}

pub fn refund_requested(n: u64, reason: OrderReason) -> Event {
    Event::Order(OrderEvent::RefundRequested {
        order_id: order(n),
        attempt: 1,
        amount: krw(PRICE),
        reason,
        returned: None,
        personal: Personal::default(),
    })
}

pub fn refunded(n: u64, minor: i64) -> Event {
    Event::Order(OrderEvent::OrderRefunded { order_id: order(n), attempt: 1, amount: krw(minor) })
}

/// A live spotlight.
pub fn on_air() -> Vec<Event> {
    vec![scheduled(), opened()]
}

/// A live spotlight and order `n`, whose units are held and whose payment was asked for.
pub fn holding(n: u64) -> Vec<Event> {
    [on_air(), vec![accepted(n), reserved(n), requested(n)]].concat()
}
