//! A wrong price is withdrawn, and the process settles its orders, also where it is stopped meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use commands::process::{SWEEP_MAX, SimulatedGateway};
use domain::command::Command;
use domain::event::Event;
use domain::ids::OrderId;
use domain::order::{OrderCommand, OrderReason};
use domain::payment::PaymentStatus;
use domain::ports::SalesBoard;
use domain::spotlight::{Settle, SpotlightCommand, SpotlightEvent, Withdrawal};
use domain::views::{OrderStatus, OrderView};

use super::rig::{Rig, SPOTLIGHT, request, won};

/// Orders that are sold when their version is withdrawn.
const SOLD: usize = 100;
/// Orders that wait for their payment by then: with the sold ones more than two sweeps.
const WAITING: usize = 2 * SWEEP_MAX;

fn withdraw(settle: Settle) -> SpotlightCommand {
    let reason = Some("a zero is missing".to_owned());
    SpotlightCommand::WithdrawOffer { offer_version: 1, settle, reason, admission: None }
}

async fn placed(rig: &Rig, key: &str, method: &str) -> OrderId {
    let asked = request(key, key, 1, method);
    let order = asked.order_id();
    rig.place(asked).await.expect("promised");
    order
}

async fn shown(
    rig: &Rig,
    order: OrderId,
    what: &str,
    is: impl Fn(&OrderView) -> bool,
) -> OrderView {
    rig.until(what, async |rig| rig.order(order).await.is_some_and(|order| is(&order))).await;
    rig.order(order).await.unwrap()
}

async fn withdrawal(rig: &Rig) -> Option<Withdrawal> {
    rig.board.spotlight(SPOTLIGHT).await.unwrap().and_then(|view| view.withdrawal)
}

async fn settled(rig: &Rig, total: u64) -> Withdrawal {
    rig.until("it is settled", async |rig| {
        withdrawal(rig).await.is_some_and(|withdrawal| !withdrawal.open)
    })
    .await;
    let shown = withdrawal(rig).await.unwrap();
    assert_eq!((shown.total, shown.done, shown.failed), (total, total, 0));
    shown
}

/// Sold, given back before, waiting for the provider, and over.
async fn orders(rig: &Rig) -> [OrderId; 4] {
    let sold = placed(rig, "sold", "sim_ok").await;
    let also = placed(rig, "also", "sim_twice").await;
    let over = placed(rig, "over", "sim_decline_hard").await;
    for order in [sold, also] {
        shown(rig, order, "sold", |order| order.status == OrderStatus::Confirmed).await;
    }
    shown(rig, over, "over", |order| order.status == OrderStatus::Failed).await;
    let open = placed(rig, "open", "sim_never").await;
    shown(rig, open, "open", |order| order.payment.status == PaymentStatus::Unknown).await;
    [sold, also, open, over]
}

#[tokio::test]
async fn a_cancelled_version_gives_every_buyer_its_money_and_every_unit_back() {
    let mut rig = Rig::idle();
    rig.start_writer("w");
    rig.start_projections();
    rig.open(5, None).await;
    let process = rig.start_process();
    let [sold, also, open, over] = orders(&rig).await;
    assert_eq!(rig.remaining().await, 2);
    process.abort();
    rig.spotlight(withdraw(Settle::Cancel), "withdraw").await.expect("stopped");
    let refused = rig.place(request("late", "late", 1, "sim_ok")).await;
    assert!(refused.is_err(), "it takes no orders until the next offer");
    rig.pass(Duration::from_secs(5)).await;
    assert_eq!(rig.order(sold).await.unwrap().status, OrderStatus::Confirmed, "nobody works on it");
    // another process goes on with what the log says
    let process = rig.start_process();
    rig.until("some of it is done", async |rig| {
        withdrawal(rig).await.is_some_and(|withdrawal| withdrawal.total > 0)
    })
    .await;
    process.abort();
    rig.start_process();
    settled(&rig, 3).await;
    for order in [sold, also] {
        let view = rig.order(order).await.unwrap();
        assert_eq!(
            (view.status, view.reason),
            (OrderStatus::Refunded, Some(OrderReason::Withdrawn))
        );
        assert_eq!(view.refunded, Some(won(19_900)));
        let asked = rig.story(order).await.iter().filter(|it| *it == "RefundRequested").count();
        assert_eq!(asked, 1);
    }
    let view =
        shown(&rig, open, "voided", |order| order.payment.status == PaymentStatus::Voided).await;
    assert_eq!((view.status, view.reason), (OrderStatus::Cancelled, Some(OrderReason::Withdrawn)));
    assert_eq!(rig.order(over).await.unwrap().reason, Some(OrderReason::PaymentDeclined));
    // what was sold stays sold, and as many units were added
    rig.until("the units are free", async |rig| rig.remaining().await == 5).await;
    let resume = SpotlightCommand::ResumeSpotlight { reason: None };
    let refused = rig.spotlight(resume, "resume").await.expect_err("the price was wrong");
    assert_eq!(refused.code(), "paused");
    let offer =
        SpotlightCommand::ChangeOffer { live_price: won(29_900), reason: None, admission: None };
    rig.spotlight(offer, "offer").await.expect("a new price opens it");
    let mut again = request("ana", "again", 1, "sim_ok");
    again.offer_version = 2;
    let order = again.order_id();
    rig.place(again).await.expect("promised");
    let view = shown(&rig, order, "sold", |order| order.status == OrderStatus::Confirmed).await;
    assert_eq!(view.total, won(29_900));
    rig.verify().await;
}

/// How often each type of event is told of each order.
async fn ends(rig: &Rig) -> BTreeMap<OrderId, BTreeMap<String, usize>> {
    let mut counts: BTreeMap<OrderId, BTreeMap<String, usize>> = BTreeMap::new();
    for event in rig.events().await {
        if let Event::Order(told) = &event {
            let of_order = counts.entry(told.order_id()).or_default();
            *of_order.entry(event.event_type()).or_default() += 1;
        }
    }
    counts
}

/// What the log was told of how far it has come, in order.
async fn reports(rig: &Rig) -> Vec<Withdrawal> {
    let events = rig.events().await.into_iter();
    let told = events.filter_map(|event| match event {
        Event::Spotlight(SpotlightEvent::WithdrawalProgressed { withdrawal, .. }) => {
            Some(withdrawal)
        }
        _ => None,
    });
    told.collect()
}

/// The orders that somebody was told to call off.
fn called_off(rig: &Rig) -> BTreeSet<OrderId> {
    let records = rig.log.records.lock();
    let told = records.iter().filter_map(|record| match &record.command {
        Command::Order { command: OrderCommand::WithdrawOrder { order_id } } => Some(*order_id),
        _ => None,
    });
    told.collect()
}

/// Sold orders, and more than two sweeps of others that wait for their payment.
async fn crowd(rig: &Rig) -> (BTreeSet<OrderId>, BTreeSet<OrderId>) {
    let place = async |name: &str, count: usize, method: &str| -> BTreeSet<OrderId> {
        let asked = |n| request(&format!("{name}-{n}"), "k", 1, method);
        let asked: Vec<_> = (0..count).map(asked).collect();
        let ids = asked.iter().map(commands::intake::OrderRequest::order_id).collect();
        let placing = asked.into_iter().map(|asked| rig.intake.place_order(asked));
        let placed = rig.run(futures::future::join_all(placing)).await;
        assert!(placed.iter().all(Result::is_ok));
        ids
    };
    let sold = place("sold", SOLD, "sim_ok").await;
    rig.until("all are sold", async |rig| {
        let counts = ends(rig).await;
        counts.values().filter(|of_order| of_order.contains_key("OrderConfirmed")).count() == SOLD
    })
    .await;
    (sold, place("waits", WAITING, "none").await)
}

#[tokio::test]
async fn a_process_that_dies_half_way_leaves_the_rest_to_the_next_one() {
    let mut rig = Rig::idle();
    rig.start_writer("w");
    rig.start_projections();
    let total = SOLD + WAITING;
    rig.open(u32::try_from(total).unwrap(), None).await;
    // the provider outlives the process
    let delay = Duration::from_millis(20);
    let provider = Arc::new(SimulatedGateway::new(rig.clock.clone(), delay));
    let doomed = rig.start_process_with(provider.clone());
    let (sold, waiting) = crowd(&rig).await;
    rig.spotlight(withdraw(Settle::Cancel), "withdraw").await.expect("stopped");
    rig.until("some of it is done", async |rig| {
        withdrawal(rig).await.is_some_and(|withdrawal| withdrawal.done > 0)
    })
    .await;
    doomed.abort();
    rig.pass(Duration::from_secs(5)).await;
    let half = withdrawal(&rig).await.unwrap();
    let expected = u64::try_from(total).unwrap();
    assert!(half.open && half.total == expected && half.done < expected, "{half:?}");
    let left: BTreeSet<_> = &(&sold | &waiting) - &called_off(&rig);
    assert!(!left.is_disjoint(&sold) && !left.is_disjoint(&waiting), "{} are left", left.len());
    for order in &left {
        let status = rig.order(*order).await.unwrap().status;
        assert!(matches!(status, OrderStatus::Confirmed | OrderStatus::Reserved), "{status:?}");
    }

    rig.start_process_with(provider);
    settled(&rig, expected).await;
    let told = reports(&rig).await;
    assert!(told.contains(&half), "{told:?}");
    assert!(told.iter().map(|report| report.done).is_sorted(), "it fell back: {told:?}");
    assert!(told.iter().all(|report| report.total == expected && report.failed == 0), "{told:?}");
    assert_eq!(told.iter().filter(|report| !report.open).count(), 1);
    let counts = ends(&rig).await;
    assert_eq!(counts.len(), total);
    for (order, of_order) in &counts {
        let count = |event: &str| of_order.get(event).copied().unwrap_or(0);
        let (confirmed, refunds) = if sold.contains(order) { (1, 1) } else { (0, 0) };
        assert_eq!(count("OrderConfirmed"), confirmed, "{of_order:?}");
        assert_eq!(count("OrderCancelled"), 1 - confirmed, "{of_order:?}");
        assert_eq!(count("OrderFailed"), 0, "{of_order:?}");
        assert_eq!(count("RefundRequested"), refunds, "{of_order:?}");
    }
    rig.until("the units are free", async |rig| {
        rig.remaining().await == i64::try_from(total).unwrap()
    })
    .await;
}

#[tokio::test]
async fn an_honoured_version_lets_its_orders_go_on() {
    let rig = Rig::selling(5).await;
    let [sold, also, open, _] = orders(&rig).await;
    rig.spotlight(withdraw(Settle::Honour), "withdraw").await.expect("stopped");
    assert!(rig.place(request("late", "late", 1, "sim_ok")).await.is_err());
    for order in [sold, also] {
        assert_eq!(rig.order(order).await.unwrap().status, OrderStatus::Confirmed);
    }
    rig.until("two are done", async |rig| {
        withdrawal(rig).await.is_some_and(|withdrawal| withdrawal.done == 2)
    })
    .await;
    // the last one ends as it would have: the provider never answers
    let view = shown(&rig, open, "over", |order| order.status == OrderStatus::Failed).await;
    assert_eq!(view.reason, Some(OrderReason::PaymentTimeout));
    settled(&rig, 3).await;
    rig.verify().await;
}
