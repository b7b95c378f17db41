//! What an order is accepted with, and what may still fail it.

use super::{OrderDecision, Scene};
use crate::Timestamp;
use crate::admission::Admission;
use crate::command::Context;
use crate::ids::{OrderId, SpotlightId};
use crate::line::total;
use crate::order::{Accepted, OrderError, OrderReason, PlaceOrder};
use crate::spotlight::{Settle, SpotlightEvent, UnitsBySku, VoidCause};

/// The order is known: its own entry is fine, another entry of it is given back.
pub(super) fn repeated(place: &PlaceOrder, known: &Admission, repeat: &Admission) -> OrderDecision {
    let spotlight = if (known.epoch, known.number) == (repeat.epoch, repeat.number) {
        vec![]
    } else {
        vec![void(place.spotlight_id, place.order_id, repeat, VoidCause::Duplicate)]
    };
    OrderDecision { spotlight, ..OrderDecision::default() }
}

pub(super) fn void(
    spotlight_id: SpotlightId,
    order: OrderId,
    admission: &Admission,
    cause: VoidCause,
) -> SpotlightEvent {
    SpotlightEvent::AdmissionVoided {
        spotlight_id,
        entry: order.0,
        epoch: admission.epoch,
        admission_no: admission.number,
        cause,
        kept: UnitsBySku::new(),
    }
}

/// The price by the version that was sold (design rule 12).
pub(super) fn accept(
    place: &PlaceOrder,
    admission: Admission,
    scene: &Scene<'_>,
    context: &Context,
) -> Result<Accepted, OrderError> {
    let terms = scene
        .spotlight
        .terms
        .as_deref()
        .filter(|terms| terms.seller == context.seller)
        .ok_or(OrderError::NotFound)?;
    let version = admission.offer_version;
    let offer = scene.spotlight.offers.get(&version).ok_or(OrderError::UnknownOffer(version))?;
    let lines = offer.price(&place.lines);
    let total = total(&lines).map_err(OrderError::Total)?;
    Ok(Accepted {
        order_id: place.order_id,
        spotlight_id: place.spotlight_id,
        broadcast_id: terms.broadcast_id,
        viewer_ref: place.viewer_ref.clone(),
        lines,
        total,
        admission,
        payment_method: place.payment.as_ref().map(|choice| choice.method.clone()),
        key_fingerprint: place.key_fingerprint.clone(),
        body_fingerprint: place.body_fingerprint.clone(),
        received_at: place.received_at,
        node: place.node.clone(),
        accepted_at: context.decided_at,
        personal: place.personal.clone(),
    })
}

/// What can still fail an admitted order (design rules 2, 7 and 12).
pub(super) fn refusal(
    place: &PlaceOrder,
    scene: &Scene<'_>,
    decided_at: Timestamp,
) -> Option<OrderReason> {
    if place.void_after.is_some_and(|limit| decided_at > limit) {
        return Some(OrderReason::NotAccepted);
    }
    // one of a withdrawn version that was still on its way is not charged, or is honoured likewise
    let version = place.admission.map_or(0, |admission| admission.offer_version);
    if scene.spotlight.withdrawn.get(&version) == Some(&Settle::Cancel) {
        return Some(OrderReason::Withdrawn);
    }
    (!scene.has_room(&place.lines)).then_some(OrderReason::StockGuard)
}
