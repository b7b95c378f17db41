use crate::support::{
    Log, accepted, accepted_as, adjusted, admission, at, failed, lines, on_air, opened, order,
    paused, placed, requested, reserved, reserved_as, scheduled, voided,
};
use domain::order::{OrderReason, PlaceOrder};
use domain::spotlight::VoidCause;
use uuid::Uuid;

use super::{next, show_and, taking};

#[test]
fn i6_finds_an_admission_that_nothing_ends() {
    let failed = vec![accepted(9), failed(9, OrderReason::StockGuard)];
    assert_eq!(show_and(failed.clone()).broken(true), [("I6", next())]);
    let mut log = show_and(failed);
    log.decide(vec![voided(order(9).0, admission(9), VoidCause::NotReserved)]);
    assert_eq!(log.broken(true), [("I6", next())], "too late: not in the same decision");
}

#[test]
fn i6_finds_an_admission_that_ends_twice() {
    for (n, cause) in [
        (1, VoidCause::Duplicate),
        (2, VoidCause::Refused),
        (4, VoidCause::NotReserved),
        (3, VoidCause::Parked),
    ] {
        let log = show_and(vec![voided(order(n).0, admission(n), cause)]);
        assert_eq!(log.broken(true), [("I6", next())], "admission {n}");
    }
    // delivered again: the gate has given it back already
    show_and(vec![voided(order(1).0, admission(9), VoidCause::Duplicate)]).assert_sound(true);
    let late = PlaceOrder { lines: lines(&[("B", 1)]), ..placed(8) };
    let mut log = show_and(vec![voided(order(8).0, admission(8), VoidCause::Refused)]);
    log.decide(vec![accepted_as(&late), reserved_as(&late)]);
    assert_eq!(log.broken(false), [("I6", next() + 2)]);
}

#[test]
fn i6_finds_a_reservation_under_another_admission() {
    let other = PlaceOrder { admission: Some(admission(77)), ..placed(1) };
    let log = Log::of([on_air(), vec![accepted(1), reserved_as(&other), requested(1)]]);
    assert_eq!(log.broken(false), [("I6", 4), ("I6", 3)]);
}

#[test]
fn i6_finds_an_epoch_that_never_was() {
    let mut from_the_future = admission(1);
    from_the_future.epoch = 2;
    let place = PlaceOrder { admission: Some(from_the_future), ..placed(1) };
    let log = Log::of([on_air(), vec![accepted_as(&place), reserved_as(&place)]]);
    assert_eq!(log.broken(false), [("I6", 4)]);
}

#[test]
fn i6_finds_a_host_command_that_is_done_and_voided() {
    let entry = Uuid::from_u128(0xfeed);
    for effect in [paused(), adjusted("A", -1, Some(entry))] {
        let mut log = Log::of([on_air()]);
        log.decide_as(entry, 10, vec![effect]);
        log.assert_sound(false);
        // a repeat of the command, which the gate took again, is given back
        log.decide(vec![voided(entry, admission(8), VoidCause::Duplicate)]);
        log.assert_sound(false);
        log.decide(vec![voided(entry, admission(7), VoidCause::Refused)]);
        assert_eq!(log.broken(false), [("I6", 5)]);
    }
}

#[test]
fn i6_finds_an_offset_that_goes_back_or_has_two_commands() {
    let mut log = Log::of([vec![scheduled()], vec![opened()], taking(1)]);
    log.assert_sound(false);
    log.events[1].metadata.source.offset = -1;
    assert_eq!(log.broken(false), [("I6", 2)]);
    let mut log = Log::of([vec![scheduled()], vec![opened()], taking(1)]);
    log.events[1].metadata.source.offset = 0;
    assert_eq!(log.broken(false), [("I6", 2)]);
}

#[test]
fn i6_keeps_partitions_apart() {
    let mut log = Log::of([vec![scheduled()], vec![opened()], taking(1)]);
    log.events[0].metadata.source.partition = 1;
    log.events[0].metadata.source.offset = 900;
    log.assert_sound(false);
}

#[test]
fn i6_finds_a_time_that_goes_back() {
    let mut log = Log::of([vec![scheduled()], vec![opened()], taking(1)]);
    log.events[1].metadata.decided_at = at(9);
    assert_eq!(log.broken(false), [("I6", 2)]);
    let reserved_late = Log::of([on_air(), vec![accepted(1)], vec![reserved(1)]]);
    assert_eq!(reserved_late.broken(false), [("I6", 3)]);
}
