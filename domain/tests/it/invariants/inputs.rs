use crate::support::{
    HOLD, Log, NOW, acceptance, at, krw, lines, on_air, order, placed, requested, reserved,
    reserved_as, spotlight, viewer,
};
use domain::event::Event;
use domain::fingerprint::Fingerprint;
use domain::order::{Accepted, OrderEvent, PlaceOrder};
use domain::reservation::ReservationEvent;

fn broken(change: impl FnOnce(&mut Accepted)) -> Vec<(&'static str, u64)> {
    let mut accepted = acceptance(&placed(1));
    change(&mut accepted);
    let accepted = Event::Order(OrderEvent::OrderAccepted { accepted: Box::new(accepted) });
    Log::of([on_air(), vec![accepted, reserved(1), requested(1)]]).broken(false)
}

#[test]
fn i10_finds_inputs_that_are_missing() {
    assert_eq!(broken(|_| {}), []);
    let missing = Fingerprint::from_text("");
    assert_eq!(broken(|accepted| accepted.key_fingerprint = missing.clone()), [("I10", 3)]);
    assert_eq!(broken(|accepted| accepted.body_fingerprint = missing), [("I10", 3)]);
    assert_eq!(broken(|accepted| accepted.node = String::new()), [("I10", 3)]);
    assert_eq!(broken(|accepted| accepted.accepted_at = at(NOW + 1)), [("I10", 3)]);
    let mut log = Log::of([on_air(), super::taking(1)]);
    log.events[2].metadata.source.topic = String::new();
    assert!(log.broken(false).contains(&("I10", 3)));
}

#[test]
fn i10_finds_a_price_that_was_not_promised() {
    assert_eq!(broken(|accepted| accepted.total = krw(1)), [("I10", 3), ("I9", 5)].map(|it| it));
    assert_eq!(
        broken(|accepted| {
            accepted.lines[0].unit_price = krw(1);
            accepted.total = krw(1);
        }),
        [("I10", 3), ("I9", 5)]
    );
    assert_eq!(broken(|accepted| accepted.admission.offer_version = 2), [("I10", 3)]);
}

#[test]
fn i10_finds_a_sku_that_is_not_offered() {
    let found = broken(|accepted| accepted.lines[0].sku = crate::support::sku("C"));
    assert_eq!(found, [("I10", 3), ("I10", 4)]);
}

#[test]
fn i10_finds_a_reservation_of_something_else() {
    let other_lines = PlaceOrder { lines: lines(&[("A", 2)]), ..placed(1) };
    let other_viewer = PlaceOrder { viewer_ref: viewer(2), ..placed(1) };
    for place in [other_lines, other_viewer] {
        let accepted = crate::support::accepted(1);
        let log = Log::of([on_air(), vec![accepted, reserved_as(&place), requested(1)]]);
        assert_eq!(log.broken(false), [("I10", 4)]);
    }
    let nobodys = Event::Reservation(ReservationEvent::StockReserved {
        order_id: order(5),
        spotlight_id: spotlight(),
        viewer_ref: viewer(5),
        lines: lines(&[("A", 1)]),
        epoch: 1,
        admission_no: 5,
        deadline: at(NOW + HOLD),
    });
    assert_eq!(Log::of([on_air(), vec![nobodys]]).broken(false), [("I10", 3)]);
}
