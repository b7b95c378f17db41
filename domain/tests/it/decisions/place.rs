use domain::event::Event;
use domain::order::{OrderCommand, OrderEvent, OrderReason, PlaceOrder};
use domain::spotlight::VoidCause;

use crate::support::{
    NOW, PRICE, accepted, accepted_as, admission, at, closed, failed, given, given_nothing,
    holding, krw, lines, offer_changed, on_air, order, paused, placed, requested, reserved,
    reserved_as, sold, viewer, voided,
};

fn place(order: PlaceOrder) -> OrderCommand {
    OrderCommand::PlaceOrder { place: Box::new(order) }
}

fn fail_parked(order: PlaceOrder) -> OrderCommand {
    OrderCommand::FailParked { place: Box::new(order) }
}

#[test]
fn units_are_held_and_the_payment_is_asked_for() {
    given(on_air()).when_order(place(placed(1))).then(vec![accepted(1), reserved(1), requested(1)]);
}

#[test]
fn an_order_without_a_method_waits_for_it() {
    let unpaid = PlaceOrder { payment: None, ..placed(1) };
    given(on_air())
        .when_order(place(unpaid.clone()))
        .then(vec![accepted_as(&unpaid), reserved_as(&unpaid)]);
}

#[test]
fn lines_are_taken_all_or_nothing() {
    let both = PlaceOrder { lines: lines(&[("A", 1), ("B", 2)]), ..placed(1) };
    given(on_air()).when_order(place(both.clone())).then(vec![
        accepted_as(&both),
        reserved_as(&both),
        Event::Order(OrderEvent::PaymentRequested {
            order_id: order(1),
            attempt: 1,
            provider: "simulated".to_owned(),
            method: "sim_ok".to_owned(),
            // B has a price of its own
            amount: krw(PRICE + 2 * 2 * PRICE),
        }),
    ]);
    let too_many = PlaceOrder { lines: lines(&[("B", 1), ("A", 4)]), ..placed(1) };
    given(on_air()).when_order(place(too_many.clone())).then(vec![
        accepted_as(&too_many),
        failed(1, OrderReason::StockGuard),
        voided(order(1).0, admission(1), VoidCause::NotReserved),
    ]);
}

#[test]
fn the_last_unit_is_sold_and_the_one_after_is_not() {
    let last = PlaceOrder { lines: lines(&[("A", 2)]), ..placed(2) };
    let full = [holding(1), vec![accepted_as(&last), reserved_as(&last)]].concat();
    given(holding(1)).when_order(place(last.clone())).then(vec![
        accepted_as(&last),
        reserved_as(&last),
        Event::Order(OrderEvent::PaymentRequested {
            order_id: order(2),
            attempt: 1,
            provider: "simulated".to_owned(),
            method: "sim_ok".to_owned(),
            amount: krw(2 * PRICE),
        }),
    ]);
    given(full).when_order(place(placed(3))).then(vec![
        accepted(3),
        failed(3, OrderReason::StockGuard),
        voided(order(3).0, admission(3), VoidCause::NotReserved),
    ]);
}

#[test]
fn a_viewers_units_are_counted_held_and_sold() {
    let fifth =
        |units| PlaceOrder { viewer_ref: viewer(1), lines: lines(&[("B", units)]), ..placed(2) };
    for before in [holding(1), [holding(1), vec![sold(1)]].concat()] {
        given(before.clone()).when_order(place(fifth(4))).then(vec![
            accepted_as(&fifth(4)),
            failed(2, OrderReason::StockGuard),
            voided(order(2).0, admission(2), VoidCause::NotReserved),
        ]);
        given(before).when_order(place(PlaceOrder { payment: None, ..fifth(3) })).then(vec![
            accepted_as(&PlaceOrder { payment: None, ..fifth(3) }),
            reserved_as(&fifth(3)),
        ]);
    }
}

#[test]
fn never_acknowledged_in_time_is_not_accepted() {
    let stale = PlaceOrder { void_after: Some(at(NOW - 1)), ..placed(1) };
    given(on_air()).when_order(place(stale)).then(vec![
        accepted(1),
        failed(1, OrderReason::NotAccepted),
        voided(order(1).0, admission(1), VoidCause::NotReserved),
    ]);
    let just_in_time = PlaceOrder { void_after: Some(at(NOW)), ..placed(1) };
    given(on_air()).when_order(place(just_in_time)).then(vec![
        accepted(1),
        reserved(1),
        requested(1),
    ]);
}

#[test]
fn the_gates_time_and_version_count_not_the_status_now() {
    for after in [closed(), paused(), offer_changed(2, 100)] {
        given([on_air(), vec![after]].concat()).when_order(place(placed(1))).then(vec![
            accepted(1),
            reserved(1),
            requested(1),
        ]);
    }
}

#[test]
fn a_repeat_leads_to_nothing_and_another_admission_is_given_back() {
    given(holding(1)).when_order(place(placed(1))).then_nothing();
    let again = PlaceOrder { admission: Some(admission(9)), ..placed(1) };
    given(holding(1)).when_order(place(again.clone())).then(vec![voided(
        order(1).0,
        admission(9),
        VoidCause::Duplicate,
    )]);
    let failed = [on_air(), vec![accepted(1), failed(1, OrderReason::StockGuard)]].concat();
    given(failed.clone()).when_order(place(placed(1))).then_nothing();
    given(failed).when_order(place(again)).then(vec![voided(
        order(1).0,
        admission(9),
        VoidCause::Duplicate,
    )]);
}

#[test]
fn what_the_log_cannot_price_is_refused_and_given_back() {
    let mut unknown = placed(1);
    unknown.admission = unknown.admission.map(|mut admission| {
        admission.offer_version = 9;
        admission
    });
    given(on_air()).when_order(place(unknown.clone())).then_refused_with(
        "unknown_offer",
        vec![voided(order(1).0, admission(1), VoidCause::Refused)],
    );
    given_nothing().when_order(place(placed(1))).then_refused("not_found");
    let unadmitted = PlaceOrder { admission: None, ..placed(1) };
    given(on_air()).when_order(place(unadmitted)).then_refused("not_admitted");
}

#[test]
fn a_parked_order_fails_at_its_deadline() {
    given(on_air()).when_order(fail_parked(placed(1))).then(vec![
        accepted(1),
        failed(1, OrderReason::Parked),
        voided(order(1).0, admission(1), VoidCause::Parked),
    ]);
    given(holding(1)).when_order(fail_parked(placed(1))).then_nothing();
    let again = PlaceOrder { admission: Some(admission(9)), ..placed(1) };
    given(holding(1)).when_order(fail_parked(again)).then(vec![voided(
        order(1).0,
        admission(9),
        VoidCause::Duplicate,
    )]);
}
