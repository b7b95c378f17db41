//! Parked commands that somebody wants decided once more, whoever dies meanwhile.

use std::time::Duration;

use commands::faults::{Action, PROCESS_AFTER_RETRY, PROCESS_BEFORE_RETRY};
use commands::intake::HostRefusal;
use domain::command::Command;
use domain::event::StreamId;
use domain::ids::OrderId;
use domain::order::OrderCommand;
use domain::ports::{EventStore, ParkedAction, ParkedBook, ParkedVerb, StockGate};
use domain::spotlight::SpotlightCommand;
use domain::views::OrderStatus;

use super::rig::{Rig, SPOTLIGHT, request, sku, start_time};

/// Has everything that is parked decided once more; tells how many commands that are.
async fn retry(rig: &Rig) -> usize {
    let parked = rig.store.inner.parked(100).await.expect("reads");
    let action = ParkedAction {
        verb: ParkedVerb::Retry,
        author: "root".to_owned(),
        reason: "mended".to_owned(),
        at: start_time(),
    };
    for command in &parked {
        rig.store.inner.ask(&command.source, &action).await.expect("asks");
    }
    parked.len()
}

async fn nothing_is_parked(rig: &Rig) -> bool {
    rig.store.inner.parked(100).await.expect("reads").is_empty()
}

fn cancel(order_id: OrderId) -> Command {
    Command::Order { command: OrderCommand::CancelOrder { order_id, reason: None } }
}

#[tokio::test]
async fn a_process_that_dies_in_a_retry_loses_nothing() {
    for point in [PROCESS_BEFORE_RETRY, PROCESS_AFTER_RETRY] {
        let mut rig = Rig::idle();
        rig.start_writer("w");
        rig.start_projections();
        let doomed = rig.start_process();
        rig.open(1, None).await;
        let order =
            rig.place(request("ana", "k", 1, "none")).await.expect("promised").order.order.id;
        rig.store.cursed.lock().insert(StreamId::order(order));
        let refused = rig.submit(SPOTLIGHT.into(), cancel(order), "c").await;
        assert_eq!(refused, Err(HostRefusal::Parked));
        rig.store.cursed.lock().clear();
        rig.faults.arm(point, Action::Pause);
        assert_eq!(retry(&rig).await, 1);
        rig.until("the process is there", async |rig| rig.faults.count(point) > 0).await;
        doomed.abort();
        rig.faults.disarm(point);
        rig.start_process();
        rig.until("the order is called off", async |rig| {
            rig.order(order).await.is_some_and(|order| order.status == OrderStatus::Cancelled)
        })
        .await;
        rig.until("nothing is parked", nothing_is_parked).await;
        rig.pass(Duration::from_secs(5)).await;
        let story = rig.story(order).await;
        let told = story.iter().filter(|event| *event == "OrderCancelled").count();
        assert_eq!(told, 1, "{point}: {story:?}");
        assert_eq!(rig.remaining().await, 1);
    }
}

#[tokio::test]
async fn a_sequence_is_decided_again_in_its_order() {
    let rig = Rig::selling(1).await;
    let order = rig.place(request("ana", "k", 1, "none")).await.expect("promised").order.order.id;
    rig.store.cursed.lock().insert(StreamId::order(order));
    let pay = |method: &str| Command::Order {
        command: OrderCommand::RequestPayment {
            order_id: order,
            payment: domain::order::PaymentChoice {
                provider: "simulated".to_owned(),
                method: method.to_owned(),
            },
        },
    };
    let first = rig.submit(SPOTLIGHT.into(), pay("sim_never"), "p").await;
    assert_eq!(first, Err(HostRefusal::Parked));
    let behind = rig.submit(SPOTLIGHT.into(), cancel(order), "c").await;
    assert_eq!(behind, Err(HostRefusal::Parked), "it waits behind the first");
    rig.store.cursed.lock().clear();
    assert_eq!(retry(&rig).await, 2);
    rig.until("the order is called off", async |rig| {
        rig.order(order).await.is_some_and(|order| order.status == OrderStatus::Cancelled)
    })
    .await;
    let story = rig.story(order).await;
    let at = |name: &str| story.iter().position(|event| event == name).expect("is told");
    assert!(at("PaymentRequested") < at("OrderCancelled"), "{story:?}");
    rig.until("nothing is parked", nothing_is_parked).await;
}

#[tokio::test]
async fn what_a_retried_reduction_took_at_the_gate_ends() {
    let rig = Rig::selling(5).await;
    rig.store.cursed.lock().insert(StreamId::spotlight(SPOTLIGHT));
    let less =
        SpotlightCommand::AdjustStock { sku: sku(), delta: -2, reason: None, admission: None };
    assert_eq!(rig.spotlight(less, "less").await, Err(HostRefusal::Parked));
    assert_eq!(rig.remaining().await, 3, "the gate has taken them");
    rig.store.cursed.lock().clear();
    assert_eq!(retry(&rig).await, 1);
    let shown = async |rig: &Rig| {
        let view = rig.gate.view(SPOTLIGHT).await.expect("reads").expect("is known");
        let stock = view.inventory[&sku()];
        (stock.limited_quantity, stock.remaining, stock.held)
    };
    // the entry is driven again, and its void gives back what the retry did not need
    rig.until("the limit is lower, once", async |rig| shown(rig).await == (3, 3, 0)).await;
    assert!(nothing_is_parked(&rig).await);
    rig.pass(Duration::from_mins(1)).await;
    assert_eq!(shown(&rig).await, (3, 3, 0));
    let far = start_time() + chrono::TimeDelta::days(1);
    assert_eq!(rig.store.parked_due(far, 9).await.expect("reads"), []);
    rig.verify().await;
}
