//! A process that is killed before and after each step of a payment: another one goes on, and it
//! ends the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use commands::faults::{Action, PROCESS_AFTER_CALL, PROCESS_BEFORE_CALL};
use commands::process::SimulatedGateway;
use domain::command::Command;
use domain::ids::OrderId;
use domain::order::OrderCommand;
use domain::views::OrderStatus;

use super::rig::{Rig, SPOTLIGHT, request};

/// What somebody asks of an order.
type Asks = fn(OrderId) -> OrderCommand;

/// What is done with an order, and how it ends.
struct Saga {
    method: &'static str,
    /// What its buyer or its host asks for, once it is there.
    then: Option<(OrderStatus, Asks)>,
    ends: OrderStatus,
    /// Calls to the provider, at least.
    calls: u32,
}

fn cancel(order_id: OrderId) -> OrderCommand {
    OrderCommand::CancelOrder { order_id, reason: None }
}

fn refund(order_id: OrderId) -> OrderCommand {
    OrderCommand::RefundOrder { order_id, reason: None, lines: None, restock: true }
}

const SAGAS: [Saga; 6] = [
    // authorise, capture
    Saga { method: "sim_ok", then: None, ends: OrderStatus::Confirmed, calls: 2 },
    // and give back
    Saga {
        method: "sim_ok",
        then: Some((OrderStatus::Confirmed, refund)),
        ends: OrderStatus::Refunded,
        calls: 3,
    },
    // authorise, query
    Saga { method: "sim_unknown", then: None, ends: OrderStatus::Confirmed, calls: 2 },
    Saga { method: "sim_decline_hard", then: None, ends: OrderStatus::Failed, calls: 1 },
    // authorise, void
    Saga {
        method: "sim_never",
        then: Some((OrderStatus::Reserved, cancel)),
        ends: OrderStatus::Cancelled,
        calls: 2,
    },
    // authorise, query, take again, capture
    Saga { method: "sim_late", then: None, ends: OrderStatus::Confirmed, calls: 2 },
];

/// How far time goes between two looks.
const STEP: Duration = Duration::from_millis(100);
/// Looks, at most: ten minutes.
const STEPS_MAX: u32 = 6_000;
/// Looks after the end: half a minute.
const STEPS_AFTER_END: u32 = 300;

async fn is(rig: &Rig, order: OrderId, status: OrderStatus) -> bool {
    rig.order(order).await.is_some_and(|order| order.status == status)
}

async fn runs(saga: &Saga, kill: Option<(&'static str, u32)>) -> Vec<String> {
    let mut rig = Rig::idle();
    rig.start_writer("w");
    rig.start_projections();
    // the provider outlives the process
    let delay = Duration::from_millis(20);
    let provider = Arc::new(SimulatedGateway::new(rig.clock.clone(), delay));
    let doomed = rig.start_process_with(provider.clone());
    rig.open(1, None).await;
    if let Some((point, passes)) = kill {
        rig.faults.arm_after(point, passes, Action::Pause);
    }
    let asked = request("ana", "k", 1, saga.method);
    let order = asked.order_id();
    rig.place(asked).await.expect("promised");
    let mut then = saga.then;
    let mut doomed = Some(doomed);
    let mut left = STEPS_AFTER_END;
    for _ in 0..STEPS_MAX {
        rig.pass(STEP).await;
        if let Some((point, _)) = kill
            && rig.faults.count(point) > 0
            && let Some(process) = doomed.take()
        {
            process.abort();
            rig.faults.disarm(point);
            rig.start_process_with(provider.clone());
        }
        if let Some((status, asks)) = then
            && is(&rig, order, status).await
        {
            then = None;
            let command = Command::Order { command: asks(order) };
            rig.submit(SPOTLIGHT.into(), command, "then").await.expect("decided");
        }
        // money of an order that has ended may still be on its way
        if then.is_none() && is(&rig, order, saga.ends).await {
            left -= 1;
            if left == 0 {
                break;
            }
        }
    }
    assert!(is(&rig, order, saga.ends).await, "{}: {:?}", saga.method, rig.order(order).await);
    if let Some((point, passes)) = kill {
        assert!(doomed.is_none(), "{}: nobody came to {point} a {passes}th time", saga.method);
    }
    rig.verify().await;
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let story = rig.story(order).await;
    for event in &story {
        *counts.entry(event.clone()).or_default() += 1;
    }
    for once in
        ["PaymentCaptured", "OrderConfirmed", "PaymentVoided", "OrderRefunded", "OrderCancelled"]
    {
        assert!(counts.get(once).copied().unwrap_or(0) <= 1, "{}: {story:?}", saga.method);
    }
    story
}

#[tokio::test]
async fn killed_before_and_after_each_call_a_payment_ends_the_same() {
    for saga in &SAGAS {
        let undisturbed = runs(saga, None).await;
        for point in [PROCESS_BEFORE_CALL, PROCESS_AFTER_CALL] {
            for passes in 0..saga.calls {
                let story = runs(saga, Some((point, passes))).await;
                let ends = |story: &[String]| story.last().cloned();
                assert_eq!(
                    ends(&story),
                    ends(&undisturbed),
                    "{} killed at {point} after {passes}: {story:?}",
                    saga.method
                );
            }
        }
    }
}
