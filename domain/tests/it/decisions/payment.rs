use domain::actor::Role;
use domain::event::Event;
use domain::limits::PAYMENT_ATTEMPTS_MAX;
use domain::money::{Currency, Money};
use domain::order::{OrderCommand, OrderEvent, OrderReason, PaymentChoice};
use domain::payment::{DeclineKind, PaymentResult};
use domain::personal::Personal;
use domain::reservation::ReleaseReason;

use crate::support::{
    HOLD, NOW, PRICE, accepted, action_required, authorized, cancelled, capture_failed, captured,
    confirmed, declined, declined_at, failed, given, holding, krw, on_air, order, payment_voided,
    redirect, refund_requested, refunded, released, requested, requested_again, reserved, sold,
    unknown, viewer,
};

fn answer(result: PaymentResult) -> OrderCommand {
    OrderCommand::RecordPayment { order_id: order(1), attempt: 1, result }
}

fn capture() -> OrderCommand {
    answer(PaymentResult::Captured { amount: krw(PRICE) })
}

fn authorize() -> OrderCommand {
    answer(PaymentResult::Authorized { amount: krw(PRICE), reference: None })
}

fn decline(kind: DeclineKind) -> OrderCommand {
    answer(PaymentResult::Declined { kind, code: "card_declined".to_owned() })
}

fn expired() -> Vec<domain::event::Event> {
    [holding(1), vec![released(1, ReleaseReason::HoldExpired)]].concat()
}

#[test]
fn paid_is_sold() {
    given(holding(1)).when_order(authorize()).then(vec![authorized(1)]);
    let sale = || vec![captured(1), confirmed(1), sold(1)];
    given([holding(1), vec![authorized(1)]].concat()).when_order(capture()).then(sale());
    given(holding(1)).when_order(capture()).then(sale());
    given([holding(1), vec![unknown(1)]].concat()).when_order(capture()).then(sale());
}

#[test]
fn a_buyer_who_has_to_act_keeps_the_hold_and_is_waited_for() {
    let act = || answer(PaymentResult::RequiresAction { action: redirect(), reference: None });
    given(holding(1)).when_order(act()).then(vec![action_required(1)]);
    given([holding(1), vec![unknown(1)]].concat()).when_order(act()).then(vec![action_required(1)]);
    let waits = [holding(1), vec![action_required(1)]].concat();
    given(waits.clone()).when_order(act()).then_nothing();
    given(waits.clone()).when_order(answer(PaymentResult::Unknown)).then_nothing();
    given(waits.clone()).when_order(authorize()).then(vec![authorized(1)]);
    given(waits.clone()).when_order(capture()).then(vec![captured(1), confirmed(1), sold(1)]);
    given(waits.clone()).when_order(decline(DeclineKind::Hard)).then(vec![
        declined(1, DeclineKind::Hard),
        failed(1, OrderReason::PaymentDeclined),
        released(1, ReleaseReason::PaymentFailed),
    ]);
    // the hold runs out while the buyer acts: the units go back, the attempt is ended for good
    let late = [waits, vec![released(1, ReleaseReason::HoldExpired)]].concat();
    given(late)
        .when_order(answer(PaymentResult::Voided))
        .then(vec![payment_voided(1), failed(1, OrderReason::PaymentTimeout)]);
    given([holding(1), vec![authorized(1)]].concat()).when_order(act()).then_nothing();
}

#[test]
fn a_webhook_that_comes_twice_does_nothing() {
    let sold = [holding(1), vec![authorized(1), captured(1), confirmed(1), sold(1)]].concat();
    given(sold.clone()).when_order(capture()).then_nothing();
    given(sold.clone()).when_order(authorize()).then_nothing();
    given(sold).when_order(decline(DeclineKind::Hard)).then_nothing();
    given([holding(1), vec![authorized(1)]].concat()).when_order(authorize()).then_nothing();
    given([holding(1), vec![unknown(1)]].concat())
        .when_order(answer(PaymentResult::Unknown))
        .then_nothing();
}

#[test]
fn a_soft_decline_keeps_the_hold_and_a_hard_one_ends_the_order() {
    given(holding(1))
        .when_order(decline(DeclineKind::Soft))
        .then(vec![declined(1, DeclineKind::Soft)]);
    given(holding(1)).when_order(decline(DeclineKind::Hard)).then(vec![
        declined(1, DeclineKind::Hard),
        failed(1, OrderReason::PaymentDeclined),
        released(1, ReleaseReason::PaymentFailed),
    ]);
    given(expired())
        .when_order(decline(DeclineKind::Soft))
        .then(vec![declined(1, DeclineKind::Soft), failed(1, OrderReason::PaymentDeclined)]);
}

fn soft(attempt: u32) -> OrderCommand {
    let result =
        PaymentResult::Declined { kind: DeclineKind::Soft, code: "card_declined".to_owned() };
    OrderCommand::RecordPayment { order_id: order(1), attempt, result }
}

fn pay() -> OrderCommand {
    let payment = PaymentChoice { provider: "simulated".to_owned(), method: "sim_ok".to_owned() };
    OrderCommand::RequestPayment { order_id: order(1), payment }
}

/// Order 1, declined softly and requested again until attempt `last` is declined as well.
fn declined_up_to(last: u32) -> Vec<domain::event::Event> {
    let mut events = holding(1);
    for attempt in 1..=last {
        if attempt > 1 {
            events.push(requested_again(1, attempt));
        }
        events.push(declined_at(1, DeclineKind::Soft, attempt));
    }
    events
}

#[test]
fn an_order_without_a_method_is_paid_later() {
    let waiting = [on_air(), vec![accepted(1), reserved(1)]].concat();
    given(waiting.clone()).when_order(pay()).then(vec![requested(1)]);
    given(waiting.clone())
        .by(Role::Viewer, viewer(1).as_str())
        .when_order(pay())
        .then(vec![requested(1)]);
    given(waiting.clone())
        .by(Role::Viewer, viewer(2).as_str())
        .when_order(pay())
        .then_refused("not_found");
    // the deadline itself is too late
    given(waiting.clone()).at(NOW + HOLD - 1).when_order(pay()).then(vec![requested(1)]);
    let last = 1_000 - domain::limits::PAYMENT_MARGIN_MILLIS - 1;
    given(waiting.clone())
        .at(NOW + HOLD - 1)
        .and_millis(last)
        .when_order(pay())
        .then(vec![requested(1)]);
    given(waiting.clone())
        .at(NOW + HOLD - 1)
        .and_millis(last + 1)
        .when_order(pay())
        .then_refused("hold_expired");
    given(waiting.clone()).at(NOW + HOLD).when_order(pay()).then_refused("hold_expired");
    given([waiting.clone(), vec![released(1, ReleaseReason::HoldExpired)]].concat())
        .when_order(pay())
        .then_refused("hold_expired");
    given(on_air()).when_order(pay()).then_refused("not_found");
}

#[test]
fn a_payment_under_way_or_made_is_never_doubled() {
    given(holding(1)).when_order(pay()).then_refused("payment_not_awaited");
    for event in [unknown(1), authorized(1)] {
        given([holding(1), vec![event]].concat())
            .when_order(pay())
            .then_refused("payment_not_awaited");
    }
    let sold = [holding(1), vec![authorized(1), captured(1), confirmed(1), sold(1)]].concat();
    given(sold).when_order(pay()).then_refused("already_confirmed");
    let failed = vec![
        declined(1, DeclineKind::Hard),
        failed(1, OrderReason::PaymentDeclined),
        released(1, ReleaseReason::PaymentFailed),
    ];
    given([holding(1), failed].concat()).when_order(pay()).then_refused("already_ended");
}

#[test]
fn a_soft_decline_may_be_tried_again_a_bounded_number_of_times() {
    for attempt in 2..=PAYMENT_ATTEMPTS_MAX {
        given(declined_up_to(attempt - 1))
            .when_order(pay())
            .then(vec![requested_again(1, attempt)]);
    }
    let before_last = [
        declined_up_to(PAYMENT_ATTEMPTS_MAX - 2),
        vec![requested_again(1, PAYMENT_ATTEMPTS_MAX - 1)],
    ];
    given(before_last.concat()).when_order(soft(PAYMENT_ATTEMPTS_MAX - 1)).then(vec![declined_at(
        1,
        DeclineKind::Soft,
        PAYMENT_ATTEMPTS_MAX - 1,
    )]);
    // the last refusal leaves nothing to be tried again: the units are free at once
    let last =
        [declined_up_to(PAYMENT_ATTEMPTS_MAX - 1), vec![requested_again(1, PAYMENT_ATTEMPTS_MAX)]];
    given(last.concat()).when_order(soft(PAYMENT_ATTEMPTS_MAX)).then(vec![
        declined_at(1, DeclineKind::Soft, PAYMENT_ATTEMPTS_MAX),
        failed(1, OrderReason::PaymentDeclined),
        released(1, ReleaseReason::PaymentFailed),
    ]);
}

/// A provider that says no, and takes the money of that attempt after the buyer tried again.
#[test]
fn money_of_an_earlier_attempt_pays_the_order() {
    let again = [declined_up_to(1), vec![requested_again(1, 2)]].concat();
    given(again.clone()).when_order(capture()).then(vec![captured(1), confirmed(1), sold(1)]);
    let sold = [again, vec![captured(1), confirmed(1), sold(1)]].concat();
    given(sold).when_order(capture()).then_nothing();
}

#[test]
fn a_lost_answer_waits_for_a_query() {
    given(holding(1)).when_order(answer(PaymentResult::Unknown)).then(vec![unknown(1)]);
    given([holding(1), vec![authorized(1)]].concat())
        .when_order(answer(PaymentResult::Unknown))
        .then_nothing();
}

#[test]
fn money_that_comes_too_late_goes_back() {
    given([expired(), vec![failed(1, OrderReason::PaymentTimeout), payment_voided(1)]].concat())
        .when_order(capture())
        .then(vec![captured(1), refund_requested(1, OrderReason::PaymentTimeout)]);
}

#[test]
fn a_cancellation_before_the_money_refunds_it() {
    let cancelled = [
        holding(1),
        vec![cancelled(1, OrderReason::CancelledByViewer), released(1, ReleaseReason::Cancelled)],
    ]
    .concat();
    given(cancelled.clone()).when_order(authorize()).then(vec![authorized(1)]);
    given(cancelled)
        .when_order(capture())
        .then(vec![captured(1), refund_requested(1, OrderReason::CancelledByViewer)]);
}

/// A provider that declined, or gave the authorisation back, and then took the money all the same.
#[test]
fn money_that_arrives_is_never_ignored() {
    given([holding(1), vec![declined(1, DeclineKind::Soft)]].concat())
        .when_order(capture())
        .then(vec![captured(1), confirmed(1), sold(1)]);
    let failed = [
        holding(1),
        vec![
            declined(1, DeclineKind::Hard),
            failed(1, OrderReason::PaymentDeclined),
            released(1, ReleaseReason::PaymentFailed),
        ],
    ]
    .concat();
    given(failed)
        .when_order(capture())
        .then(vec![captured(1), refund_requested(1, OrderReason::PaymentDeclined)]);
}

#[test]
fn a_capture_that_fails_for_good_calls_the_order_off() {
    let failure = || answer(PaymentResult::CaptureFailed { code: "expired".to_owned() });
    given(holding(1)).when_order(failure()).then_nothing();
    given([holding(1), vec![authorized(1)]].concat()).when_order(failure()).then(vec![
        capture_failed(1),
        cancelled(1, OrderReason::CaptureFailed),
        released(1, ReleaseReason::PaymentFailed),
    ]);
    given([expired(), vec![authorized(1)]].concat())
        .when_order(failure())
        .then(vec![capture_failed(1), cancelled(1, OrderReason::CaptureFailed)]);
}

#[test]
fn what_never_answered_is_voided_and_fails() {
    let void = || answer(PaymentResult::Voided);
    given(expired())
        .when_order(void())
        .then(vec![payment_voided(1), failed(1, OrderReason::PaymentTimeout)]);
    given([expired(), vec![unknown(1)]].concat())
        .when_order(void())
        .then(vec![payment_voided(1), failed(1, OrderReason::PaymentTimeout)]);
    given([expired(), vec![authorized(1)]].concat())
        .when_order(void())
        .then(vec![payment_voided(1), failed(1, OrderReason::LatePayment)]);
    given(holding(1)).when_order(void()).then(vec![
        payment_voided(1),
        failed(1, OrderReason::PaymentTimeout),
        released(1, ReleaseReason::PaymentFailed),
    ]);
    given([holding(1), vec![authorized(1), captured(1), confirmed(1), sold(1)]].concat())
        .when_order(void())
        .then_nothing();
}

#[test]
fn only_the_orders_amount_counts() {
    for result in [
        PaymentResult::Captured { amount: krw(PRICE - 1) },
        PaymentResult::Authorized { amount: krw(PRICE + 1), reference: None },
    ] {
        given(holding(1)).when_order(answer(result)).then_refused("amount_mismatch");
    }
    given(on_air()).when_order(capture()).then_refused("not_found");
}

#[test]
fn a_wrong_amount_of_an_order_that_ended_goes_back_as_it_came() {
    let ended =
        [holding(1), vec![failed(1, OrderReason::Parked), released(1, ReleaseReason::Parked)]]
            .concat();
    let wrong = krw(PRICE + 500);
    let (order_id, attempt) = (order(1), 1);
    given(ended.clone()).when_order(answer(PaymentResult::Captured { amount: wrong })).then(vec![
        Event::Order(OrderEvent::PaymentCaptured { order_id, attempt, amount: wrong }),
        Event::Order(OrderEvent::RefundRequested {
            order_id,
            attempt,
            amount: wrong,
            reason: OrderReason::Parked,
            returned: None,
            personal: Personal::default(),
        }),
    ]);
    let dollars = Money::new(PRICE, Currency::try_new("USD").unwrap());
    given(ended)
        .when_order(answer(PaymentResult::Captured { amount: dollars }))
        .then_refused("amount_mismatch");
}

#[test]
fn an_order_whose_answer_was_parked_ends_at_its_deadline() {
    let end = || OrderCommand::EndParked { order_id: order(1) };
    given(holding(1))
        .when_order(end())
        .then(vec![failed(1, OrderReason::Parked), released(1, ReleaseReason::Parked)]);
    given([expired(), vec![captured(1)]].concat())
        .when_order(end())
        .then(vec![failed(1, OrderReason::Parked), refund_requested(1, OrderReason::Parked)]);
    let sold = [holding(1), vec![captured(1), confirmed(1), sold(1)]].concat();
    given(sold).when_order(end()).then_nothing();
}

#[test]
fn an_answer_to_another_attempt_does_nothing() {
    given([holding(1), vec![declined(1, DeclineKind::Soft), requested_again(1, 2)]].concat())
        .when_order(decline(DeclineKind::Hard))
        .then_nothing();
}

#[test]
fn a_refund_is_done_once() {
    let refund = |minor| answer(PaymentResult::Refunded { amount: krw(minor) });
    let asked = [
        expired(),
        vec![
            captured(1),
            failed(1, OrderReason::LatePayment),
            refund_requested(1, OrderReason::LatePayment),
        ],
    ]
    .concat();
    given(asked.clone()).when_order(refund(PRICE)).then(vec![refunded(1, PRICE)]);
    given(asked.clone()).when_order(refund(PRICE + 1)).then_refused("amount_mismatch");
    given([asked.clone(), vec![refunded(1, PRICE)]].concat())
        .when_order(refund(PRICE))
        .then_nothing();
    given([asked, vec![refunded(1, 900)]].concat())
        .when_order(refund(PRICE - 900))
        .then(vec![refunded(1, PRICE - 900)]);
    given(holding(1)).when_order(refund(PRICE)).then_nothing();
}
