use domain::event::Event;
use domain::reservation::ReleaseReason;
use domain::spotlight::{VoidCause, WaitOutcome};

use crate::support::waitlist::{
    carried, ended, freed, given_up, joined, joined_for, keeping, offered, offered_for, sold_out,
    waiting,
};
use crate::support::{
    Log, PRICE, adjusted, admission, cancelled, closed, lines, order, released, voided,
};
use domain::order::OrderReason;

/// Viewers 7 and 8 wait for what is sold out.
fn line() -> Log {
    Log::of([waiting(&[7, 8])])
}

fn i13_after(log: &mut Log, events: Vec<Event>) -> Vec<u64> {
    log.decide(events);
    let found = log.broken(false).into_iter().filter(|(id, _)| *id == "I13");
    found.map(|(_, at)| at).collect()
}

fn i13(events: Vec<Event>) -> Vec<u64> {
    i13_after(&mut line(), events)
}

/// The position after everybody waits.
fn next() -> u64 {
    u64::try_from(line().events.len()).unwrap() + 1
}

#[test]
fn i13_lets_the_first_in_line_have_what_is_given_up() {
    assert_eq!(i13([given_up(1), offered(7)].concat()), Vec::<u64>::new());
    let mut log = line();
    log.decide([given_up(1), offered(7)].concat());
    assert_eq!(i13_after(&mut log, [given_up(2), offered(8)].concat()), Vec::<u64>::new());
    assert_eq!(i13(vec![ended(7, WaitOutcome::Declined, None)]), Vec::<u64>::new());
}

#[test]
fn i13_finds_a_viewer_who_is_passed_by() {
    assert_eq!(i13([given_up(1), offered(8)].concat()), [next() + 5]);
    // who waits for something else is not
    let of_b = joined_for(7, lines(&[("B", 1)]));
    let mut log = Log::of([sold_out(), vec![of_b, joined(8)]]);
    assert_eq!(i13_after(&mut log, [given_up(1), offered(8)].concat()), Vec::<u64>::new());
}

#[test]
fn i13_finds_a_unit_that_is_given_up_past_the_line() {
    let past =
        vec![cancelled(1, OrderReason::CancelledByHost), released(1, ReleaseReason::Cancelled)];
    assert_eq!(i13(past), [next() + 1]);
    assert_eq!(i13(vec![adjusted("A", 1, None)]), [next()]);
}

#[test]
fn i13_finds_an_offer_to_who_does_not_wait() {
    assert_eq!(i13([given_up(1), offered(9)].concat()), [next() + 5]);
    let other = offered_for(7, lines(&[("A", 2)]), 1, PRICE);
    let more = keeping(adjusted("A", 1, None), &[("A", 1)]);
    let all = [given_up(1), vec![more, carried(&[("A", 1)])], other].concat();
    assert_eq!(i13(all), [next() + 7], "not what was waited for");
}

#[test]
fn i13_finds_an_offer_of_a_unit_that_is_not_kept() {
    assert!(i13(offered(7)).contains(&(next() + 1)));
}

#[test]
fn i13_finds_units_that_are_kept_and_not_carried_or_for_nobody() {
    let not_carried = given_up(1)[..2].to_vec();
    assert_eq!(i13(not_carried), [next() + 1]);
    let for_nobody = vec![
        ended(7, WaitOutcome::Declined, None),
        ended(8, WaitOutcome::Declined, None),
        keeping(adjusted("A", 1, None), &[("A", 1)]),
        carried(&[("A", 1)]),
    ];
    assert!(i13(for_nobody).contains(&(next() + 3)));
    assert_eq!(i13([given_up(1), vec![freed(&[("A", 1)])]].concat()), [next() + 3]);
}

#[test]
fn i13_finds_who_waits_twice_or_leaves_twice_or_is_left_behind() {
    assert_eq!(i13(vec![joined(7)]), [next()]);
    assert_eq!(i13(vec![ended(9, WaitOutcome::Declined, None)]), [next()]);
    assert_eq!(i13(vec![closed()]), [next()]);
}

#[test]
fn i13_finds_a_repeated_void_that_keeps_units() {
    let again = voided(order(1).0, admission(9), VoidCause::Duplicate);
    let kept = keeping(again, &[("A", 1)]);
    assert!(i13(vec![kept, carried(&[("A", 1)])]).contains(&next()));
}
