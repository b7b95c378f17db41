//! Who reserves again and again without paying gets shorter holds, where the spotlight says so.

use domain::actor::Role;
use domain::event::Event;
use domain::order::{OrderCommand, OrderReason, PlaceOrder};
use domain::payment::DeclineKind;
use domain::reservation::{ReleaseReason, ReservationEvent};
use domain::spotlight::{SpotlightEvent, SpotlightTerms};

use crate::support::{
    HOLD, NOW, accepted_as, action_required, at, cancelled, declined, failed, given, opened, order,
    placed, released, requested, reserved_as, spotlight, terms, unknown, viewer,
};

const SHORTER: u32 = 30;

fn strict() -> Vec<Event> {
    let terms = SpotlightTerms { abandoned_hold_seconds: Some(SHORTER), ..terms() };
    let scheduled = SpotlightEvent::SpotlightScheduled { terms: Box::new(terms) };
    vec![Event::Spotlight(scheduled), opened()]
}

/// Order `n`, always of viewer 1.
fn by_one(n: u64) -> PlaceOrder {
    PlaceOrder { viewer_ref: viewer(1), payment: None, ..placed(n) }
}

fn held() -> Vec<Event> {
    [strict(), vec![accepted_as(&by_one(1)), reserved_as(&by_one(1))]].concat()
}

fn abandoned(n: u64) -> Event {
    Event::Spotlight(SpotlightEvent::HoldAbandoned {
        spotlight_id: spotlight(),
        viewer_ref: viewer(1),
        order_id: order(n),
    })
}

fn expire() -> OrderCommand {
    OrderCommand::ExpireHold { order_id: order(1) }
}

fn cancel() -> OrderCommand {
    OrderCommand::CancelOrder { order_id: order(1), reason: None }
}

/// What follows when viewer 1 orders after so many abandoned holds.
fn held_for(holds: u64, seconds: i64) {
    let history = [strict(), (10..10 + holds).map(abandoned).collect()].concat();
    let mut reserved = reserved_as(&by_one(1));
    if let Event::Reservation(ReservationEvent::StockReserved { deadline, .. }) = &mut reserved {
        *deadline = at(NOW + seconds);
    }
    let place = Box::new(by_one(1));
    given(history)
        .when_order(OrderCommand::PlaceOrder { place })
        .then(vec![accepted_as(&by_one(1)), reserved]);
}

#[test]
fn the_third_hold_is_shorter_after_two_that_were_abandoned() {
    held_for(0, HOLD);
    held_for(1, HOLD);
    held_for(2, i64::from(SHORTER));
    held_for(3, i64::from(SHORTER));
}

#[test]
fn what_another_viewer_abandons_is_not_counted_against_this_one() {
    let mut of_another = vec![abandoned(10), abandoned(11)];
    for event in &mut of_another {
        if let Event::Spotlight(SpotlightEvent::HoldAbandoned { viewer_ref, .. }) = event {
            *viewer_ref = viewer(2);
        }
    }
    let place = Box::new(by_one(1));
    given([strict(), of_another].concat())
        .when_order(OrderCommand::PlaceOrder { place })
        .then(vec![accepted_as(&by_one(1)), reserved_as(&by_one(1))]);
}

#[test]
fn a_hold_that_runs_out_unpaid_is_counted_until_it_matters() {
    let ends =
        || vec![failed(1, OrderReason::HoldExpired), released(1, ReleaseReason::HoldExpired)];
    let counted = [ends(), vec![abandoned(1)]].concat();
    given(held()).at(NOW + HOLD).when_order(expire()).then(counted.clone());
    let once = [held(), vec![abandoned(9)]].concat();
    given(once).at(NOW + HOLD).when_order(expire()).then(counted);
    let twice = [held(), vec![abandoned(8), abandoned(9)]].concat();
    given(twice).at(NOW + HOLD).when_order(expire()).then(ends());
    let over = [held(), ends(), vec![abandoned(1)]].concat();
    given(over).at(NOW + HOLD).when_order(expire()).then_nothing();
}

#[test]
fn a_declined_buyer_who_does_not_try_again_and_one_who_does_not_confirm_have_abandoned_it() {
    let tried = [held(), vec![requested(1), declined(1, DeclineKind::Soft)]].concat();
    given(tried).at(NOW + HOLD).when_order(expire()).then(vec![
        failed(1, OrderReason::PaymentDeclined),
        released(1, ReleaseReason::HoldExpired),
        abandoned(1),
    ]);
    let asked = [held(), vec![requested(1), action_required(1)]].concat();
    given(asked)
        .at(NOW + HOLD)
        .when_order(expire())
        .then(vec![released(1, ReleaseReason::HoldExpired), abandoned(1)]);
}

#[test]
fn a_slow_provider_is_not_the_viewers_fault() {
    let kept = vec![released(1, ReleaseReason::HoldExpired)];
    let asked = [held(), vec![requested(1)]].concat();
    given(asked.clone()).at(NOW + HOLD).when_order(expire()).then(kept.clone());
    given([asked, vec![unknown(1)]].concat()).at(NOW + HOLD).when_order(expire()).then(kept);
}

#[test]
fn calling_it_off_counts_for_the_viewer_and_not_for_the_host() {
    let ends = |reason| vec![cancelled(1, reason), released(1, ReleaseReason::Cancelled)];
    given(held())
        .by(Role::Viewer, "viewer-1")
        .when_order(cancel())
        .then([ends(OrderReason::CancelledByViewer), vec![abandoned(1)]].concat());
    given(held()).when_order(cancel()).then(ends(OrderReason::CancelledByHost));
}

#[test]
fn an_offer_to_somebody_who_waited_may_be_declined() {
    let mut offer = by_one(1);
    offer.admission.as_mut().unwrap().number = domain::waitlist::OFFER_ADMISSION;
    let mut history = strict();
    let mut reserved = reserved_as(&offer);
    // as if its units had never been free
    if let Event::Reservation(ReservationEvent::StockReserved { admission_no, .. }) = &mut reserved
    {
        *admission_no = 1;
    }
    history.extend([accepted_as(&offer), reserved]);
    given(history).by(Role::Viewer, "viewer-1").when_order(cancel()).then(vec![
        cancelled(1, OrderReason::CancelledByViewer),
        released(1, ReleaseReason::Cancelled),
    ]);
}

#[test]
fn a_spotlight_without_shorter_holds_counts_nothing() {
    let unpaid = by_one(1);
    given([crate::support::on_air(), vec![accepted_as(&unpaid), reserved_as(&unpaid)]].concat())
        .at(NOW + HOLD)
        .when_order(expire())
        .then(vec![failed(1, OrderReason::HoldExpired), released(1, ReleaseReason::HoldExpired)]);
}
