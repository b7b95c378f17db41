//! Payments that came after the hold had run out.

use domain::admission::Admission;
use domain::event::Event;
use domain::order::{OrderCommand, OrderReason};
use domain::payment::PaymentResult;
use domain::reservation::ReleaseReason;
use domain::spotlight::VoidCause;

use crate::support::{
    HOLD, NOW, PRICE, accepted, admission, at, authorized, cancelled, captured, confirmed, failed,
    given, holding, krw, order, refund_requested, released, reserved, reserved_again, sold, voided,
};

const LATE: i64 = NOW + HOLD + 5;

fn expired() -> Vec<Event> {
    [holding(1), vec![released(1, ReleaseReason::HoldExpired)]].concat()
}

fn second() -> Admission {
    Admission { number: 77, at: at(LATE), ..admission(1) }
}

fn take_again(admission: Admission) -> OrderCommand {
    OrderCommand::TakeAgain { order_id: order(1), admission: Some(admission) }
}

fn turn_away() -> OrderCommand {
    OrderCommand::TurnAway { order_id: order(1) }
}

fn answer(result: PaymentResult) -> OrderCommand {
    OrderCommand::RecordPayment { order_id: order(1), attempt: 1, result }
}

fn capture() -> OrderCommand {
    answer(PaymentResult::Captured { amount: krw(PRICE) })
}

fn paid_late() -> Vec<Event> {
    [expired(), vec![captured(1)]].concat()
}

#[test]
fn the_money_waits_until_the_gate_was_asked() {
    given(expired()).when_order(capture()).then(vec![captured(1)]);
    let authorize = answer(PaymentResult::Authorized { amount: krw(PRICE), reference: None });
    given(expired()).when_order(authorize).then(vec![authorized(1)]);
}

#[test]
fn captured_money_takes_the_units_again_and_buys_them() {
    given(paid_late()).at(LATE).when_order(take_again(second())).then(vec![
        reserved_again(1, second(), LATE),
        confirmed(1),
        sold(1),
    ]);
}

#[test]
fn set_aside_money_takes_the_units_again_and_is_captured() {
    let waiting = [expired(), vec![authorized(1)]].concat();
    given(waiting.clone()).at(LATE).when_order(take_again(second())).then(vec![reserved_again(
        1,
        second(),
        LATE,
    )]);
    let held = [waiting, vec![reserved_again(1, second(), LATE)]].concat();
    given(held.clone()).at(LATE).when_order(capture()).then(vec![
        captured(1),
        confirmed(1),
        sold(1),
    ]);
    // it takes again once: what runs out a second time and is paid then goes back
    let again = [held, vec![released(1, ReleaseReason::HoldExpired)]].concat();
    given(again).at(LATE + HOLD).when_order(capture()).then(vec![
        captured(1),
        failed(1, OrderReason::LatePayment),
        refund_requested(1, OrderReason::LatePayment),
    ]);
}

#[test]
fn where_there_is_nothing_left_it_is_turned_away() {
    let away =
        || vec![failed(1, OrderReason::LatePayment), refund_requested(1, OrderReason::LatePayment)];
    given(paid_late()).when_order(turn_away()).then(away());
    given([expired(), vec![authorized(1)]].concat())
        .when_order(turn_away())
        .then(vec![failed(1, OrderReason::LatePayment)]);
    // the last check: the gate said yes, and the log has sold all three
    let mut full = paid_late();
    for n in 2..5 {
        full.extend([accepted(n), reserved(n)]);
    }
    let voids = vec![voided(order(1).0, second(), VoidCause::NotReserved)];
    given(full).at(LATE).when_order(take_again(second())).then([away(), voids].concat());
}

#[test]
fn what_does_not_wait_for_its_units_gives_the_gates_yes_back() {
    let voids = || vec![voided(order(1).0, second(), VoidCause::Duplicate)];
    for history in
        [expired(), holding(1), [paid_late(), vec![failed(1, OrderReason::LatePayment)]].concat()]
    {
        given(history.clone()).when_order(take_again(second())).then(voids());
        given(history).when_order(turn_away()).then_nothing();
    }
    let bought =
        [paid_late(), vec![reserved_again(1, admission(9), LATE), confirmed(1), sold(1)]].concat();
    given(bought.clone()).when_order(take_again(second())).then(voids());
    given(bought.clone()).when_order(take_again(admission(9))).then_nothing();
    given(bought).when_order(turn_away()).then_nothing();
    given(crate::support::on_air())
        .when_order(take_again(second()))
        .then_refused_with("not_found", vec![voided(order(1).0, second(), VoidCause::Refused)]);
}

#[test]
fn who_cancels_while_the_money_waits_gets_it_back() {
    let cancel = OrderCommand::CancelOrder { order_id: order(1), reason: None };
    given(paid_late()).when_order(cancel).then(vec![
        cancelled(1, OrderReason::CancelledByHost),
        refund_requested(1, OrderReason::CancelledByHost),
    ]);
}
