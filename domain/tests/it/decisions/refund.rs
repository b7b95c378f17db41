//! Sales that are given back.

use domain::actor::Role;
use domain::event::Event;
use domain::ids::OrderId;
use domain::order::{OrderCommand, OrderEvent, OrderReason, PlaceOrder, Returned};
use domain::payment::PaymentResult;
use domain::personal::Personal;
use domain::spotlight::SpotlightEvent;

use crate::support::{
    PRICE, accepted_as, confirmed, given, holding, krw, lines, on_air, order, placed, requested,
    reserved_as, sku, spotlight, viewer,
};

/// Order 1, with two of A and one of B, is sold.
fn bought() -> Vec<Event> {
    let place = PlaceOrder { lines: lines(&[("A", 2), ("B", 1)]), ..placed(1) };
    let total = crate::support::acceptance(&place).total;
    let (order_id, attempt) = (order(1), 1);
    let paid = OrderEvent::PaymentCaptured { order_id, attempt, amount: total };
    let mut events =
        [on_air(), vec![accepted_as(&place), reserved_as(&place), requested(1)]].concat();
    let sale = domain::reservation::ReservationEvent::ReservationConfirmed {
        order_id,
        spotlight_id: spotlight(),
        viewer_ref: viewer(1),
        lines: place.lines,
    };
    events.extend([Event::Order(paid), confirmed(1), Event::Reservation(sale)]);
    events
}

fn refund(chosen: Option<&[(&str, u32)]>, restock: bool) -> OrderCommand {
    OrderCommand::RefundOrder {
        order_id: order(1),
        reason: Some("broken".to_owned()),
        lines: chosen.map(lines),
        restock,
    }
}

fn asked(attempt: u32, minor: i64, back: &[(&str, u32)], restock: bool) -> Event {
    Event::Order(OrderEvent::RefundRequested {
        order_id: order(1),
        attempt,
        amount: krw(minor),
        reason: OrderReason::RefundedByHost,
        returned: Some(Box::new(Returned {
            spotlight_id: spotlight(),
            viewer_ref: viewer(1),
            lines: lines(back),
            restock,
        })),
        personal: Personal::text(Some("broken".to_owned())),
    })
}

fn done(attempt: u32, minor: i64) -> Event {
    let (order_id, amount) = (order(1), krw(minor));
    Event::Order(OrderEvent::OrderRefunded { order_id, attempt, amount })
}

fn restocked(name: &str, delta: i64) -> Event {
    Event::Spotlight(SpotlightEvent::StockAdjusted {
        spotlight_id: spotlight(),
        sku: sku(name),
        delta,
        gate_entry: None,
        refund_of: Some(OrderId(order(1).0)),
        personal: Personal::default(),
        kept: domain::spotlight::UnitsBySku::new(),
    })
}

fn price(name: &str) -> i64 {
    crate::support::offer(1, PRICE).unit_price(&sku(name)).minor
}

#[test]
fn all_that_is_left_goes_back_at_the_price_that_was_paid() {
    let whole = 2 * price("A") + price("B");
    let all: [(&str, u32); 2] = [("A", 2), ("B", 1)];
    given(bought()).when_order(refund(None, false)).then(vec![asked(1, whole, &all, false)]);
    given(bought()).when_order(refund(None, true)).then(vec![
        asked(1, whole, &all, true),
        restocked("A", 2),
        restocked("B", 1),
    ]);
    let part = [bought(), vec![asked(1, price("A"), &[("A", 1)], false), done(1, price("A"))]];
    given(part.concat()).when_order(refund(None, false)).then(vec![asked(
        2,
        whole - price("A"),
        &[("A", 1), ("B", 1)],
        false,
    )]);
    let back = [bought(), vec![asked(1, whole, &all, false), done(1, whole)]].concat();
    given(back).when_order(refund(None, false)).then_refused("already_ended");
}

#[test]
fn lines_go_back_up_to_what_was_bought() {
    given(bought()).when_order(refund(Some(&[("A", 2)]), false)).then(vec![asked(
        1,
        2 * price("A"),
        &[("A", 2)],
        false,
    )]);
    for too_much in [&[("A", 3)][..], &[("B", 2)], &[("C", 1)]] {
        given(bought()).when_order(refund(Some(too_much), false)).then_refused("not_bought");
    }
    let part = [bought(), vec![asked(1, price("A"), &[("A", 1)], false), done(1, price("A"))]];
    given(part.concat()).when_order(refund(Some(&[("A", 2)]), false)).then_refused("not_bought");
    given(part.concat()).when_order(refund(Some(&[("A", 1)]), false)).then(vec![asked(
        2,
        price("A"),
        &[("A", 1)],
        false,
    )]);
}

#[test]
fn one_at_a_time_and_only_what_is_sold() {
    let open = [bought(), vec![asked(1, price("A"), &[("A", 1)], false)]].concat();
    given(open).when_order(refund(None, false)).then_refused("refund_in_progress");
    given(holding(1)).when_order(refund(None, false)).then_refused("not_confirmed");
    given(on_air()).when_order(refund(None, false)).then_refused("not_found");
    given(bought())
        .by(Role::Viewer, viewer(2).as_str())
        .when_order(refund(None, false))
        .then_refused("not_found");
}

#[test]
fn a_refund_that_the_provider_refuses_needs_a_person() {
    let result = PaymentResult::RefundFailed { code: "account_closed".to_owned() };
    let refused = OrderCommand::RecordPayment { order_id: order(1), attempt: 1, result };
    let open = [bought(), vec![asked(1, price("A"), &[("A", 1)], false)]].concat();
    given(open.clone()).when_order(refused.clone()).then_refused("refund_failed");
    given([open, vec![done(1, price("A"))]].concat()).when_order(refused).then_nothing();
}
