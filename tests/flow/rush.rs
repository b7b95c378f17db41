//! The rush: 2,000 viewers press at once on 100 units, beside a second sale on the other writer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::support::cluster::{Cluster, Servers};
use crate::support::shop::{Answer, Shop, order_of};
use crate::support::witness::Witnesses;

/// Viewers that press on the first spotlight.
const VIEWERS: usize = 2_000;
/// Units of the first spotlight.
const UNITS: u32 = 100;
/// Units of each SKU of the second spotlight.
const UNITS_EACH: u32 = 30;
/// Viewers that order several SKUs of the second spotlight.
const SECOND_VIEWERS: usize = 200;
/// Of these viewers each tenth also watches on both official SDKs, on other nodes.
const OFFICIAL_EVERY: usize = 10;
/// Every so many payments fail.
const FAILS_EVERY: usize = 10;

/// How long the group may take to share the partitions out: some heartbeats.
const SHARED_WITHIN: Duration = Duration::from_mins(1);
/// How long a node may answer from a sold-out verdict, with room for a busy machine.
const REPEAT_WITHIN: Duration = Duration::from_mins(1);
/// How long the stock that is shown may be behind the last order.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);

/// What came of a press, by order id.
pub type Admitted = BTreeMap<String, String>;

/// The owner of the partition that a spotlight's commands go to.
async fn owner(pool: &PgPool, spotlight: &str) -> String {
    sqlx::query(
        "SELECT o.owner FROM events e JOIN ingest_offsets o \
         ON o.topic = e.metadata->>'topic' AND o.partition = (e.metadata->>'partition')::int \
         WHERE e.stream_key = $1::uuid LIMIT 1",
    )
    .bind(spotlight)
    .fetch_one(pool)
    .await
    .expect("the spotlight has an event")
    .get(0)
}

/// Waits until the group has given each of the two writers a share of the partitions: the first
/// to join owns them all until its next heartbeat.
async fn both_writers_own(pool: &PgPool) {
    let until = Instant::now() + SHARED_WITHIN;
    loop {
        let owners: i64 = sqlx::query_scalar("SELECT count(DISTINCT owner) FROM ingest_offsets")
            .fetch_one(pool)
            .await
            .expect("counts the owners");
        if owners == 2 {
            return;
        }
        assert!(Instant::now() < until, "{owners} of two writers own partitions");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn method(n: usize) -> &'static str {
    if n.is_multiple_of(FAILS_EVERY) { "sim_decline_hard" } else { "sim_ok" }
}

/// One press, and for every second viewer the same press again under the same key, on another
/// node and at the same time.
async fn press(shop: &Shop, bases: [String; 2], viewer: &str, body: &Value, twice: bool) -> Answer {
    let key = Uuid::new_v4().to_string();
    let first = shop.order_again(&bases[0], viewer, &key, body);
    if !twice {
        return first.await;
    }
    let (first, second) = tokio::join!(first, shop.order_again(&bases[1], viewer, &key, body));
    let (won, other, base) = match (first.status.as_u16(), second.status.as_u16()) {
        (202, _) => (first, second, &bases[1]),
        (_, 202) => (second, first, &bases[0]),
        _ => return first,
    };
    // one of two at the same moment may be told to wait, or be answered from a verdict that is
    // older than the other's take; a repeat after the answer finds the order on any node
    let repeat = if other.status == 202 {
        other
    } else {
        assert!(["idempotency_in_flight", "sold_out"].contains(&other.code()), "{other:?}");
        let until = Instant::now() + REPEAT_WITHIN;
        loop {
            let again = shop.order_again(base, viewer, &key, body).await;
            if again.status == 202 {
                break again;
            }
            assert!(Instant::now() < until, "the repeat does not find the order: {again:?}");
        }
    };
    assert_eq!(won.id(), repeat.id(), "one key, one order");
    assert_eq!(won.body["receipt"], repeat.body["receipt"], "one order, one receipt");
    won
}

/// Every viewer on its node; those who order several SKUs are the ones on the official SDKs.
async fn watch(cluster: &Cluster, shop: &Shop, broadcast: &str) -> Witnesses {
    let mut witnesses = Witnesses::none();
    for n in 0..VIEWERS {
        let address = cluster.api[n % 3].socket_url();
        let viewer = format!("viewer-{n}");
        witnesses.own(shop, &viewer, broadcast, move |_| address.clone());
        if n < SECOND_VIEWERS && n.is_multiple_of(OFFICIAL_EVERY) {
            let other = cluster.api[(n + 1) % 3].socket_url();
            witnesses.official(shop, &viewer, broadcast, &other).await;
        }
    }
    witnesses.connected().await;
    witnesses
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_viewers_press_on_a_hundred_units() {
    let servers = Servers::shared().await;
    let mut cluster = Cluster::start(&servers, 3, 2).await;
    let shop = Shop::new("acme", &cluster.secret);
    let pool = PgPool::connect(&servers.database).await.expect("connects");
    both_writers_own(&pool).await;
    let broadcast = shop.live_broadcast(&cluster.url(0)).await;
    let first = shop.spotlight(&cluster.url(0), &broadcast, &[("lamp", UNITS)], json!({})).await;
    let skus = [("red", UNITS_EACH), ("green", UNITS_EACH), ("blue", UNITS_EACH)];
    let mut second = shop.spotlight(&cluster.url(1), &broadcast, &skus, json!({})).await;
    for _ in 0..32 {
        if owner(&pool, &first).await != owner(&pool, &second).await {
            break;
        }
        second = shop.spotlight(&cluster.url(1), &broadcast, &skus, json!({})).await;
    }
    assert_ne!(
        owner(&pool, &first).await,
        owner(&pool, &second).await,
        "two writers share the work"
    );

    let witnesses = watch(&cluster, &shop, &broadcast).await;

    let mut presses = FuturesUnordered::new();
    for n in 0..VIEWERS {
        let (shop, bases) = (shop.clone(), [cluster.url(n), cluster.url(n + 1)]);
        let body = order_of(&first, 1, &[("lamp", 1)], method(n));
        presses.push(tokio::task::spawn(async move {
            let viewer = format!("viewer-{n}");
            (viewer.clone(), press(&shop, bases, &viewer, &body, n.is_multiple_of(2)).await)
        }));
    }
    for n in 0..SECOND_VIEWERS {
        let (shop, bases) = (shop.clone(), [cluster.url(n), cluster.url(n + 1)]);
        let lines: &[(&str, u32)] = match n % 3 {
            0 => &[("red", 1), ("green", 2)],
            1 => &[("green", 1), ("blue", 1)],
            _ => &[("red", 2), ("green", 1), ("blue", 1)],
        };
        let body = order_of(&second, 1, lines, method(n));
        presses.push(tokio::task::spawn(async move {
            let viewer = format!("viewer-{n}");
            (viewer.clone(), press(&shop, bases, &viewer, &body, n.is_multiple_of(2)).await)
        }));
    }
    let mut admitted = Admitted::new();
    let mut refused = BTreeSet::new();
    while let Some(pressed) = presses.next().await {
        let (viewer, answer) = pressed.expect("the press ends");
        if answer.status == 202 {
            admitted.insert(answer.id(), viewer);
        } else {
            assert_eq!((answer.status.as_u16(), answer.code()), (409, "sold_out"), "{answer:?}");
            refused.insert(viewer);
        }
    }
    assert!(!refused.is_empty(), "a hundred units are not enough for all");

    let mut ends = BTreeMap::new();
    for id in admitted.keys() {
        ends.insert(id.clone(), shop.ended_order(&cluster.url(0), id).await);
    }
    check_stock(&shop, &cluster.url(2), &first, &ends).await;
    check_stock(&shop, &cluster.url(2), &second, &ends).await;
    witnesses.check(&admitted, &ends, false).await;
    check_log(&cluster, &pool, &ends).await;
    cluster.stop().await;
}

/// Units confirmed, released and still free add up to the limit, by the API and by the orders.
pub async fn check_stock(shop: &Shop, base: &str, spotlight: &str, ends: &BTreeMap<String, Value>) {
    let mut sold: BTreeMap<String, i64> = BTreeMap::new();
    for order in ends.values() {
        if order["spotlight_id"] != spotlight || order["status"] != "confirmed" {
            continue;
        }
        for line in order["lines"].as_array().expect("lines") {
            let sku = line["sku"].as_str().expect("a SKU").to_owned();
            *sold.entry(sku).or_default() += line["quantity"].as_i64().expect("a quantity");
        }
    }
    let until = Instant::now() + SETTLED_WITHIN;
    loop {
        let inventory = shop.inventory(base, spotlight).await;
        let stocks = inventory.as_object().expect("an inventory");
        let number = |sku: &str, field: &str| stocks[sku][field].as_i64().expect("a number");
        let settled = stocks.keys().all(|sku| {
            number(sku, "held") == 0 && number(sku, "sold") == sold.get(sku).copied().unwrap_or(0)
        });
        for sku in stocks.keys() {
            assert_eq!(
                number(sku, "limited_quantity"),
                number(sku, "remaining") + number(sku, "held") + number(sku, "sold"),
                "{sku}"
            );
            assert!(number(sku, "remaining") >= 0, "oversold: {inventory}");
        }
        if settled {
            return;
        }
        assert!(Instant::now() < until, "{inventory} is not {sold:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The log proves it, and no admitted order failed for stock.
pub async fn check_log(cluster: &Cluster, pool: &PgPool, ends: &BTreeMap<String, Value>) {
    let (code, report) = cluster.verify().await;
    assert_eq!((code, &report["verdict"]), (0, &json!("good")), "{report:#}");
    let accepted: i64 =
        sqlx::query("SELECT count(*) FROM events WHERE event_type = 'OrderAccepted'")
            .fetch_one(pool)
            .await
            .expect("counts")
            .get(0);
    assert_eq!(
        usize::try_from(accepted),
        Ok(ends.len()),
        "every admitted order is in the log, once"
    );
    for order in ends.values() {
        assert_ne!(order["reason"], "stock_guard", "accepted but failed for stock: {order}");
    }
}
