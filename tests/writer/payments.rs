//! Payments, holds and deadlines through the process role.

mod races;

use std::time::Duration;

use commands::intake::HostRefusal;
use commands::process::PAYMENT_FINAL_DEFAULT;
use commands::writer::PARKED_DEADLINE;
use domain::broadcast::BroadcastCommand;
use domain::command::Command;
use domain::event::{Event, StreamId};
use domain::ids::OrderId;
use domain::limits::PAYMENT_ATTEMPTS_MAX;
use domain::order::{OrderCommand, OrderEvent, OrderReason, PaymentChoice};
use domain::payment::{DeclineKind, PaymentResult, PaymentStatus};
use domain::ports::{CommandLog, SalesBoard, StockGate, Take, TakeOutcome};
use domain::spotlight::{Cause, SpotlightCommand, SpotlightStatus};
use domain::views::{OrderStatus, OrderView};

use super::rig::{BROADCAST, Rig, SPOTLIGHT, request, won};

async fn placed(rig: &Rig, method: &str) -> OrderId {
    let asked = request("ana", method, 1, method);
    let order = asked.order_id();
    rig.place(asked).await.expect("promised");
    order
}

async fn ended(rig: &Rig, order: OrderId, status: OrderStatus) -> OrderView {
    rig.until(&format!("{status:?}"), async |rig| {
        rig.order(order).await.is_some_and(|order| order.status == status)
    })
    .await;
    rig.order(order).await.unwrap()
}

async fn send(rig: &Rig, id: &str, command: OrderCommand) {
    let record = rig.record(SPOTLIGHT.into(), Command::Order { command }, id);
    rig.run(rig.log.append(&record)).await.expect("appends");
}

/// Payments that wait for each other.
const MANY: u32 = 100;

#[tokio::test]
async fn payments_that_share_one_connection_with_the_checkpoint_all_end() {
    let mut rig = Rig::idle();
    rig.start_writer("writer-1");
    rig.start_projections();
    rig.open(MANY, None).await;
    let mut orders = vec![];
    for n in 0..MANY {
        let asked = request(&format!("viewer-{n}"), "k", 1, "sim_ok");
        orders.push(asked.order_id());
        rig.place(asked).await.expect("promised");
    }
    // so that payments wait for it whenever a checkpoint is due
    *rig.store.answers_after.lock() = Duration::from_millis(20);
    rig.start_process();
    for order in orders {
        ended(&rig, order, OrderStatus::Confirmed).await;
    }
}

#[tokio::test]
async fn each_method_ends_as_the_contract_says() {
    for (method, status, reason, remaining) in [
        ("sim_ok", OrderStatus::Confirmed, None, 0),
        ("sim_twice", OrderStatus::Confirmed, None, 0),
        ("sim_unknown", OrderStatus::Confirmed, None, 0),
        ("sim_requires_action", OrderStatus::Confirmed, None, 0),
        ("sim_decline_hard", OrderStatus::Failed, Some(OrderReason::PaymentDeclined), 1),
        ("sim_decline_soft", OrderStatus::Failed, Some(OrderReason::PaymentDeclined), 1),
        ("sim_late", OrderStatus::Confirmed, None, 0),
        ("sim_never", OrderStatus::Failed, Some(OrderReason::PaymentTimeout), 1),
    ] {
        let rig = Rig::selling(1).await;
        let began = domain::ports::Clock::now(rig.clock.as_ref());
        let order = placed(&rig, method).await;
        let view = ended(&rig, order, status).await;
        assert_eq!(view.reason, reason, "{method}");
        rig.until("the gate has heard", async |rig| rig.remaining().await == remaining).await;
        let took = domain::ports::Clock::now(rig.clock.as_ref()) - began;
        let hold = Duration::from_secs(30);
        let bound = hold + PAYMENT_FINAL_DEFAULT + Duration::from_secs(2);
        assert!(took.to_std().unwrap() < bound, "{method} took {took}");
        let story = rig.story(order).await;
        let ends = ["ReservationConfirmed", "ReservationReleased"];
        let ended = story.iter().filter(|event| ends.contains(&event.as_str())).count();
        let reserved = story.iter().filter(|event| *event == "StockReserved").count();
        assert_eq!(ended, reserved, "{method}: {story:?}");
        assert_eq!(reserved, 1 + usize::from(method == "sim_late"), "{method}: {story:?}");
        let captured = story.iter().filter(|event| *event == "PaymentCaptured").count();
        assert_eq!(captured, usize::from(status == OrderStatus::Confirmed));
    }
}

#[tokio::test]
async fn a_late_payment_finds_the_unit_sold_and_gets_its_money_back() {
    let rig = Rig::selling(1).await;
    let late = placed(&rig, "sim_late").await;
    rig.until("it waits for the answer without its unit", async |rig| {
        rig.order(late).await.is_some_and(|order| order.status == OrderStatus::Pending)
            && rig.remaining().await == 1
    })
    .await;
    let view = rig.order(late).await.unwrap();
    assert_eq!(view.reason, Some(OrderReason::PaymentUnknown));
    rig.place(request("bob", "k", 1, "sim_ok")).await.expect("promised");
    let view = ended(&rig, late, OrderStatus::Failed).await;
    assert_eq!(view.reason, Some(OrderReason::LatePayment));
    rig.until("the money is back", async |rig| {
        rig.order(late).await.is_some_and(|order| order.payment.status == PaymentStatus::Refunded)
    })
    .await;
    assert_eq!(rig.order(late).await.unwrap().refunded, Some(won(19_900)));
    assert_eq!(rig.remaining().await, 0);
}

#[tokio::test]
async fn a_late_payment_of_a_closed_spotlight_is_refunded() {
    let rig = Rig::selling(1).await;
    let late = placed(&rig, "sim_late").await;
    let close =
        SpotlightCommand::CloseSpotlight { cause: Cause::Host, reason: None, admission: None };
    rig.spotlight(close, "close").await.expect("closed");
    let view = ended(&rig, late, OrderStatus::Failed).await;
    assert_eq!(view.reason, Some(OrderReason::LatePayment));
    rig.until("the money is back", async |rig| {
        rig.order(late).await.is_some_and(|order| order.payment.status == PaymentStatus::Refunded)
    })
    .await;
}

/// The process stops between the gate's yes and its command: the re-driver sends it, once.
#[tokio::test]
async fn a_second_take_outlives_the_process() {
    let mut rig = Rig::idle();
    rig.start_writer("w");
    rig.start_projections();
    rig.open(1, None).await;
    let process = rig.start_process();
    let late = placed(&rig, "sim_late").await;
    rig.until("the unit is free", async |rig| {
        rig.order(late).await.is_some_and(|order| order.status == OrderStatus::Pending)
            && rig.remaining().await == 1
    })
    .await;
    process.abort();
    let events = StreamId::of_order(late);
    let accepted = domain::ports::EventReader::load(rig.store.as_ref(), &events).await.unwrap();
    let Event::Order(OrderEvent::OrderAccepted { accepted }) = &accepted[0].event else {
        panic!("not accepted first");
    };
    // what the process does before it is killed: ask the gate
    let command = OrderCommand::TakeAgain { order_id: late, admission: None };
    let record = rig.record(SPOTLIGHT.into(), Command::Order { command }, "again");
    let take = Take {
        spotlight: SPOTLIGHT,
        seller: super::rig::seller(),
        order: late,
        viewer: accepted.viewer_ref.clone(),
        lines: request("ana", "sim_late", 1, "sim_late").lines,
        offer_version: 1,
        fingerprint: accepted.body_fingerprint.clone(),
        again: true,
        command: serde_json::to_string(&record).unwrap(),
    };
    let taken = rig.gate.take(&take).await.unwrap();
    assert!(matches!(taken, TakeOutcome::Taken { .. }));
    assert_eq!(rig.remaining().await, 0);
    rig.start_process();
    ended(&rig, late, OrderStatus::Confirmed).await;
    rig.pass(Duration::from_secs(15)).await;
    let confirmed = rig.story(late).await.iter().filter(|it| *it == "OrderConfirmed").count();
    assert_eq!(confirmed, 1);
    assert_eq!(rig.remaining().await, 0);
}

/// The inbox knows a provider's event in the transaction of its decision, across writers.
#[tokio::test]
async fn a_providers_event_is_decided_once() {
    let mut rig = Rig::idle();
    let first = rig.start_writer("w-1");
    rig.start_projections();
    rig.open(1, None).await;
    let order = placed(&rig, "sim_never").await;
    let tell = |result| OrderCommand::TellPayment { order_id: order, attempt: 1, result };
    let declined =
        PaymentResult::Declined { kind: DeclineKind::Soft, code: "try_again".to_owned() };
    send(&rig, "event-1", tell(declined)).await;
    rig.until("it was told", async |rig| {
        rig.order(order).await.is_some_and(|order| order.payment.retryable)
    })
    .await;
    first.abort();
    rig.start_writer("w-2");
    // the same event, whatever it says now; then another one
    send(&rig, "event-1", tell(PaymentResult::Captured { amount: won(19_900) })).await;
    rig.settle().await;
    assert!(!rig.story(order).await.contains(&"PaymentCaptured".to_owned()));
    send(&rig, "event-2", tell(PaymentResult::Captured { amount: won(19_900) })).await;
    ended(&rig, order, OrderStatus::Confirmed).await;
}

#[tokio::test]
async fn an_unpaid_order_expires_and_its_unit_is_sold_again() {
    let rig = Rig::selling(1).await;
    let order = placed(&rig, "none").await;
    let view = ended(&rig, order, OrderStatus::Failed).await;
    assert_eq!(view.reason, Some(OrderReason::HoldExpired));
    rig.until("the unit is free", async |rig| rig.remaining().await == 1).await;
    rig.place(request("bob", "k", 1, "sim_ok")).await.expect("promised");
}

async fn pay(rig: &Rig, order: OrderId, method: &str, id: &str) -> Result<(), HostRefusal> {
    let payment = PaymentChoice { provider: "simulated".to_owned(), method: method.to_owned() };
    let command =
        Command::Order { command: OrderCommand::RequestPayment { order_id: order, payment } };
    rig.submit(SPOTLIGHT.into(), command, id).await.map(drop)
}

#[tokio::test]
async fn an_order_is_paid_later_and_tried_again_inside_its_hold() {
    let rig = Rig::selling(2).await;
    let later = placed(&rig, "none").await;
    rig.until("reserved", async |rig| {
        rig.order(later).await.is_some_and(|order| order.status == OrderStatus::Reserved)
    })
    .await;
    pay(&rig, later, "sim_ok", "p1").await.expect("paid");
    // the same command again is the same payment
    pay(&rig, later, "sim_ok", "p1").await.expect("a repeat");
    let view = ended(&rig, later, OrderStatus::Confirmed).await;
    assert_eq!((view.payment.attempts, view.payment_method.as_deref()), (1, Some("sim_ok")));
    let refused = pay(&rig, later, "sim_ok", "p2").await.expect_err("is paid");
    assert_eq!(refused.code(), "already_confirmed");

    let again = placed(&rig, "sim_decline_soft").await;
    let declined = async |rig: &Rig, attempts| {
        rig.until("declined", async |rig| {
            rig.order(again).await.is_some_and(|order| {
                order.payment.attempts == attempts
                    && order.payment.status == PaymentStatus::Declined
            })
        })
        .await;
        rig.order(again).await.unwrap()
    };
    for attempt in 2..PAYMENT_ATTEMPTS_MAX {
        assert!(declined(&rig, attempt - 1).await.payment.retryable);
        pay(&rig, again, "sim_decline_soft", &format!("a{attempt}")).await.expect("tried");
    }
    assert!(declined(&rig, PAYMENT_ATTEMPTS_MAX - 1).await.payment.retryable);
    pay(&rig, again, "sim_decline_soft", "last").await.expect("tried");
    let view = ended(&rig, again, OrderStatus::Failed).await;
    assert_eq!(view.payment.attempts, PAYMENT_ATTEMPTS_MAX);
    assert_eq!(view.reason, Some(OrderReason::PaymentDeclined));
    assert!(!view.payment.retryable);
    rig.until("the unit is free", async |rig| rig.remaining().await == 1).await;
    let refused = pay(&rig, again, "sim_ok", "late").await.expect_err("has ended");
    assert_eq!(refused.code(), "already_ended");
}

#[tokio::test]
async fn a_second_attempt_pays_and_the_first_one_is_ended_before_it() {
    let rig = Rig::selling(1).await;
    let order = placed(&rig, "sim_decline_soft").await;
    rig.until("declined", async |rig| {
        rig.order(order).await.is_some_and(|order| order.payment.retryable)
    })
    .await;
    pay(&rig, order, "sim_ok", "again").await.expect("tried");
    let view = ended(&rig, order, OrderStatus::Confirmed).await;
    assert_eq!(view.payment.attempts, 2);
    let captured = rig.story(order).await.iter().filter(|it| *it == "PaymentCaptured").count();
    assert_eq!(captured, 1);
}

#[tokio::test]
async fn a_parked_order_fails_at_its_deadline_and_gives_back() {
    let rig = Rig::selling(1).await;
    let asked = request("ana", "k", 1, "sim_ok");
    let order = asked.order_id();
    rig.store.cursed.lock().insert(StreamId::order(order));
    rig.place(asked).await.expect("promised: it is in the log");
    rig.pass(PARKED_DEADLINE / 2).await;
    assert!(rig.order(order).await.is_none());
    rig.store.cursed.lock().clear();
    let view = ended(&rig, order, OrderStatus::Failed).await;
    assert_eq!(view.reason, Some(OrderReason::Parked));
    rig.until("the unit is free", async |rig| rig.remaining().await == 1).await;
    let sequence = [order.to_string()];
    let waiting = domain::ports::EventStore::parked_among(rig.store.as_ref(), &sequence).await;
    assert!(waiting.unwrap().is_empty());
}

#[tokio::test]
async fn spotlights_open_and_close_by_their_times_and_with_their_broadcast() {
    let mut rig = Rig::idle();
    rig.start_writer("w");
    rig.start_projections();
    rig.start_process();
    let now = domain::ports::Clock::now(rig.clock.as_ref());
    let after = |seconds| Some(now + chrono::TimeDelta::seconds(seconds));
    rig.open(1, None).await;
    let mut timed = super::rig::terms(1, None);
    timed.spotlight_id.0 = uuid::Uuid::from_u128(0x66);
    timed.opens_at = after(5);
    timed.closes_at = after(20);
    let id = timed.spotlight_id;
    let command = SpotlightCommand::ScheduleSpotlight { terms: Box::new(timed), open_now: false };
    rig.submit(id.into(), Command::Spotlight { command }, "timed").await.expect("scheduled");
    let status = async |rig: &Rig, id| rig.board.spotlight(id).await.unwrap().unwrap().status;
    assert_eq!(status(&rig, id).await, SpotlightStatus::Scheduled);
    rig.until("opened", async |rig| status(rig, id).await == SpotlightStatus::Open).await;
    rig.until("closed", async |rig| status(rig, id).await == SpotlightStatus::Closed).await;
    assert!(domain::ports::Clock::now(rig.clock.as_ref()) >= now + chrono::TimeDelta::seconds(20));
    assert_eq!(status(&rig, SPOTLIGHT).await, SpotlightStatus::Open);
    let command = Command::Broadcast { command: BroadcastCommand::EndBroadcast { reason: None } };
    rig.submit(BROADCAST.into(), command, "end").await.expect("ended");
    rig.until("closed", async |rig| status(rig, SPOTLIGHT).await == SpotlightStatus::Closed).await;
    let gate = rig.gate.view(SPOTLIGHT).await.unwrap().unwrap();
    assert_eq!(gate.status, SpotlightStatus::Closed);
}

#[tokio::test]
async fn a_second_process_stands_by_and_takes_over() {
    let mut rig = Rig::idle();
    rig.start_writer("w");
    rig.start_projections();
    let first = rig.start_process();
    rig.start_process();
    rig.open(2, None).await;
    let order = placed(&rig, "sim_ok").await;
    ended(&rig, order, OrderStatus::Confirmed).await;
    first.abort();
    let asked = request("bob", "k", 1, "sim_ok");
    let order = asked.order_id();
    rig.place(asked).await.expect("promised");
    ended(&rig, order, OrderStatus::Confirmed).await;
}
