//! Providers that fail in ways of their own, behind the guard and through the process.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use commands::process::guard::{CALL_TIMEOUT, FAILURES_MAX, OPEN_FOR, TRIES_MAX};
use commands::process::{GuardedGateway, REFUND_PENDING_MAX, REFUND_UNANSWERED_MAX};
use commands::writer::PARKED_DEADLINE;
use domain::command::Command;
use domain::ids::OrderId;
use domain::line::{Line, Lines};
use domain::money::{Currency, Money};
use domain::order::{OrderCommand, OrderReason};
use domain::payment::{PaymentResult, PaymentStatus};
use domain::ports::{PaymentCall, PaymentGateway, PortError};
use domain::quantity::Quantity;
use domain::views::{OrderStatus, OrderView};
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::rig::{Rig, SPOTLIGHT, request, sku, start_time, won};

/// What a scripted provider does next.
pub enum Act {
    Say(PaymentResult),
    Fail,
    Hang,
}

/// Answers each operation as its script says; then as it did last.
#[derive(Default)]
pub struct Scripted {
    pub authorize: Mutex<VecDeque<Act>>,
    pub capture: Mutex<VecDeque<Act>>,
    pub void: Mutex<VecDeque<Act>>,
    pub refund: Mutex<VecDeque<Act>>,
    pub query: Mutex<VecDeque<Act>>,
    pub calls: AtomicUsize,
}

impl Scripted {
    async fn act(&self, script: &Mutex<VecDeque<Act>>) -> Result<PaymentResult, PortError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let act = {
            let mut script = script.lock();
            match script.front() {
                Some(Act::Say(result)) if script.len() == 1 => Act::Say(result.clone()),
                Some(_) if script.len() > 1 => script.pop_front().expect("there is one"),
                Some(Act::Hang) => Act::Hang,
                _ => Act::Fail,
            }
        };
        match act {
            Act::Say(result) => Ok(result),
            Act::Fail => Err(PortError::unavailable("the provider", "scripted")),
            Act::Hang => std::future::pending().await,
        }
    }
}

#[async_trait]
impl PaymentGateway for Scripted {
    fn name(&self) -> &'static str {
        "simulated"
    }

    async fn authorize(&self, _: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.act(&self.authorize).await
    }

    async fn capture(&self, _: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.act(&self.capture).await
    }

    async fn void(&self, _: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.act(&self.void).await
    }

    async fn refund(&self, _: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.act(&self.refund).await
    }

    async fn query(&self, _: &PaymentCall) -> Result<Option<PaymentResult>, PortError> {
        self.act(&self.query).await.map(Some)
    }
}

pub fn script(acts: impl IntoIterator<Item = Act>) -> Mutex<VecDeque<Act>> {
    Mutex::new(acts.into_iter().collect())
}

fn says(result: PaymentResult) -> Mutex<VecDeque<Act>> {
    script([Act::Say(result)])
}

fn authorized() -> PaymentResult {
    PaymentResult::Authorized { amount: won(19_900), reference: None }
}

fn buying(provider: Scripted) -> BoxFuture<'static, (Rig, OrderId, Arc<Scripted>)> {
    Box::pin(async move {
        let mut rig = Rig::idle();
        rig.start_writer("w");
        rig.start_projections();
        let provider = Arc::new(provider);
        let guarded = GuardedGateway::new(provider.clone(), rig.clock.clone());
        rig.start_process_with(Arc::new(guarded));
        rig.open(1, None).await;
        let asked = request("ana", "k", 1, "sim_ok");
        let order = asked.order_id();
        rig.place(asked).await.expect("promised");
        (rig, order, provider)
    })
}

async fn ended(rig: &Rig, order: OrderId, status: OrderStatus) -> OrderView {
    rig.until(&format!("{status:?}"), async |rig| {
        rig.order(order).await.is_some_and(|order| order.status == status)
    })
    .await;
    rig.order(order).await.unwrap()
}

#[tokio::test]
async fn a_capture_that_finally_fails_cancels_the_order_and_frees_the_unit() {
    let (rig, order, _) = buying(Scripted {
        authorize: says(authorized()),
        capture: script([
            Act::Fail,
            Act::Hang,
            Act::Say(PaymentResult::CaptureFailed { code: "expired".to_owned() }),
        ]),
        ..Scripted::default()
    })
    .await;
    let view = ended(&rig, order, OrderStatus::Cancelled).await;
    assert_eq!(view.reason, Some(OrderReason::CaptureFailed));
    rig.until("the unit is free", async |rig| rig.remaining().await == 1).await;
}

#[tokio::test]
async fn a_wrong_amount_is_parked_never_confirmed_and_goes_back() {
    let wrong = won(1);
    let (rig, order, provider) = buying(Scripted {
        authorize: says(PaymentResult::Captured { amount: wrong }),
        void: says(PaymentResult::Captured { amount: wrong }),
        refund: says(PaymentResult::Refunded { amount: wrong }),
        ..Scripted::default()
    })
    .await;
    let sequence = [order.to_string()];
    rig.until("it is parked", async |rig| {
        let parked = domain::ports::EventStore::parked_among(rig.store.as_ref(), &sequence).await;
        !parked.unwrap().is_empty()
    })
    .await;
    rig.pass(Duration::from_secs(20)).await;
    let calls = provider.calls.load(Ordering::Relaxed);
    rig.pass(PARKED_DEADLINE / 2).await;
    assert_eq!(provider.calls.load(Ordering::Relaxed), calls, "it is not asked while it is parked");
    let view = ended(&rig, order, OrderStatus::Failed).await;
    assert_eq!(view.reason, Some(OrderReason::Parked));
    rig.until("the unit is free", async |rig| rig.remaining().await == 1).await;
    rig.until("the money is back", async |rig| {
        rig.story(order).await.contains(&"OrderRefunded".to_owned())
    })
    .await;
    assert!(!rig.story(order).await.contains(&"OrderConfirmed".to_owned()));
}

#[tokio::test]
async fn a_provider_that_was_away_is_asked_again_inside_the_hold() {
    let (rig, order, provider) = buying(Scripted {
        authorize: script([Act::Fail, Act::Fail, Act::Say(authorized())]),
        capture: says(PaymentResult::Captured { amount: won(19_900) }),
        ..Scripted::default()
    })
    .await;
    let view = ended(&rig, order, OrderStatus::Confirmed).await;
    assert_eq!(view.payment.status, PaymentStatus::Captured);
    assert_eq!(provider.calls.load(Ordering::Relaxed), 4);
}

fn give_back(order: OrderId, units: u32, restock: bool) -> Command {
    let one = Line { sku: sku(), quantity: Quantity::try_new(units).unwrap() };
    let lines = Some(Lines::try_new(vec![one]).unwrap());
    let reason = Some("broken".to_owned());
    Command::Order {
        command: OrderCommand::RefundOrder { order_id: order, reason, lines, restock },
    }
}

#[tokio::test]
async fn a_sale_is_given_back_by_line_and_its_units_sold_again() {
    let rig = Rig::selling_with(3, Some(3)).await;
    let asked = request("ana", "k", 3, "sim_ok");
    let order = asked.order_id();
    rig.place(asked).await.expect("promised");
    ended(&rig, order, OrderStatus::Confirmed).await;
    let back = async |rig: &Rig, minor| {
        rig.until("the money is back", async |rig| {
            rig.order(order).await.is_some_and(|order| order.refunded == Some(won(minor)))
        })
        .await;
        rig.order(order).await.unwrap()
    };
    rig.submit(SPOTLIGHT.into(), give_back(order, 1, false), "r1").await.expect("given back");
    rig.submit(SPOTLIGHT.into(), give_back(order, 1, false), "r1").await.expect("a repeat");
    let view = back(&rig, 19_900).await;
    assert_eq!(view.status, OrderStatus::Confirmed);
    assert_eq!(view.payment.status, PaymentStatus::PartiallyRefunded);
    // the unit stays sold, though its buyer may have another
    assert_eq!(rig.remaining().await, 0);
    let too_much = rig.submit(SPOTLIGHT.into(), give_back(order, 3, false), "r2").await;
    assert_eq!(too_much.expect_err("two are left").code(), "not_bought");
    rig.submit(SPOTLIGHT.into(), give_back(order, 2, true), "r3").await.expect("given back");
    assert_eq!(rig.remaining().await, 2);
    let view = back(&rig, 3 * 19_900).await;
    assert_eq!(view.status, OrderStatus::Refunded);
    rig.place(request("ana", "again", 2, "sim_ok")).await.expect("promised");
    rig.until("they are sold again", async |rig| rig.remaining().await == 0).await;
}

#[tokio::test]
async fn a_refund_that_the_provider_refuses_is_parked() {
    let (rig, order, provider) = buying(Scripted {
        authorize: says(authorized()),
        capture: says(PaymentResult::Captured { amount: won(19_900) }),
        refund: script([
            Act::Fail,
            Act::Say(PaymentResult::RefundFailed { code: "closed".to_owned() }),
        ]),
        ..Scripted::default()
    })
    .await;
    ended(&rig, order, OrderStatus::Confirmed).await;
    rig.submit(SPOTLIGHT.into(), give_back(order, 1, false), "r").await.expect("asked");
    let sequence = [order.to_string()];
    rig.until("it is parked", async |rig| {
        let parked = domain::ports::EventStore::parked_among(rig.store.as_ref(), &sequence).await;
        !parked.unwrap().is_empty()
    })
    .await;
    rig.pass(Duration::from_secs(30)).await;
    let calls = provider.calls.load(Ordering::Relaxed);
    rig.pass(Duration::from_mins(1)).await;
    assert_eq!(provider.calls.load(Ordering::Relaxed), calls);
    assert_eq!(rig.order(order).await.unwrap().status, OrderStatus::Confirmed);
}

/// Parked commands of an order that nobody has settled.
async fn parkings(rig: &Rig, order: OrderId) -> usize {
    let far = start_time() + chrono::TimeDelta::days(100 * 365);
    let due = domain::ports::EventStore::parked_due(rig.store.as_ref(), far, 100).await.unwrap();
    due.iter().filter(|parked| parked.sequence == order.to_string()).count()
}

#[tokio::test]
async fn a_refund_that_nobody_answers_is_parked_once_and_waits_for_somebody() {
    let (rig, order, provider) = buying(Scripted {
        authorize: says(authorized()),
        capture: says(PaymentResult::Captured { amount: won(19_900) }),
        refund: script([Act::Fail]),
        ..Scripted::default()
    })
    .await;
    ended(&rig, order, OrderStatus::Confirmed).await;
    rig.submit(SPOTLIGHT.into(), give_back(order, 1, false), "r").await.expect("asked");
    rig.pass(REFUND_UNANSWERED_MAX.saturating_sub(Duration::from_mins(1))).await;
    assert_eq!(parkings(&rig, order).await, 0, "it is asked for again");
    rig.pass(Duration::from_mins(2)).await;
    assert_eq!(parkings(&rig, order).await, 1);
    let calls = provider.calls.load(Ordering::Relaxed);
    rig.pass(3 * PARKED_DEADLINE).await;
    assert_eq!(provider.calls.load(Ordering::Relaxed), calls, "nobody asks while it is parked");
    assert_eq!(parkings(&rig, order).await, 1);
    assert_eq!(rig.order(order).await.unwrap().status, OrderStatus::Confirmed);
}

/// Lets time pass, a second at a time.
async fn by_seconds(rig: &Rig, duration: Duration) {
    for _ in 0..duration.as_secs() {
        rig.clock.advance(Duration::from_secs(1));
        rig.settle().await;
    }
}

#[tokio::test]
async fn a_refund_that_a_bank_has_in_hand_is_asked_for_seldom_and_parked_at_its_bound() {
    let (rig, order, provider) = buying(Scripted {
        authorize: says(authorized()),
        capture: says(PaymentResult::Captured { amount: won(19_900) }),
        refund: says(PaymentResult::Unknown),
        ..Scripted::default()
    })
    .await;
    ended(&rig, order, OrderStatus::Confirmed).await;
    rig.submit(SPOTLIGHT.into(), give_back(order, 1, false), "r").await.expect("asked");
    let hour = Duration::from_hours(1);
    by_seconds(&rig, hour).await;
    let calls = provider.calls.load(Ordering::Relaxed);
    by_seconds(&rig, hour).await;
    let asked = provider.calls.load(Ordering::Relaxed) - calls;
    assert!((2..=6).contains(&asked), "a pause of a quarter of an hour: {asked} in an hour");
    rig.clock.advance(REFUND_PENDING_MAX.saturating_sub(3 * hour));
    by_seconds(&rig, hour / 2).await;
    assert_eq!(parkings(&rig, order).await, 0, "a bank takes days");
    by_seconds(&rig, hour).await;
    assert_eq!(parkings(&rig, order).await, 1, "and no longer than its bound");
    let calls = provider.calls.load(Ordering::Relaxed);
    by_seconds(&rig, hour).await;
    assert_eq!(provider.calls.load(Ordering::Relaxed), calls, "nobody asks while it is parked");
    assert_eq!(rig.order(order).await.unwrap().status, OrderStatus::Confirmed);
}

#[tokio::test]
async fn money_in_another_currency_is_parked_once_when_the_order_has_ended() {
    let dollars = Money::new(19_900, Currency::try_new("USD").unwrap());
    let (rig, order, provider) = buying(Scripted {
        authorize: says(PaymentResult::Captured { amount: dollars }),
        void: says(PaymentResult::Captured { amount: dollars }),
        query: says(PaymentResult::Captured { amount: dollars }),
        ..Scripted::default()
    })
    .await;
    let view = ended(&rig, order, OrderStatus::Failed).await;
    assert_eq!(view.reason, Some(OrderReason::Parked));
    rig.until("it waits for somebody", async |rig| parkings(rig, order).await == 1).await;
    rig.pass(PARKED_DEADLINE / 2).await;
    let calls = provider.calls.load(Ordering::Relaxed);
    rig.pass(3 * PARKED_DEADLINE).await;
    assert_eq!(parkings(&rig, order).await, 1);
    assert_eq!(provider.calls.load(Ordering::Relaxed), calls, "nobody asks while it is parked");
    assert!(!rig.story(order).await.contains(&"PaymentCaptured".to_owned()));
}

fn call() -> PaymentCall {
    PaymentCall {
        order: OrderId(uuid::Uuid::from_u128(1)),
        spotlight: SPOTLIGHT,
        attempt: 1,
        payment: 1,
        reference: None,
        method: "sim_ok".to_owned(),
        amount: won(1),
        held_until: None,
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_left_alone_for_a_while() {
    let rig = Rig::idle();
    let provider = Arc::new(Scripted::default());
    let guarded = GuardedGateway::new(provider.clone(), rig.clock.clone());
    let made = || provider.calls.load(Ordering::Relaxed);
    let mut failed = 0;
    while failed + TRIES_MAX <= usize::try_from(FAILURES_MAX).unwrap() {
        rig.run(guarded.query(&call())).await.expect_err("fails");
        failed += TRIES_MAX;
        assert_eq!(made(), failed);
    }
    assert!(!guarded.is_down());
    rig.run(guarded.query(&call())).await.expect_err("fails");
    let failures = usize::try_from(FAILURES_MAX).unwrap();
    assert_eq!(made(), failures, "not one try more than it takes");
    assert!(guarded.is_down());
    rig.run(guarded.query(&call())).await.expect_err("is left alone");
    assert_eq!(made(), failures);
    rig.clock.advance(OPEN_FOR);
    assert!(!guarded.is_down());
    *provider.query.lock() = VecDeque::from([Act::Say(PaymentResult::Voided)]);
    assert_eq!(rig.run(guarded.query(&call())).await.unwrap(), Some(PaymentResult::Voided));
    assert_eq!(made(), failures + 1);
}

#[tokio::test]
async fn a_call_is_bounded_in_time_and_tries() {
    let rig = Rig::idle();
    let provider = Arc::new(Scripted { query: script([Act::Hang]), ..Scripted::default() });
    let guarded = GuardedGateway::new(provider.clone(), rig.clock.clone());
    let began = domain::ports::Clock::now(rig.clock.as_ref());
    rig.run(guarded.query(&call())).await.expect_err("hangs");
    let took = domain::ports::Clock::now(rig.clock.as_ref()) - began;
    let bound = CALL_TIMEOUT * u32::try_from(TRIES_MAX).unwrap() + Duration::from_secs(5);
    assert!(took.to_std().unwrap() < bound, "took {took}");
    assert_eq!(provider.calls.load(Ordering::Relaxed), TRIES_MAX);
}
