//! What the Redis gate leaves behind: how long, and how much it can load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::admission::Admission;
use domain::fingerprint::Fingerprint;
use domain::ids::OrderId;
use domain::ports::{AcceptedOrders, EntryState, Loaded, SnapshotOrder};
use domain::views::{AcceptedOrder, OrderView, ReceiptJson};
use projections::stock_counter::{
    MemoryAcceptedOrders, MemoryGate, RETAINED_AFTER_CLOSE, RedisAcceptedOrders, RedisGate,
};

use super::adapters::{TestClock, cluster_urls};
use super::story::{Story, fresh, lines, order, time, viewer};
use super::suite::{Gate, apply, shown, taken};
use crate::support::required;

async fn ask(arguments: &[&str]) -> redis::Value {
    let client = redis::Client::open(required("ONAIR_REDIS")).expect("valid");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connects");
    let mut command = redis::cmd(arguments[0]);
    arguments[1..].iter().for_each(|argument| {
        command.arg(argument);
    });
    command.query_async(&mut connection).await.expect("answers")
}

#[tokio::test]
async fn keys_live_on_after_the_close_only_as_long_as_repeats_may_come() {
    let prefix = format!("test:{}:", fresh().simple());
    let urls = [required("ONAIR_REDIS")];
    let gate: Gate = Arc::new(RedisGate::connect_under(&prefix, &urls).await.expect("connects"));
    let mut story = Story::limited(9);
    let mut events = story.open(&[("a", 5)]);
    apply(&gate, &story, &events).await;
    let take = story.take(&[("a", 1)]);
    events = story.reserved(&take, taken(&gate, &take).await);
    events.push(story.closed(fresh()));
    apply(&gate, &story, &events).await;
    let key = |part: &str| format!("{prefix}gate:{{{}}}:{part}", story.spotlight);
    // a hold is open
    for part in ["m", "s", "e", "l", "v", "d"] {
        assert_eq!(ask(&["TTL", &key(part)]).await, redis::Value::Int(-1), "{part}");
    }
    let confirmed = story.confirmed(&take);
    apply(&gate, &story, &[confirmed]).await;
    let key = |part: &str| format!("{prefix}gate:{{{}}}:{part}", story.spotlight);
    for part in ["m", "s", "e", "l", "v"] {
        let redis::Value::Int(seconds) = ask(&["TTL", &key(part)]).await else { panic!("no TTL") };
        let kept = RETAINED_AFTER_CLOSE.num_seconds();
        assert!(seconds > kept - 60 && seconds <= kept, "{part}: {seconds}");
    }
    assert_eq!(gate.claim_pending(Duration::ZERO, 9).await.expect("answers"), []);
    let live = ask(&["KEYS", &format!("{prefix}gate:live:*")]).await;
    assert_eq!(live, redis::Value::Array(vec![]));
}

#[tokio::test]
async fn memory_forgets_what_closed_long_ago() {
    let clock = Arc::new(commands::clock::ManualClock::new(time(1_000_000_000)));
    let gate: Gate = Arc::new(MemoryGate::new(Arc::clone(&clock) as _));
    let mut story = Story::new();
    let mut events = story.open(&[("a", 5)]);
    events.push(story.closed(fresh()));
    apply(&gate, &story, &events).await;
    let kept = RETAINED_AFTER_CLOSE.to_std().expect("positive");
    for (pause, expected) in
        [(kept.saturating_sub(Duration::from_secs(1)), true), (Duration::from_secs(1), false)]
    {
        clock.advance(pause);
        gate.claim_pending(Duration::ZERO, 9).await.expect("answers");
        let view = gate.view(story.spotlight).await.expect("answers");
        assert_eq!(view.is_some(), expected);
    }
}

/// 100,000 orders are loaded in steps that let others through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_snapshot_is_loaded_in_bounded_steps() {
    const ORDERS: u64 = 100_000;
    let gate: Gate = super::adapters::redis().await;
    let mut story = Story::limited(9);
    story.open(&[("a", 200_000)]);
    story.reopened(2);
    let mut fold = domain::gate::SnapshotFold::default();
    story.events.iter().for_each(|event| fold.apply(event));
    let mut snapshot = fold.finish().expect("scheduled");
    let states = [EntryState::Held, EntryState::Sold, EntryState::Ended];
    snapshot.orders = (0..ORDERS)
        .map(|number| SnapshotOrder {
            order: OrderId(fresh()),
            viewer: viewer(&format!("v{}", number / 3)),
            lines: lines(&[("a", 1)]),
            state: states[usize::try_from(number % 3).expect("small")],
            admission: Admission { epoch: 1, number, at: time(5), offer_version: 1 },
            fingerprint: Fingerprint::of(b"x"),
            returned: 0,
            deadline: Some(time(1_800_000_000)),
        })
        .collect();
    let loading = gate.load(&snapshot);
    tokio::pin!(loading);
    let mut slowest = Duration::ZERO;
    let loaded = loop {
        let asked = Instant::now();
        tokio::select! {
            biased;
            loaded = &mut loading => break loaded.expect("loads"),
            _ = gate.view(domain::ids::SpotlightId(fresh())) => slowest = slowest.max(asked.elapsed()),
        }
    };
    assert_eq!(loaded, Loaded::Done);
    assert!(slowest < Duration::from_secs(1), "others waited {slowest:?}");
    assert_eq!(shown(&gate, &story, "a").await, [200_000, 133_333, 33_334, 33_333]);
    gate.take(&story.take(&[("a", 1)])).await.expect("answers");
}

fn accepted() -> AcceptedOrder {
    let id = order();
    let view: OrderView = serde_json::from_value(serde_json::json!({
        "id": id, "spotlight_id": fresh(), "broadcast_id": fresh(), "seller": "acme",
        "viewer": "ana", "viewer_ref": "a1", "status": "pending", "reason": null,
        "lines": [], "total": {"minor": 1, "currency": "KRW"}, "offer_version": 1, "version": 0,
        "hold_expires_at": null, "payment_method": null,
        "payment": {"status": "none", "retryable": false, "provider": null, "attempts": 0},
        "refunded": null, "reference": "r", "metadata": {"k": [1]},
        "body_fingerprint": "ab", "accepted_at": time(5), "updated_at": time(5), "position": 0,
    }))
    .expect("an order view");
    AcceptedOrder {
        order: view,
        lines: lines(&[("a", 2)]),
        receipt: ReceiptJson::of(&serde_json::json!({"leaf": "{\"a\":1}"})),
    }
}

async fn keeps_accepted_orders(orders: Arc<dyn AcceptedOrders>) {
    let (first, second) = (accepted(), accepted());
    let before = orders.put(&[first.clone(), second.clone()]).await.expect("writes");
    assert_eq!(before, [None, None]);
    assert_eq!(orders.put(&[]).await.expect("writes nothing"), []);
    assert_eq!(orders.get(first.order.id).await.expect("reads"), Some(first.clone()));
    assert_eq!(orders.get(second.order.id).await.expect("reads"), Some(second.clone()));
    assert_eq!(orders.get(order()).await.expect("reads"), None);
    let ids = [second.order.id, order(), first.order.id];
    let all = orders.get_all(&ids).await.expect("reads");
    assert_eq!(all, [Some(second), None, Some(first.clone())], "in the order of the question");
    assert_eq!(orders.get_all(&[]).await.expect("reads"), []);
    let mut later = first.clone();
    later.receipt = None;
    let before = orders.put(std::slice::from_ref(&later)).await.expect("writes");
    assert_eq!(before, [Some(first.clone())], "the first promise stands");
    assert_eq!(orders.get(first.order.id).await.expect("reads"), Some(first));
}

#[tokio::test]
async fn memory_keeps_accepted_orders() {
    keeps_accepted_orders(Arc::new(MemoryAcceptedOrders::new(Arc::new(TestClock)))).await;
}

#[tokio::test]
async fn memory_forgets_the_oldest_accepted_orders() {
    let orders = MemoryAcceptedOrders::bounded(Arc::new(TestClock), 2);
    let all = [accepted(), accepted(), accepted()];
    orders.put(&all).await.expect("writes");
    let kept = [None, Some(&all[1]), Some(&all[2])];
    for (order, kept) in all.iter().zip(kept) {
        assert_eq!(orders.get(order.order.id).await.expect("reads").as_ref(), kept);
    }
}

#[tokio::test]
async fn memory_forgets_accepted_orders_after_a_day() {
    use commands::clock::ManualClock;
    let clock = Arc::new(ManualClock::new(time(0)));
    let orders = MemoryAcceptedOrders::new(Arc::clone(&clock) as _);
    let one = accepted();
    orders.put(std::slice::from_ref(&one)).await.expect("writes");
    clock.advance(Duration::from_secs(<dyn AcceptedOrders>::KEPT_SECONDS - 1));
    assert!(orders.get(one.order.id).await.expect("reads").is_some());
    clock.advance(Duration::from_secs(1));
    assert_eq!(orders.get(one.order.id).await.expect("reads"), None);
}

#[tokio::test]
async fn redis_keeps_accepted_orders_for_a_day() {
    let orders = RedisAcceptedOrders::connect(&[required("ONAIR_REDIS")]).await.expect("connects");
    let orders: Arc<dyn AcceptedOrders> = Arc::new(orders);
    keeps_accepted_orders(Arc::clone(&orders)).await;
    let one = accepted();
    orders.put(std::slice::from_ref(&one)).await.expect("writes");
    let key = format!("order:{}", one.order.id);
    let redis::Value::Int(seconds) = ask(&["TTL", &key]).await else { panic!("no TTL") };
    let kept = i64::try_from(<dyn AcceptedOrders>::KEPT_SECONDS).expect("fits");
    assert!(seconds > kept - 60 && seconds <= kept, "{seconds}");
}

#[tokio::test]
async fn cluster_keeps_accepted_orders() {
    let orders = RedisAcceptedOrders::connect(&cluster_urls()).await.expect("connects");
    keeps_accepted_orders(Arc::new(orders)).await;
}
