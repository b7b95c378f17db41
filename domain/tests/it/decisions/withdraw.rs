//! Offer versions that are withdrawn, and their orders.

use domain::event::Event;
use domain::money::Money;
use domain::order::{OrderCommand, OrderEvent, OrderReason, Returned};
use domain::personal::Personal;
use domain::reservation::ReleaseReason;
use domain::spotlight::{Settle, SpotlightCommand, SpotlightEvent, VoidCause, Withdrawal};

use crate::support::{
    NOW, PRICE, accepted, admission, at, authorized, cancelled, captured, closed, confirmed,
    failed, given, holding, krw, lines, offer_changed, on_air, order, paused, placed, refunded,
    released, resumed, scheduled, sku, sold, spotlight, viewer, voided,
};

fn withdraw(version: u32, settle: Settle) -> SpotlightCommand {
    let admission = Some(admission(7));
    SpotlightCommand::WithdrawOffer { offer_version: version, settle, reason: None, admission }
}

fn withdrawn(settle: Settle) -> Event {
    Event::Spotlight(SpotlightEvent::OfferWithdrawn {
        spotlight_id: spotlight(),
        offer_version: 1,
        settle,
        at: at(NOW),
        personal: Personal::default(),
    })
}

fn stopped(settle: Settle) -> Vec<Event> {
    vec![withdrawn(settle), paused()]
}

fn settle_order() -> OrderCommand {
    OrderCommand::WithdrawOrder { order_id: order(1) }
}

fn progress(done: u64, open: bool) -> Withdrawal {
    Withdrawal { offer_version: 1, settle: Settle::Cancel, total: 2, done, failed: 0, open }
}

fn progressed(withdrawal: Withdrawal) -> Event {
    let spotlight_id = spotlight();
    Event::Spotlight(SpotlightEvent::WithdrawalProgressed { spotlight_id, withdrawal })
}

#[test]
fn a_version_is_stopped_and_its_spotlight_waits_for_the_next_offer() {
    given(on_air()).when_spotlight(withdraw(1, Settle::Cancel)).then(stopped(Settle::Cancel));
    let waiting = [on_air(), stopped(Settle::Cancel)].concat();
    given(waiting.clone())
        .when_spotlight(SpotlightCommand::ResumeSpotlight { reason: None })
        .then_refused("paused");
    let reprice = SpotlightCommand::ChangeOffer {
        live_price: Money::new(PRICE, krw(1).currency),
        reason: None,
        admission: Some(admission(7)),
    };
    given(waiting.clone()).when_spotlight(reprice).then(vec![offer_changed(2, PRICE), resumed()]);
    // one that its host paused before is not opened by a new price alone
    let by_host = [on_air(), vec![paused()]].concat();
    let again = |events: Vec<Event>| {
        let given = given(events);
        let entry = given.command_id();
        (given, entry)
    };
    let (paused_before, entry) = again(by_host);
    paused_before
        .when_spotlight(withdraw(1, Settle::Honour))
        .then(vec![withdrawn(Settle::Honour), voided(entry, admission(7), VoidCause::Duplicate)]);
    let (repeat, entry) = again(waiting);
    repeat.when_spotlight(withdraw(1, Settle::Cancel)).then(vec![voided(
        entry,
        admission(7),
        VoidCause::Duplicate,
    )]);
}

#[test]
fn a_version_is_withdrawn_once_and_one_at_a_time() {
    let refused = |events: Vec<Event>, command: SpotlightCommand, code: &str| {
        let given = given(events);
        let entry = given.command_id();
        given
            .when_spotlight(command)
            .then_refused_with(code, vec![voided(entry, admission(7), VoidCause::Refused)]);
    };
    refused(vec![scheduled()], withdraw(1, Settle::Cancel), "not_open");
    refused(on_air(), withdraw(2, Settle::Cancel), "unknown_offer");
    let waiting = [on_air(), stopped(Settle::Cancel)].concat();
    refused(waiting.clone(), withdraw(1, Settle::Honour), "already_withdrawn");
    let repriced = [waiting, vec![offer_changed(2, PRICE), resumed()]].concat();
    refused(repriced.clone(), withdraw(2, Settle::Cancel), "withdrawal_in_progress");
    let report = |withdrawal| SpotlightCommand::ReportWithdrawal { withdrawal };
    given(repriced.clone())
        .when_spotlight(report(progress(1, true)))
        .then(vec![progressed(progress(1, true))]);
    let over = [repriced, vec![progressed(progress(2, false))]].concat();
    given(over.clone()).when_spotlight(report(progress(1, true))).then_nothing();
    let second = given(over);
    second.when_spotlight(withdraw(2, Settle::Cancel)).then(vec![
        Event::Spotlight(SpotlightEvent::OfferWithdrawn {
            spotlight_id: spotlight(),
            offer_version: 2,
            settle: Settle::Cancel,
            at: at(NOW),
            personal: Personal::default(),
        }),
        paused(),
    ]);
    // its orders are settled after the sale as well
    let command = SpotlightCommand::WithdrawOffer {
        offer_version: 1,
        settle: Settle::Cancel,
        reason: None,
        admission: None,
    };
    given([on_air(), vec![closed()]].concat())
        .when_spotlight(command)
        .then(vec![withdrawn(Settle::Cancel)]);
}

#[test]
fn what_is_open_is_cancelled_and_what_was_sold_goes_back_whole() {
    let after = |events: Vec<Event>| [events, stopped(Settle::Cancel)].concat();
    given(after(holding(1)))
        .when_order(settle_order())
        .then(vec![cancelled(1, OrderReason::Withdrawn), released(1, ReleaseReason::Cancelled)]);
    given(after([holding(1), vec![authorized(1)]].concat()))
        .when_order(settle_order())
        .then(vec![cancelled(1, OrderReason::Withdrawn), released(1, ReleaseReason::Cancelled)]);
    let bought = [holding(1), vec![captured(1), confirmed(1), sold(1)]].concat();
    let (order_id, back) = (order(1), lines(&[("A", 1)]));
    let returned =
        Returned { spotlight_id: spotlight(), viewer_ref: viewer(1), lines: back, restock: true };
    let asked = vec![
        Event::Order(OrderEvent::RefundRequested {
            order_id,
            attempt: 1,
            amount: krw(PRICE),
            reason: OrderReason::Withdrawn,
            returned: Some(Box::new(returned)),
            personal: Personal::default(),
        }),
        Event::Spotlight(SpotlightEvent::StockAdjusted {
            spotlight_id: spotlight(),
            sku: sku("A"),
            delta: 1,
            gate_entry: None,
            refund_of: Some(order_id),
            personal: Personal::default(),
            kept: domain::spotlight::UnitsBySku::new(),
        }),
    ];
    given(after(bought.clone())).when_order(settle_order()).then(asked.clone());
    let asked_back = [after(bought.clone()), asked].concat();
    given(asked_back.clone()).when_order(settle_order()).then_refused("refund_in_progress");
    given([asked_back, vec![refunded(1, PRICE)]].concat())
        .when_order(settle_order())
        .then_nothing();
    // what is honoured, what was not withdrawn, and what is over stays as it is
    given([bought.clone(), stopped(Settle::Honour)].concat())
        .when_order(settle_order())
        .then_nothing();
    given(bought).when_order(settle_order()).then_nothing();
    let over = [
        holding(1),
        vec![failed(1, OrderReason::HoldExpired), released(1, ReleaseReason::HoldExpired)],
    ]
    .concat();
    given(after(over)).when_order(settle_order()).then_nothing();
}

#[test]
fn an_order_that_was_still_on_its_way_fails_uncharged_or_is_honoured() {
    let place = || OrderCommand::PlaceOrder { place: Box::new(placed(1)) };
    given([on_air(), stopped(Settle::Cancel)].concat()).when_order(place()).then(vec![
        accepted(1),
        failed(1, OrderReason::Withdrawn),
        voided(order(1).0, admission(1), VoidCause::NotReserved),
    ]);
    let honoured = [on_air(), stopped(Settle::Honour)].concat();
    given(honoured).when_order(place()).then(holding(1)[on_air().len()..].to_vec());
}
