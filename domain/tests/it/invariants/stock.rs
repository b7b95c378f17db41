use crate::support::{Log, adjusted, lines, placed, released_of, reserved_as, viewer};
use domain::order::PlaceOrder;
use domain::reservation::ReleaseReason;

use super::{next, show_and, taking};
use crate::support::{accepted_as, on_air};

#[test]
fn i1_finds_a_unit_that_was_never_there() {
    let mut log = Log::of([on_air()]);
    for n in 1..=3 {
        log.decide(taking(n));
    }
    log.assert_sound(false);
    log.decide(taking(4));
    assert_eq!(log.broken(false), [("I1", 13)]);
}

#[test]
fn i1_finds_a_reduction_below_what_is_sold() {
    let log = show_and(vec![adjusted("A", -1, None)]);
    assert_eq!(log.broken(true), [("I1", next())]);
}

#[test]
fn i1_finds_units_given_back_that_nobody_held() {
    let log =
        show_and(vec![released_of(9, viewer(9), lines(&[("B", 1)]), ReleaseReason::HoldExpired)]);
    assert!(log.broken(true).contains(&("I1", next())));
}

#[test]
fn i1_finds_a_sku_that_is_not_offered() {
    let place = PlaceOrder { lines: lines(&[("C", 1)]), ..placed(9) };
    let log = show_and(vec![accepted_as(&place), reserved_as(&place)]);
    assert!(log.broken(false).contains(&("I1", next() + 1)));
}
