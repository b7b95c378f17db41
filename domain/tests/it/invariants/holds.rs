use crate::support::{
    Log, NOW, admission, cancelled, lines, on_air, placed, released, released_of, reserved,
    reserved_again, reserved_as, sold, viewer,
};
use domain::admission::Admission;
use domain::event::StreamId;
use domain::order::{OrderReason, PlaceOrder};
use domain::reservation::ReleaseReason;

use super::{next, show_and, taking};

fn i3(log: &Log, settled: bool) -> Vec<u64> {
    log.broken(settled).into_iter().filter(|(id, _)| *id == "I3").map(|(_, at)| at).collect()
}

#[test]
fn i3_finds_a_second_release() {
    let log = show_and(vec![released(2, ReleaseReason::HoldExpired)]);
    assert!(!i3(&log, true).is_empty());
    assert!(i3(&log, true).iter().all(|at| *at == next()));
}

#[test]
fn i3_finds_a_release_after_the_sale() {
    let log = show_and(vec![released(1, ReleaseReason::Cancelled)]);
    assert!(i3(&log, true).contains(&next()));
}

#[test]
fn i3_finds_a_sale_after_the_release() {
    assert!(i3(&show_and(vec![sold(2)]), true).contains(&next()));
}

#[test]
fn i3_finds_other_units_than_were_reserved() {
    for (viewer_ref, units) in [(viewer(1), lines(&[("A", 2)])), (viewer(2), lines(&[("A", 1)]))] {
        let mut log = Log::of([on_air(), taking(1), taking(2)]);
        log.decide(vec![released_of(1, viewer_ref, units, ReleaseReason::HoldExpired)]);
        assert!(i3(&log, false).contains(&9));
    }
}

#[test]
fn i3_finds_a_reservation_that_begins_late_or_again() {
    let mut log = Log::of([on_air(), taking(1)]);
    log.events[3].sequence = 2;
    assert_eq!(i3(&log, false), [4]);
    let mut log = Log::of([on_air(), taking(1)]);
    log.decide(vec![reserved(1)]);
    assert!(i3(&log, false).contains(&6));
}

#[test]
fn i3_finds_units_taken_again_that_were_not_given_back() {
    let second = Admission { number: 77, ..admission(1) };
    let given_back =
        || Log::of([on_air(), taking(1), vec![released(1, ReleaseReason::HoldExpired)]]);
    let mut log = given_back();
    log.decide(vec![reserved_again(1, second, NOW)]);
    assert_eq!(i3(&log, false), Vec::<u64>::new());
    assert_eq!(i3(&log, true), [7], "held for ever");
    log.decide(vec![released(1, ReleaseReason::HoldExpired)]);
    assert_eq!(i3(&log, true), Vec::<u64>::new());
    log.decide(vec![reserved_again(1, Admission { number: 78, ..second }, NOW)]);
    assert!(i3(&log, true).contains(&9), "a third time");
    // other units than were given back
    let mut log = given_back();
    log.decide(vec![reserved_as(&PlaceOrder {
        lines: lines(&[("A", 2)]),
        admission: Some(second),
        ..placed(1)
    })]);
    assert_eq!(i3(&log, false), [7]);
    // on the stream of a second one, while the first is held
    let mut log = Log::of([on_air(), taking(1)]);
    log.decide(vec![reserved_again(1, second, NOW)]);
    if let Some(event) = log.events.last_mut() {
        event.stream = StreamId::reservation_again(crate::support::order(1));
        event.sequence = 1;
    }
    assert_eq!(i3(&log, false), [6]);
}

#[test]
fn i3_finds_units_that_are_never_given_back() {
    let mut log = Log::of([on_air(), taking(1)]);
    log.decide(vec![cancelled(1, OrderReason::CancelledByHost)]);
    log.assert_sound(false);
    assert_eq!(log.broken(true), [("I3", 4)]);
}

#[test]
fn i4_finds_a_viewer_over_the_limit() {
    use crate::support::{accepted_as, placed, reserved_as};
    use domain::order::PlaceOrder;
    let more =
        |n, units| PlaceOrder { viewer_ref: viewer(1), lines: lines(&[("B", units)]), ..placed(n) };
    let mut log = Log::of([on_air(), taking(1)]);
    let third = more(2, 3);
    log.decide(vec![accepted_as(&third), reserved_as(&third)]);
    log.assert_sound(false);
    let one_more = more(3, 1);
    log.decide(vec![accepted_as(&one_more), reserved_as(&one_more)]);
    assert_eq!(log.broken(false), [("I4", 9)]);
}

#[test]
fn i4_counts_what_was_given_back() {
    let mut log = Log::of([on_air(), taking(1)]);
    log.decide(vec![released(1, ReleaseReason::HoldExpired)]);
    log.decide(vec![released(1, ReleaseReason::HoldExpired)]);
    assert!(log.broken(false).contains(&("I4", 7)));
}
