//! Orders through the intake: promises, refusals, repeats, and what is never compensated.

use std::time::Duration;

use commands::faults::{Action, INTAKE_AFTER_TAKE};
use commands::intake::{
    ACK_BOUND, Asker, PlaceRefusal, REDRIVE_AFTER, Receipt, ReceiptSigner, SOLD_OUT_RENEWAL,
    SOLD_OUT_STALENESS, VOID_AFTER, verify_receipt,
};
use domain::command::{Command, CommandRecord};
use domain::ids::SellerId;
use domain::order::{OrderCommand, OrderReason};
use domain::ports::StockGate;
use domain::views::OrderStatus;
use tokio_util::task::TaskTracker;

use super::ports::LogFault;
use super::rig::{Rig, SEED, SPOTLIGHT, request, won};

fn receipt(order: &domain::views::AcceptedOrder) -> Receipt {
    serde_json::from_str(order.receipt.as_ref().expect("has a receipt").as_str()).expect("parses")
}

#[tokio::test]
async fn an_order_is_promised_with_a_receipt_that_verifies() {
    let rig = Rig::selling(2).await;
    let asked = request("ana", "k", 2, "sim_ok");
    let placed = rig.place(asked.clone()).await.expect("promised");
    assert!(!placed.replayed);
    assert_eq!(placed.order.order.total, won(39_800));
    let signed = receipt(&placed.order);
    assert_eq!(verify_receipt(&signed, &ReceiptSigner::from_seed(&SEED).public_key()), Ok(()));
    let leaf: serde_json::Value = serde_json::from_str(&signed.leaf).unwrap();
    assert_eq!(leaf["order_id"], asked.order_id().to_string());
    assert_eq!(leaf["total"]["minor"], 39_800);
    rig.until("it is confirmed", async |rig| {
        rig.order(asked.order_id()).await.is_some_and(|o| o.status == OrderStatus::Confirmed)
    })
    .await;
    // what the receipt says is what the log has
    let accepted = rig.events().await.into_iter().find_map(|event| match event {
        domain::event::Event::Order(domain::order::OrderEvent::OrderAccepted { accepted }) => {
            Some(accepted)
        }
        _ => None,
    });
    assert_eq!(accepted.unwrap().total, placed.order.order.total);
}

/// So that whoever shows an order's steps shows one for each decision.
#[tokio::test]
async fn events_say_how_many_follow_about_their_order() {
    let rig = Rig::selling(2).await;
    let asked = request("ana", "k", 1, "sim_ok");
    rig.place(asked.clone()).await.expect("promised");
    rig.until("it is confirmed", async |rig| {
        rig.order(asked.order_id()).await.is_some_and(|o| o.status == OrderStatus::Confirmed)
    })
    .await;
    let log = rig.recorded().await;
    let told = log.iter().filter(|recorded| recorded.event.order() == Some(asked.order_id()));
    let told: Vec<_> =
        told.map(|recorded| (recorded.event.event_type(), recorded.metadata.followed_by)).collect();
    let expected = [
        ("OrderAccepted", 2),
        ("StockReserved", 1),
        ("PaymentRequested", 0),
        ("PaymentAuthorized", 0),
        ("PaymentCaptured", 2),
        ("OrderConfirmed", 1),
        ("ReservationConfirmed", 0),
    ];
    assert_eq!(told, expected.map(|(name, count)| (name.to_owned(), count)));
    let others = log.iter().filter(|recorded| recorded.event.order().is_none());
    assert!(others.into_iter().all(|recorded| recorded.metadata.followed_by == 0));
}

#[tokio::test]
async fn the_same_key_again_gives_the_same_promise_and_another_body_none() {
    let rig = Rig::selling(2).await;
    let asked = request("ana", "k", 1, "sim_ok");
    let first = rig.place(asked.clone()).await.expect("promised");
    let again = rig.place(asked.clone()).await.expect("promised");
    assert!(again.replayed);
    assert_eq!(again.order.receipt, first.order.receipt);
    assert_eq!(again.order.order.id, first.order.order.id);
    let other = request("ana", "k", 2, "sim_ok");
    assert_eq!(rig.place(other).await, Err(PlaceRefusal::KeyReused));
    assert_eq!(rig.remaining().await, 1);
    let orders = rig.log.records.lock().iter().filter(|record| is_place(record)).count();
    assert_eq!(orders, 1);
}

fn is_place(record: &CommandRecord) -> bool {
    matches!(&record.command, Command::Order { command: OrderCommand::PlaceOrder { .. } })
}

#[tokio::test]
async fn the_same_key_at_the_same_time_is_in_flight() {
    let rig = Rig::selling(2).await;
    let asked = request("ana", "k", 1, "sim_ok");
    let placing = [asked.clone(), asked].map(|asked| rig.intake.place_order(asked));
    let mut placed = rig.run(futures::future::join_all(placing)).await;
    let (second, first) = (placed.pop().unwrap(), placed.pop().unwrap());
    assert!(first.is_ok());
    assert_eq!(second, Err(PlaceRefusal::InFlight));
}

#[tokio::test]
async fn sold_out_is_said_by_the_node_but_never_to_a_winner() {
    let rig = Rig::selling(1).await;
    let winner = request("ana", "k", 1, "none");
    rig.place(winner.clone()).await.expect("promised");
    let loser = |name: &str| rig.place(request(name, "k", 1, "none"));
    let sold_out = |outcome| matches!(outcome, Err(PlaceRefusal::SoldOut { .. }));
    assert!(sold_out(loser("bob").await));
    // the gate could not answer now; the node does
    let saved = rig.gate.save();
    rig.gate.roll_back(saved);
    assert!(sold_out(loser("cat").await));
    let again = rig.place(winner).await.expect("the winner's repeat asks the gate");
    assert!(again.replayed);
    rig.pass(SOLD_OUT_STALENESS * 2).await;
    assert!(sold_out(loser("dan").await), "by a gate that was rebuilt");
}

#[tokio::test]
async fn one_order_has_the_verdict_renewed_while_the_others_are_refused_by_it() {
    let rig = Rig::selling(1).await;
    rig.place(request("ana", "k", 1, "none")).await.expect("promised");
    let sold_out = |outcome| matches!(outcome, Err(PlaceRefusal::SoldOut { .. }));
    assert!(sold_out(rig.place(request("bob", "k", 1, "none")).await));
    let known = |name: &str| {
        let late = request(name, "k", 1, "none");
        let what = (late.spotlight, late.offer_version, &late.lines);
        let viewer_ref = || late.viewer_ref.clone();
        let asker = Asker { viewer: name, viewer_ref: &viewer_ref };
        rig.intake.known_refusal(late.order_id(), &late.seller, what, asker).is_some()
    };
    let moment = Duration::from_millis(1);
    rig.pass(SOLD_OUT_RENEWAL + moment).await;
    assert!(sold_out(rig.place(request("cat", "k", 1, "none")).await), "by the gate");
    rig.pass(SOLD_OUT_RENEWAL).await;
    assert!(known("dan"), "by the verdict that has replaced the first, and is young");
    rig.pass(moment).await;
    assert!(!known("eve"), "the first one goes to the gate");
    assert!(known("fay"), "the next one need not");
    rig.pass(SOLD_OUT_STALENESS).await;
    assert!(!known("gus") && !known("hal"), "nobody is refused by one that is too old");
}

#[tokio::test]
async fn sold_out_is_not_said_while_the_log_is_known_to_be_down() {
    let rig = Rig::selling(1).await;
    rig.place(request("ana", "k", 1, "none")).await.expect("promised");
    let late = request("bob", "k", 1, "none");
    assert!(matches!(rig.place(late.clone()).await, Err(PlaceRefusal::SoldOut { .. })));
    let known = || {
        let what = (late.spotlight, late.offer_version, &late.lines);
        let viewer_ref = || late.viewer_ref.clone();
        let asker = Asker { viewer: "bob", viewer_ref: &viewer_ref };
        rig.intake.known_refusal(late.order_id(), &late.seller, what, asker)
    };
    assert!(matches!(known(), Some(PlaceRefusal::SoldOut { .. })));
    rig.log.down.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(known(), None);
    assert_eq!(rig.place(late.clone()).await, Err(PlaceRefusal::LogUnavailable));
}

#[tokio::test]
async fn sold_out_is_said_to_nobody_of_another_seller() {
    let rig = Rig::selling(1).await;
    rig.place(request("ana", "k", 1, "none")).await.expect("promised");
    let refused = rig.place(request("bob", "k", 1, "none")).await;
    assert!(matches!(refused, Err(PlaceRefusal::SoldOut { .. })), "the node knows now");
    let mut foreign = request("bob", "k", 1, "none");
    foreign.seller = SellerId::try_new("other").unwrap();
    assert_eq!(rig.place(foreign).await, Err(PlaceRefusal::NotFound));
}

#[tokio::test]
async fn a_refused_append_gives_the_unit_back() {
    let rig = Rig::selling(1).await;
    rig.log.next.lock().push(LogFault::Refused);
    let asked = request("ana", "k", 1, "sim_ok");
    assert_eq!(rig.place(asked.clone()).await, Err(PlaceRefusal::LogUnavailable));
    assert_eq!(rig.remaining().await, 1);
    assert!(!rig.place(asked).await.expect("promised now").replayed);
}

#[tokio::test]
async fn nothing_is_taken_while_the_log_is_known_to_be_down() {
    let rig = Rig::selling(1).await;
    rig.log.down.store(true, std::sync::atomic::Ordering::SeqCst);
    let refused = rig.place(request("ana", "k", 1, "sim_ok")).await;
    assert_eq!(refused, Err(PlaceRefusal::LogUnavailable));
    assert_eq!(rig.remaining().await, 1);
}

#[tokio::test]
async fn an_ambiguous_append_is_never_compensated_and_the_same_key_finds_out() {
    for fault in [LogFault::Lost, LogFault::Hidden] {
        let rig = Rig::selling(1).await;
        rig.log.next.lock().push(fault);
        let asked = request("ana", "k", 1, "sim_ok");
        let order = asked.order_id();
        assert_eq!(rig.place(asked.clone()).await, Err(PlaceRefusal::OutcomeUnknown { order }));
        assert_eq!(rig.remaining().await, 0, "{fault:?}: the entry stays");
        let placed = rig.place(asked).await.expect("promised on the acknowledgement");
        assert!(placed.order.receipt.is_some());
        rig.until("it is confirmed", async |rig| {
            rig.order(order).await.is_some_and(|order| order.status == OrderStatus::Confirmed)
        })
        .await;
        assert_eq!(rig.story(order).await.iter().filter(|e| *e == "StockReserved").count(), 1);
        assert_eq!(rig.voided().await, 0, "{fault:?}");
    }
}

#[tokio::test]
async fn a_buyer_who_hangs_up_costs_no_unit() {
    let rig = Rig::selling(1).await;
    let tracker = TaskTracker::new();
    let asked = request("ana", "k", 1, "sim_ok");
    let order = asked.order_id();
    {
        let placing = rig.intake.place_order_tracked(&tracker, order, asked);
        let mut placing = std::pin::pin!(placing);
        assert!(futures::poll!(&mut placing).is_pending());
        tokio::task::yield_now().await;
    }
    rig.until("it is confirmed", async |rig| {
        rig.order(order).await.is_some_and(|order| order.status == OrderStatus::Confirmed)
    })
    .await;
}

#[tokio::test]
async fn a_node_that_dies_after_the_take_is_made_good_by_the_re_driver() {
    let rig = Rig::selling(1).await;
    rig.faults.arm(INTAKE_AFTER_TAKE, Action::Pause);
    let asked = request("ana", "k", 1, "sim_ok");
    let order = asked.order_id();
    {
        let mut placing = std::pin::pin!(rig.intake.place_order(asked));
        assert!(futures::poll!(&mut placing).is_pending());
        rig.faults.reached(INTAKE_AFTER_TAKE).await;
    }
    assert_eq!(rig.remaining().await, 0);
    rig.pass(REDRIVE_AFTER.saturating_sub(Duration::from_millis(100))).await;
    assert!(rig.story(order).await.is_empty(), "nobody promised it, and it is young");
    rig.until("it is decided", async |rig| rig.order(order).await.is_some()).await;
    let redriven = rig.log.records.lock().iter().rfind(|record| is_place(record)).cloned();
    let Some(Command::Order { command: OrderCommand::PlaceOrder { place } }) =
        redriven.map(|record| record.command)
    else {
        panic!("no order was re-driven");
    };
    let bound = commands::clock::delta(VOID_AFTER);
    assert_eq!(place.void_after, place.admission.map(|admission| admission.at + bound));
}

#[tokio::test]
async fn what_nobody_was_promised_is_void_in_the_end() {
    let rig = Rig::selling(1).await;
    rig.faults.arm(INTAKE_AFTER_TAKE, Action::Error);
    let asked = request("ana", "k", 1, "sim_ok");
    let order = asked.order_id();
    assert!(rig.place(asked.clone()).await.is_err());
    rig.store.away.store(true, std::sync::atomic::Ordering::SeqCst);
    rig.pass(VOID_AFTER + Duration::from_secs(5)).await;
    rig.store.away.store(false, std::sync::atomic::Ordering::SeqCst);
    rig.until("it is decided", async |rig| rig.order(order).await.is_some()).await;
    let ended = rig.order(order).await.unwrap();
    assert_eq!(ended.reason, Some(OrderReason::NotAccepted));
    assert!(!rig.story(order).await.contains(&"PaymentRequested".to_owned()), "uncharged");
    rig.until("the unit is back", async |rig| rig.remaining().await == 1).await;
    // a buyer who asks late learns what became of it, and is promised nothing else
    let late = rig.place(asked).await.expect("answers");
    assert_eq!(late.order.order.status, OrderStatus::Failed);
}

#[test]
fn a_promise_comes_before_every_re_drive() {
    assert!(ACK_BOUND < REDRIVE_AFTER);
    assert!(REDRIVE_AFTER < VOID_AFTER);
}

#[tokio::test]
async fn a_repeat_after_the_gate_lost_everything_finds_the_order() {
    let rig = Rig::selling(2).await;
    let asked = request("ana", "k", 1, "none");
    let order = asked.order_id();
    let first = rig.place(asked.clone()).await.expect("promised");
    rig.until("it is reserved", async |rig| rig.order(order).await.is_some()).await;
    rig.gate.wipe();
    let again = rig.place(asked.clone()).await.expect("promised");
    assert!(again.replayed);
    assert_eq!(again.order.receipt, first.order.receipt);
    assert_eq!(rig.gate.view(SPOTLIGHT).await.unwrap().unwrap().epoch, 2);
    assert_eq!(rig.remaining().await, 1);
    assert_eq!(rig.story(order).await, ["OrderAccepted", "StockReserved"]);
    // also where what was promised is forgotten: the log promises it again
    let forgetful = Rig::selling(2).await;
    let placed = forgetful.place(asked.clone()).await.expect("promised");
    forgetful.until("it is reserved", async |rig| rig.order(order).await.is_some()).await;
    forgetful.clock.advance(Duration::from_hours(25));
    forgetful.settle().await;
    let again = forgetful.place(asked).await.expect("promised");
    assert!(again.replayed);
    assert_eq!(receipt(&again.order).leaf, receipt(&placed.order).leaf);
}

#[tokio::test]
async fn a_spotlight_that_the_log_does_not_know_is_not_found() {
    let rig = Rig::selling(1).await;
    let mut asked = request("ana", "k", 1, "sim_ok");
    asked.spotlight.0 = uuid::Uuid::from_u128(0x77);
    assert_eq!(rig.place(asked).await, Err(PlaceRefusal::NotFound));
}

#[tokio::test]
async fn a_receipt_batch_is_one_signature() {
    let rig = Rig::selling(50).await;
    let placed = rig
        .run(futures::future::join_all(
            (0..50).map(|number| {
                rig.intake.place_order(request(&format!("v{number}"), "k", 1, "none"))
            }),
        ))
        .await;
    let receipts: Vec<Receipt> =
        placed.into_iter().map(|placed| receipt(&placed.expect("promised").order)).collect();
    let key = ReceiptSigner::from_seed(&SEED).public_key();
    assert!(receipts.iter().all(|receipt| verify_receipt(receipt, &key).is_ok()));
    let roots: std::collections::BTreeSet<_> = receipts.iter().map(|r| r.root.clone()).collect();
    assert!(roots.len() < 10, "{} signatures for 50 orders", roots.len());
}
