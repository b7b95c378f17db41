use crate::support::{Log, cancelled, confirmed, failed, on_air, released};
use domain::order::OrderReason;
use domain::reservation::ReleaseReason;

use super::{next, show_and, taking};

#[test]
fn i2_finds_a_second_end() {
    for (again, n) in [
        (failed(1, OrderReason::HoldExpired), 1),
        (cancelled(2, OrderReason::CancelledByHost), 2),
        (failed(4, OrderReason::StockGuard), 4),
    ] {
        let log = show_and(vec![again]);
        assert_eq!(log.broken(true), [("I2", next())], "order {n}");
    }
    let log = show_and(vec![confirmed(2)]);
    assert_eq!(log.broken(true), [("I2", next()), ("I9", next())]);
}

#[test]
fn i2_finds_an_end_without_a_beginning() {
    let log = show_and(vec![failed(9, OrderReason::Parked)]);
    assert_eq!(log.broken(true), [("I2", next()), ("I9", next())]);
}

#[test]
fn i2_finds_an_order_accepted_twice() {
    let mut log = Log::of([on_air(), taking(1)]);
    log.decide(vec![crate::support::accepted(1)]);
    assert!(log.broken(false).contains(&("I2", 6)));
}

#[test]
fn i2_finds_an_order_that_never_ends_once_the_log_is_settled() {
    let mut log = Log::of([on_air(), taking(1)]);
    log.assert_sound(false);
    log.decide(vec![released(1, ReleaseReason::HoldExpired)]);
    log.assert_sound(false);
    assert_eq!(log.broken(true), [("I2", 3)]);
}
