//! Each invariant is shown a sound log and the faults that it is there for: a checker that cannot
//! fail proves nothing.

mod admissions;
mod bounded;
mod chain;
mod ends;
mod holds;
mod inputs;
mod line;
mod payments;
mod stock;

use domain::event::Event;
use domain::order::OrderReason;
use domain::payment::DeclineKind;
use domain::reservation::ReleaseReason;
use domain::spotlight::VoidCause;

use crate::support::{
    Log, accepted, adjusted, admission, authorized, captured, closed, confirmed, declined, failed,
    offer_changed, opened, order, released, requested, reserved, scheduled, sold, voided,
};

/// The decision that accepts order `n`.
pub fn taking(n: u64) -> Vec<Event> {
    vec![accepted(n), reserved(n), requested(n)]
}

/// The decision that sells order `n`.
pub fn selling(n: u64) -> Vec<Event> {
    vec![captured(n), confirmed(n), sold(n)]
}

/// A show that sold two of three units, refused one order and gave one back.
pub fn show() -> Vec<Vec<Event>> {
    vec![
        vec![scheduled(), opened()],
        taking(1),
        taking(2),
        vec![authorized(1)],
        taking(3),
        selling(1),
        vec![
            accepted(4),
            failed(4, OrderReason::StockGuard),
            voided(order(4).0, admission(4), VoidCause::NotReserved),
        ],
        vec![
            declined(2, DeclineKind::Hard),
            failed(2, OrderReason::PaymentDeclined),
            released(2, ReleaseReason::PaymentFailed),
        ],
        selling(3),
        vec![adjusted("A", -1, None)],
        vec![offer_changed(2, 100)],
        vec![voided(order(1).0, admission(9), VoidCause::Duplicate)],
        vec![closed()],
    ]
}

/// The show, and then one more decision.
pub fn show_and(events: Vec<Event>) -> Log {
    let mut log = Log::of(show());
    log.decide(events);
    log
}

/// The position after the show.
pub fn next() -> u64 {
    u64::try_from(Log::of(show()).events.len()).unwrap() + 1
}

#[test]
fn a_sound_show_breaks_nothing() {
    Log::of(show()).assert_sound(true);
}
