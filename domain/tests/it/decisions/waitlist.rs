//! Who waits for what is sold out: in line, made an offer, and gone.

mod passed;

use domain::actor::Role;
use domain::admission::Admission;
use domain::event::Event;
use domain::line::Lines;
use domain::order::{OrderCommand, OrderReason, PlaceOrder};
use domain::payment::PaymentResult;
use domain::reservation::{ReleaseReason, ReservationEvent};
use domain::spotlight::{
    Cause, SpotlightCommand, SpotlightEvent, UnitsBySku, VoidCause, WaitOutcome,
};

use crate::support::waitlist::{
    carried, ended, freed, given_up, joined, joined_for, keeping, offer_order, offered,
    offered_for, one, sold_out, waiting,
};
use crate::support::{
    HOLD, NOW, PRICE, accepted_as, adjusted, at, cancelled, closed, failed, given, holding, krw,
    lines, offer_changed, on_air, order, paused, placed, resumed, sku, spotlight, viewer, voided,
    waits,
};

fn cancel(n: u64) -> OrderCommand {
    OrderCommand::CancelOrder { order_id: order(n), reason: None }
}

fn join(n: u64, lines: Lines) -> SpotlightCommand {
    SpotlightCommand::JoinWaitlist { wait: Box::new(waits(n, lines)), admission: None }
}

#[test]
fn a_viewer_stands_at_the_end_of_the_line_once() {
    let command = given(sold_out()).command_id();
    let wait = Box::new(waits(7, one()));
    let fact = Event::Spotlight(SpotlightEvent::WaitlistJoined {
        spotlight_id: spotlight(),
        entry: command,
        wait,
    });
    given(sold_out()).when_spotlight(join(7, one())).then(vec![fact.clone()]);
    let paused_line = [sold_out(), vec![paused()]].concat();
    given(paused_line).when_spotlight(join(7, one())).then(vec![fact]);
    given(waiting(&[7])).when_spotlight(join(7, one())).then_nothing();
    given(waiting(&[7]))
        .when_spotlight(join(7, lines(&[("B", 1)])))
        .then_refused("already_waiting");
    given(sold_out()).when_spotlight(join(7, lines(&[("Z", 1)]))).then_refused("unknown_sku");
    given(sold_out()).when_spotlight(join(7, lines(&[("B", 5)]))).then_refused("over_limit");
    given([on_air(), vec![closed()]].concat())
        .when_spotlight(join(7, one()))
        .then_refused("closed");
    given(vec![on_air()[0].clone()]).when_spotlight(join(7, one())).then_refused("not_open");
}

#[test]
fn the_gates_entry_of_a_join_that_leads_to_nothing_is_voided() {
    let admission = Admission { epoch: 1, number: 9, at: at(NOW - 1), offer_version: 1 };
    let again = SpotlightCommand::JoinWaitlist {
        wait: Box::new(waits(7, one())),
        admission: Some(admission),
    };
    let scene = given(waiting(&[7]));
    let entry = scene.command_id();
    scene.when_spotlight(again.clone()).then(vec![voided(entry, admission, VoidCause::Duplicate)]);
    let scene = given([on_air(), vec![closed()]].concat());
    scene
        .when_spotlight(again)
        .then_refused_with("closed", vec![voided(entry, admission, VoidCause::Refused)]);
}

#[test]
fn a_unit_that_is_given_up_goes_to_the_first_in_line() {
    given(waiting(&[7, 8])).when_order(cancel(1)).then([given_up(1), offered(7)].concat());
    // nobody waits for B
    let of_b = PlaceOrder { lines: lines(&[("B", 1)]), ..placed(4) };
    let held =
        [waiting(&[7]), vec![accepted_as(&of_b), crate::support::reserved_as(&of_b)]].concat();
    given(held).when_order(cancel(4)).then(vec![
        cancelled(4, OrderReason::CancelledByHost),
        crate::support::released_of(4, viewer(4), lines(&[("B", 1)]), ReleaseReason::Cancelled),
    ]);
}

#[test]
fn a_hold_that_runs_out_goes_to_the_next_and_so_on_to_the_end_of_the_line() {
    let after = [waiting(&[7, 8]), given_up(1), offered(7)].concat();
    let expired = |n: u64| {
        vec![
            Event::Order(domain::order::OrderEvent::OrderFailed {
                order_id: offer_order(n),
                reason: OrderReason::HoldExpired,
            }),
            Event::Reservation(ReservationEvent::ReservationReleased {
                order_id: offer_order(n),
                spotlight_id: spotlight(),
                viewer_ref: viewer(n),
                lines: one(),
                reason: ReleaseReason::HoldExpired,
                kept: UnitsBySku::new(),
            }),
        ]
    };
    let expire = |n: u64| OrderCommand::ExpireHold { order_id: offer_order(n) };
    given(after.clone()).when_order(expire(7)).then_refused("hold_open");
    let mut facts = expired(7);
    facts[1] = keeping(facts[1].clone(), &[("A", 1)]);
    let mut offer = offered(8);
    // by the same rule, at the time of that decision
    for event in &mut offer {
        *event = at_expiry(event.clone());
    }
    let then = [
        facts,
        vec![carried(&[("A", 1)]), ended(7, WaitOutcome::Expired, Some(offer_order(7)))],
        offer,
    ]
    .concat();
    given(after.clone()).at(NOW + HOLD).when_order(expire(7)).then(then.clone());
    let last = [after, then].concat();
    given(last)
        .at(NOW + 3 * HOLD)
        .when_order(expire(8))
        .then([expired(8), vec![ended(8, WaitOutcome::Expired, Some(offer_order(8)))]].concat());
}

fn at_expiry(event: Event) -> Event {
    let now = at(NOW + HOLD);
    match event {
        Event::Order(domain::order::OrderEvent::OrderAccepted { mut accepted }) => {
            accepted.accepted_at = now;
            accepted.admission.at = now;
            Event::Order(domain::order::OrderEvent::OrderAccepted { accepted })
        }
        Event::Reservation(ReservationEvent::StockReserved {
            order_id,
            spotlight_id,
            viewer_ref,
            lines,
            epoch,
            admission_no,
            ..
        }) => Event::Reservation(ReservationEvent::StockReserved {
            order_id,
            spotlight_id,
            viewer_ref,
            lines,
            epoch,
            admission_no,
            deadline: at(NOW + 2 * HOLD),
        }),
        Event::Spotlight(SpotlightEvent::WaitlistOffered {
            spotlight_id,
            viewer_ref,
            order_id,
            lines,
            ..
        }) => Event::Spotlight(SpotlightEvent::WaitlistOffered {
            spotlight_id,
            viewer_ref,
            order_id,
            lines,
            expires_at: at(NOW + 2 * HOLD),
        }),
        other => other,
    }
}

#[test]
fn paying_accepts_an_offer_and_cancelling_declines_it() {
    let after = [waiting(&[7]), given_up(1), offered(7)].concat();
    let order_id = offer_order(7);
    let captured = OrderCommand::RecordPayment {
        order_id,
        attempt: 1,
        result: PaymentResult::Captured { amount: krw(PRICE) },
    };
    let asked = Event::Order(domain::order::OrderEvent::PaymentRequested {
        order_id,
        attempt: 1,
        provider: "simulated".to_owned(),
        method: "sim_ok".to_owned(),
        amount: krw(PRICE),
    });
    let paid = vec![
        Event::Order(domain::order::OrderEvent::PaymentCaptured {
            order_id,
            attempt: 1,
            amount: krw(PRICE),
        }),
        Event::Order(domain::order::OrderEvent::OrderConfirmed { order_id }),
        Event::Reservation(ReservationEvent::ReservationConfirmed {
            order_id,
            spotlight_id: spotlight(),
            viewer_ref: viewer(7),
            lines: one(),
        }),
        ended(7, WaitOutcome::Accepted, Some(order_id)),
    ];
    given([after.clone(), vec![asked]].concat()).when_order(captured).then(paid);
    let decline = OrderCommand::CancelOrder { order_id, reason: None };
    given(after.clone()).by(Role::Viewer, viewer(7).as_str()).when_order(decline.clone()).then(
        vec![
            Event::Order(domain::order::OrderEvent::OrderCancelled {
                order_id,
                reason: OrderReason::CancelledByViewer,
                personal: domain::personal::Personal::default(),
            }),
            Event::Reservation(ReservationEvent::ReservationReleased {
                order_id,
                spotlight_id: spotlight(),
                viewer_ref: viewer(7),
                lines: one(),
                reason: ReleaseReason::Cancelled,
                kept: UnitsBySku::new(),
            }),
            ended(7, WaitOutcome::Declined, Some(order_id)),
        ],
    );
    given(after).by(Role::Viewer, "somebody").when_order(decline).then_refused("not_found");
}
