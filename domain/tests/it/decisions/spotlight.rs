use domain::event::Event;
use domain::money::{Currency, Money};
use domain::spotlight::{Cause, SpotlightCommand, SpotlightEvent, VoidCause};

use crate::support::{
    accepted, adjusted, admission, closed, given, given_nothing, holding, krw, offer_changed,
    on_air, opened, paused, reopened, requested, reserved, resumed, scheduled, sku, sold, terms,
    voided,
};

fn schedule(open_now: bool) -> SpotlightCommand {
    SpotlightCommand::ScheduleSpotlight { terms: Box::new(terms()), open_now }
}

fn pause(admitted: bool) -> SpotlightCommand {
    SpotlightCommand::PauseSpotlight { reason: None, admission: admitted.then(|| admission(7)) }
}

fn close(admitted: bool) -> SpotlightCommand {
    let (cause, reason) = (Cause::Host, None);
    SpotlightCommand::CloseSpotlight { cause, reason, admission: admitted.then(|| admission(7)) }
}

fn adjust(name: &str, delta: i64, admitted: bool) -> SpotlightCommand {
    let admission = admitted.then(|| admission(7));
    SpotlightCommand::AdjustStock { sku: sku(name), delta, reason: None, admission }
}

fn reprice(live_price: Money) -> SpotlightCommand {
    SpotlightCommand::ChangeOffer { live_price, reason: None, admission: Some(admission(7)) }
}

const OPEN: SpotlightCommand = SpotlightCommand::OpenSpotlight { cause: Cause::Host };
const RESUME: SpotlightCommand = SpotlightCommand::ResumeSpotlight { reason: None };

#[test]
fn it_is_scheduled_once_and_may_open_at_once() {
    given_nothing().when_spotlight(schedule(false)).then(vec![scheduled()]);
    given_nothing().when_spotlight(schedule(true)).then(on_air());
    given(on_air()).when_spotlight(schedule(true)).then_nothing();
    let mut other = terms();
    other.hold_seconds = 60;
    given(on_air())
        .when_spotlight(SpotlightCommand::ScheduleSpotlight {
            terms: Box::new(other),
            open_now: false,
        })
        .then_refused("already_exists");
}

#[test]
fn another_sellers_spotlight_does_not_exist() {
    let mut other = terms();
    other.seller = domain::ids::SellerId::try_new("other").unwrap();
    let terms = Box::new(other.clone());
    given_nothing()
        .when_spotlight(SpotlightCommand::ScheduleSpotlight { terms, open_now: false })
        .then_refused("not_found");
    let theirs = Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms: Box::new(other) });
    given(vec![theirs.clone()]).when_spotlight(OPEN).then_refused("not_found");
    given(vec![theirs]).when_spotlight(adjust("A", 1, false)).then_refused("not_found");
}

#[test]
fn it_opens_once_and_not_after_the_close() {
    given_nothing().when_spotlight(OPEN).then_refused("not_found");
    given(vec![scheduled()]).when_spotlight(OPEN).then(vec![opened()]);
    given(on_air()).when_spotlight(OPEN).then_nothing();
    given([on_air(), vec![paused()]].concat()).when_spotlight(OPEN).then_nothing();
    given(vec![scheduled(), closed()]).when_spotlight(OPEN).then_refused("closed");
}

#[test]
fn pause_and_resume() {
    given(vec![scheduled()]).when_spotlight(pause(false)).then_refused("not_open");
    given(on_air()).when_spotlight(pause(true)).then(vec![paused()]);
    given([on_air(), vec![paused()]].concat()).when_spotlight(RESUME).then(vec![resumed()]);
    given(on_air()).when_spotlight(RESUME).then_nothing();
    given(vec![scheduled()]).when_spotlight(RESUME).then_refused("not_open");
    given([on_air(), vec![closed()]].concat()).when_spotlight(RESUME).then_refused("closed");
    given([on_air(), vec![closed()]].concat()).when_spotlight(pause(false)).then_refused("closed");
}

#[test]
fn a_narrowing_that_changes_nothing_gives_its_entry_back() {
    let scene = given([on_air(), vec![paused()]].concat());
    let entry = scene.command_id();
    let void = |cause| vec![voided(entry, admission(7), cause)];
    scene.when_spotlight(pause(true)).then(void(VoidCause::Duplicate));
    given([on_air(), vec![closed()]].concat())
        .when_spotlight(close(true))
        .then(void(VoidCause::Duplicate));
}

#[test]
fn a_refused_narrowing_gives_its_entry_back() {
    let scene = given([on_air(), vec![closed()]].concat());
    let entry = scene.command_id();
    let void = || vec![voided(entry, admission(7), VoidCause::Refused)];
    scene.when_spotlight(adjust("A", -1, true)).then_refused_with("closed", void());
    given([on_air(), vec![closed()]].concat())
        .when_spotlight(reprice(krw(100)))
        .then_refused_with("closed", void());
    given(holding(1))
        .when_spotlight(adjust("A", -3, true))
        .then_refused_with("below_committed", void());
    let dollars = Money { minor: 100, currency: Currency::try_new("USD").unwrap() };
    given(on_air()).when_spotlight(reprice(dollars)).then_refused_with("currency_mismatch", void());
}

#[test]
fn what_was_never_scheduled_gets_no_event() {
    given_nothing().when_spotlight(pause(true)).then_refused("not_found");
}

#[test]
fn it_closes_once_from_everywhere() {
    for before in [vec![scheduled()], on_air(), [on_air(), vec![paused()]].concat()] {
        given(before).when_spotlight(close(true)).then(vec![closed()]);
    }
    given([on_air(), vec![closed()]].concat()).when_spotlight(close(false)).then_nothing();
}

#[test]
fn stock_moves_down_to_what_is_held_and_sold() {
    let scene = given(on_air());
    let entry = scene.command_id();
    scene.when_spotlight(adjust("A", -3, true)).then(vec![adjusted("A", -3, Some(entry))]);
    given(on_air()).when_spotlight(adjust("A", 4, false)).then(vec![adjusted("A", 4, None)]);
    given(holding(1)).when_spotlight(adjust("A", -2, false)).then(vec![adjusted("A", -2, None)]);
    given([holding(1), vec![sold(1)]].concat())
        .when_spotlight(adjust("A", -3, false))
        .then_refused("below_committed");
    let two = [holding(1), vec![accepted(2), reserved(2), requested(2)]].concat();
    given(two).when_spotlight(adjust("A", -2, false)).then_refused("below_committed");
    given(on_air()).when_spotlight(adjust("C", 1, false)).then_refused("unknown_sku");
    let most = i64::from(domain::limits::SKU_UNITS_MAX);
    given(on_air()).when_spotlight(adjust("A", most - 3, false)).then(vec![adjusted(
        "A",
        most - 3,
        None,
    )]);
    given(on_air()).when_spotlight(adjust("A", most - 2, false)).then_refused("too_many_units");
}

#[test]
fn a_price_change_is_a_new_version() {
    given(on_air()).when_spotlight(reprice(krw(100))).then(vec![{
        let mut offer = crate::support::offer(2, 100);
        offer.sku_prices = terms().offer.sku_prices;
        Event::Spotlight(SpotlightEvent::OfferChanged {
            spotlight_id: crate::support::spotlight(),
            offer,
            personal: domain::personal::Personal::default(),
        })
    }]);
    let mut third = crate::support::offer(3, 300);
    third.sku_prices = crate::support::offer(2, 200).sku_prices;
    given([on_air(), vec![offer_changed(2, 200)]].concat()).when_spotlight(reprice(krw(300))).then(
        vec![Event::Spotlight(SpotlightEvent::OfferChanged {
            spotlight_id: crate::support::spotlight(),
            offer: third,
            personal: domain::personal::Personal::default(),
        })],
    );
}

#[test]
fn the_gate_is_reopened_once_per_epoch() {
    let reopen = |expected| SpotlightCommand::ReopenGate { expected };
    given(on_air()).when_spotlight(reopen(1)).then(vec![reopened(2)]);
    given([on_air(), vec![reopened(2)]].concat()).when_spotlight(reopen(1)).then_nothing();
    given([on_air(), vec![reopened(2)]].concat()).when_spotlight(reopen(2)).then(vec![reopened(3)]);
    given([on_air(), vec![closed()]].concat()).when_spotlight(reopen(1)).then(vec![reopened(2)]);
}
