use domain::actor::Role;
use domain::order::{OrderCommand, OrderReason, PlaceOrder};
use domain::payment::DeclineKind;
use domain::reservation::ReleaseReason;

use crate::support::{
    HOLD, NOW, accepted_as, authorized, cancelled, captured, confirmed, declined, failed, given,
    holding, on_air, order, placed, released, reserved_as, sold, unknown,
};

fn expire() -> OrderCommand {
    OrderCommand::ExpireHold { order_id: order(1) }
}

fn cancel() -> OrderCommand {
    OrderCommand::CancelOrder { order_id: order(1), reason: None }
}

const LATER: i64 = NOW + HOLD;

#[test]
fn a_hold_runs_out_at_its_deadline_and_not_before() {
    given(holding(1)).at(LATER - 1).when_order(expire()).then_refused("hold_open");
    given(holding(1))
        .at(LATER)
        .when_order(expire())
        .then(vec![released(1, ReleaseReason::HoldExpired)]);
    given([holding(1), vec![released(1, ReleaseReason::HoldExpired)]].concat())
        .at(LATER)
        .when_order(expire())
        .then_nothing();
    given(on_air()).when_order(expire()).then_refused("not_found");
}

#[test]
fn an_unpaid_order_fails_with_its_hold() {
    let unpaid = PlaceOrder { payment: None, ..placed(1) };
    given([on_air(), vec![accepted_as(&unpaid), reserved_as(&unpaid)]].concat())
        .at(LATER)
        .when_order(expire())
        .then(vec![failed(1, OrderReason::HoldExpired), released(1, ReleaseReason::HoldExpired)]);
    given([holding(1), vec![declined(1, DeclineKind::Soft)]].concat())
        .at(LATER)
        .when_order(expire())
        .then(vec![
            failed(1, OrderReason::PaymentDeclined),
            released(1, ReleaseReason::HoldExpired),
        ]);
}

#[test]
fn a_payment_under_way_outlives_its_hold() {
    given([holding(1), vec![unknown(1)]].concat())
        .at(LATER)
        .when_order(expire())
        .then(vec![released(1, ReleaseReason::HoldExpired)]);
    // the money is set aside: the capture decides
    given([holding(1), vec![authorized(1)]].concat()).at(LATER).when_order(expire()).then_nothing();
}

#[test]
fn paid_before_the_expiry_stays_sold() {
    given([holding(1), vec![captured(1), confirmed(1), sold(1)]].concat())
        .at(LATER)
        .when_order(expire())
        .then_nothing();
}

#[test]
fn the_buyer_and_the_host_may_cancel_before_it_is_confirmed() {
    let ends = |reason| vec![cancelled(1, reason), released(1, ReleaseReason::Cancelled)];
    given(holding(1)).when_order(cancel()).then(ends(OrderReason::CancelledByHost));
    given(holding(1))
        .by(Role::Viewer, "viewer-1")
        .when_order(cancel())
        .then(ends(OrderReason::CancelledByViewer));
    given(holding(1)).by(Role::Viewer, "viewer-2").when_order(cancel()).then_refused("not_found");
    given([holding(1), vec![authorized(1)]].concat())
        .when_order(cancel())
        .then(ends(OrderReason::CancelledByHost));
    given([holding(1), vec![released(1, ReleaseReason::HoldExpired)]].concat())
        .when_order(cancel())
        .then(vec![cancelled(1, OrderReason::CancelledByHost)]);
}

#[test]
fn an_order_that_ended_is_not_cancelled() {
    given([holding(1), vec![captured(1), confirmed(1), sold(1)]].concat())
        .when_order(cancel())
        .then_refused("already_confirmed");
    given(
        [on_air(), vec![crate::support::accepted(1), failed(1, OrderReason::StockGuard)]].concat(),
    )
    .when_order(cancel())
    .then_refused("already_ended");
    let once =
        vec![cancelled(1, OrderReason::CancelledByHost), released(1, ReleaseReason::Cancelled)];
    given([holding(1), once].concat()).when_order(cancel()).then_nothing();
    given(on_air()).when_order(cancel()).then_refused("not_found");
}
