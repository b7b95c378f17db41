//! A line of viewers who wait, as events.

use domain::admission::Admission;
use domain::event::Event;
use domain::fingerprint::Fingerprint;
use domain::ids::{OrderId, derive_id};
use domain::line::Lines;
use domain::order::{OrderReason, PlaceOrder};
use domain::reservation::{ReleaseReason, ReservationEvent};
use domain::spotlight::{SpotlightEvent, UnitsBySku, Wait, WaitOutcome};
use domain::waitlist::OFFER_ADMISSION;
use uuid::Uuid;

use super::{
    HOLD, NOW, PRICE, acceptance, at, cancelled, holding, lines, on_air, placed, sku, spotlight,
    viewer, waits,
};

pub fn one() -> Lines {
    lines(&[("A", 1)])
}

/// Viewer `n` joins by the command `n`.
pub fn entry(n: u64) -> Uuid {
    Uuid::from_u128(0x77_0000 + u128::from(n))
}

pub fn joined_for(n: u64, lines: Lines) -> Event {
    let wait = Box::new(waits(n, lines));
    Event::Spotlight(SpotlightEvent::WaitlistJoined {
        spotlight_id: spotlight(),
        entry: entry(n),
        wait,
    })
}

pub fn joined(n: u64) -> Event {
    joined_for(n, one())
}

pub fn units(of: &[(&str, u32)]) -> UnitsBySku {
    of.iter().map(|(name, units)| (sku(name), *units)).collect()
}

pub fn carried(of: &[(&str, u32)]) -> Event {
    let units = units(of);
    Event::Spotlight(SpotlightEvent::UnitsCarried { spotlight_id: spotlight(), units })
}

pub fn freed(of: &[(&str, u32)]) -> Event {
    let units = units(of);
    Event::Spotlight(SpotlightEvent::UnitsFreed { spotlight_id: spotlight(), units })
}

pub fn ended(n: u64, outcome: WaitOutcome, order_id: Option<OrderId>) -> Event {
    Event::Spotlight(SpotlightEvent::WaitlistEnded {
        spotlight_id: spotlight(),
        viewer_ref: viewer(n),
        outcome,
        order_id,
    })
}

pub fn keeping(event: Event, of: &[(&str, u32)]) -> Event {
    let more = units(of);
    match event {
        Event::Reservation(ReservationEvent::ReservationReleased {
            order_id,
            spotlight_id,
            viewer_ref,
            lines,
            reason,
            ..
        }) => Event::Reservation(ReservationEvent::ReservationReleased {
            order_id,
            spotlight_id,
            viewer_ref,
            lines,
            reason,
            kept: more,
        }),
        Event::Spotlight(SpotlightEvent::StockAdjusted {
            spotlight_id,
            sku,
            delta,
            gate_entry,
            refund_of,
            personal,
            ..
        }) => Event::Spotlight(SpotlightEvent::StockAdjusted {
            spotlight_id,
            sku,
            delta,
            gate_entry,
            refund_of,
            kept: more,
            personal,
        }),
        Event::Spotlight(SpotlightEvent::AdmissionVoided {
            spotlight_id,
            entry,
            epoch,
            admission_no,
            cause,
            ..
        }) => Event::Spotlight(SpotlightEvent::AdmissionVoided {
            spotlight_id,
            entry,
            epoch,
            admission_no,
            cause,
            kept: more,
        }),
        other => other,
    }
}

pub fn offer_order(n: u64) -> OrderId {
    OrderId(derive_id("waitlist_offer", &[entry(n).as_bytes()]))
}

/// What an offer to viewer `n` consists of.
pub fn offered_for(n: u64, lines: Lines, version: u32, price: i64) -> Vec<Event> {
    let Wait { viewer_ref, received_at, node, personal, .. } = waits(n, lines.clone());
    let (epoch, number) = (1, OFFER_ADMISSION);
    let place = PlaceOrder {
        order_id: offer_order(n),
        viewer_ref: viewer_ref.clone(),
        lines: lines.clone(),
        admission: Some(Admission { epoch, number, at: at(NOW), offer_version: version }),
        payment: None,
        key_fingerprint: Fingerprint::of(entry(n).as_bytes()),
        body_fingerprint: Fingerprint::of(entry(n).as_bytes()),
        received_at,
        node,
        personal,
        ..placed(n)
    };
    let mut accepted = acceptance(&place);
    accepted.lines = super::offer(version, price).price(&lines);
    accepted.total = domain::line::total(&accepted.lines).unwrap();
    let expires_at = at(NOW + HOLD);
    vec![
        Event::Order(domain::order::OrderEvent::OrderAccepted { accepted: Box::new(accepted) }),
        Event::Reservation(ReservationEvent::StockReserved {
            order_id: offer_order(n),
            spotlight_id: spotlight(),
            viewer_ref: viewer_ref.clone(),
            lines: lines.clone(),
            epoch,
            admission_no: number,
            deadline: expires_at,
        }),
        Event::Spotlight(SpotlightEvent::WaitlistOffered {
            spotlight_id: spotlight(),
            viewer_ref,
            order_id: offer_order(n),
            lines,
            expires_at,
        }),
    ]
}

pub fn offered(n: u64) -> Vec<Event> {
    offered_for(n, one(), 1, PRICE)
}

/// All three units of A are held by orders 1 to 3.
pub fn sold_out() -> Vec<Event> {
    let later = |n: u64| holding(n)[on_air().len()..].to_vec();
    [holding(1), later(2), later(3)].concat()
}

pub fn waiting(viewers: &[u64]) -> Vec<Event> {
    [sold_out(), viewers.iter().map(|n| joined(*n)).collect()].concat()
}

/// What cancelling order `n` leads to while somebody waits for its unit.
pub fn given_up(n: u64) -> Vec<Event> {
    vec![
        cancelled(n, OrderReason::CancelledByHost),
        keeping(super::released(n, ReleaseReason::Cancelled), &[("A", 1)]),
        carried(&[("A", 1)]),
    ]
}
