use crate::support::{
    Log, NOW, PRICE, admission, authorized, captured, confirmed, failed, krw, on_air, order,
    payment_voided, refund_requested, refunded, released, requested, requested_again,
    reserved_again, sold,
};
use domain::admission::Admission;
use domain::event::Event;
use domain::order::{OrderEvent, OrderReason};
use domain::reservation::ReleaseReason;

use super::{next, selling, show_and, taking};

const LATE: OrderReason = OrderReason::LatePayment;

fn expired() -> Log {
    Log::of([on_air(), taking(1), vec![released(1, ReleaseReason::HoldExpired)]])
}

#[test]
fn i9_finds_a_sale_without_money() {
    let log = Log::of([on_air(), taking(1), vec![confirmed(1), sold(1)]]);
    assert_eq!(log.broken(true), [("I9", 6)]);
}

#[test]
fn i9_finds_money_that_is_kept_without_a_sale() {
    let mut log = expired();
    log.decide(vec![captured(1), failed(1, LATE)]);
    assert_eq!(log.broken(true), [("I9", 7)]);
    let mut log = expired();
    log.decide(vec![captured(1), failed(1, LATE)]);
    log.decide(vec![refund_requested(1, LATE)]);
    assert_eq!(log.broken(false), [("I9", 7)], "asked back, but not in the same decision");
    let log = Log::of([on_air(), taking(1), vec![captured(1)], vec![confirmed(1), sold(1)]]);
    assert_eq!(log.broken(true), [("I9", 6)], "sold, but not in the same decision");
}

#[test]
fn i9_lets_late_money_wait_for_its_units() {
    let second = Admission { number: 77, ..admission(1) };
    let mut log = expired();
    log.decide(vec![captured(1)]);
    log.assert_sound(false);
    assert_eq!(log.broken(true), [("I2", 3)], "it must end");
    log.decide(vec![reserved_again(1, second, NOW), confirmed(1), sold(1)]);
    log.assert_sound(true);
    // units that are held again and money that is there are a sale
    let mut log = expired();
    log.decide(vec![captured(1)]);
    log.decide(vec![reserved_again(1, second, NOW)]);
    log.decide(vec![confirmed(1), sold(1)]);
    assert_eq!(log.broken(true), []);
}

#[test]
fn i9_finds_a_refund_that_is_never_done() {
    let mut log = expired();
    log.decide(vec![captured(1), failed(1, LATE), refund_requested(1, LATE)]);
    log.assert_sound(false);
    assert_eq!(log.broken(true), [("I9", 9)]);
    log.decide(vec![refunded(1, PRICE - 1)]);
    assert_eq!(log.broken(true), [("I9", 9)]);
    log.decide(vec![refunded(1, 1)]);
    log.assert_sound(true);
    log.decide(vec![refunded(1, 1)]);
    assert_eq!(log.broken(true), [("I9", 12)]);
}

#[test]
fn i9_finds_more_asked_back_than_was_paid() {
    let log = show_and(vec![refund_requested(1, LATE), refund_requested(1, LATE)]);
    assert_eq!(log.broken(false), [("I9", next() + 1)]);
    let log = show_and(vec![refund_requested(2, LATE)]);
    assert_eq!(log.broken(false), [("I9", next())]);
}

#[test]
fn i9_finds_money_taken_twice() {
    let log = show_and(vec![captured(1)]);
    assert_eq!(log.broken(true), [("I9", next())]);
}

#[test]
fn i9_finds_an_answer_that_nobody_asked_for() {
    let silent = vec![crate::support::accepted(1), crate::support::reserved(1)];
    for answer in [authorized(1), payment_voided(1)] {
        let log = Log::of([on_air(), silent.clone(), vec![answer]]);
        assert_eq!(log.broken(false), [("I9", 5)]);
    }
    let log = Log::of([on_air(), silent, vec![requested_again(1, 2)]]);
    assert_eq!(log.broken(false), [("I9", 5)]);
}

#[test]
fn i9_finds_another_amount_than_the_total() {
    let asked = |minor| {
        let Event::Order(OrderEvent::PaymentRequested { provider, method, .. }) = requested(1)
        else {
            unreachable!()
        };
        let (order_id, amount) = (order(1), krw(minor));
        let request =
            OrderEvent::PaymentRequested { order_id, attempt: 1, provider, method, amount };
        Log::of([
            on_air(),
            vec![crate::support::accepted(1), crate::support::reserved(1), Event::Order(request)],
        ])
    };
    asked(PRICE).assert_sound(false);
    assert_eq!(asked(PRICE + 1).broken(false), [("I9", 5)]);
    let amount = krw(PRICE - 1);
    let less = Event::Order(OrderEvent::PaymentCaptured { order_id: order(1), attempt: 1, amount });
    let log = Log::of([on_air(), taking(1), [vec![less], selling(1)[1..].to_vec()].concat()]);
    assert_eq!(log.broken(true), [("I9", 6), ("I9", 7)]);
}
