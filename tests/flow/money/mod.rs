//! Ten thousand random orders: whatever buyers, host and bank do, at the end every order is over,
//! and the bank's books and ours are equal to the unit of currency.

mod bank;
mod buyer;
mod host;
mod ledger;
mod place;
mod stage;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use commands::process::HOLD_LATE_MAX;
use domain::ids::OrderId;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use self::bank::{Bank, METHODS, Standing};
use self::ledger::Ledger;
use self::place::Place;
use self::stage::{Stage, Tally};
use crate::support::shop::Shop;
use crate::support::slice;

/// Orders in `scripts/soak`.
const ORDERS: usize = 10_000;
/// Orders in `scripts/test`; a quarter of them in the cluster, whose processes share two cores.
const ORDERS_IN_SLICE: usize = 1_000;
/// How long a disk that others write to may hold a debug build up; the soak has the machine for
/// itself, but a cluster of its processes does not keep up on two cores.
const MACHINE_STANDS_STILL: Duration = Duration::from_secs(20);
/// Spotlights of a broadcast.
const SPOTLIGHTS: u64 = 8;
/// How long the host goes on after the last press.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// How long everything may take to come to its end.
const SETTLED_WITHIN: Duration = Duration::from_mins(3);
const LOOKS_EVERY: Duration = Duration::from_millis(500);

/// How fast it goes, by what the profile does on two cores in a debug build.
struct Pace {
    /// Presses on one spotlight.
    presses: u64,
    /// Within how long they all press.
    span_ms: u64,
    /// Orders, of the slice's or the soak's.
    share: usize,
    /// How late the end of a hold may be decided.
    late: Duration,
    /// How long units are held, in seconds.
    hold_seconds: RangeInclusive<u32>,
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_file_random_orders_end_right_and_the_books_agree() {
    let bank = Bank::start(1).await;
    let (place, shop) = Place::embedded(&bank).await;
    let pace = Pace {
        presses: 240,
        span_ms: 6_000,
        share: slice(ORDERS_IN_SLICE, ORDERS),
        late: slice(MACHINE_STANDS_STILL, Duration::ZERO) + HOLD_LATE_MAX,
        hold_seconds: 2..=4,
    };
    orders((place, shop, bank), &pace, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_random_orders_end_right_and_the_books_agree() {
    let bank = Bank::start(2).await;
    let (place, shop) = Place::cluster(&bank).await;
    let pace = Pace {
        presses: 70,
        span_ms: 20_000,
        share: slice(ORDERS_IN_SLICE / 4, ORDERS),
        late: MACHINE_STANDS_STILL + HOLD_LATE_MAX,
        hold_seconds: 8..=12,
    };
    orders((place, shop, bank), &pace, 2).await;
}

async fn orders((mut place, shop, bank): (Place, Shop, Bank), pace: &Pace, seed: u64) {
    let tally = Arc::<Tally>::default();
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut spotlights = vec![];
    let began = Instant::now();
    while tally.promised() < pace.share {
        spotlights.extend(show(&place, (&shop, pace), &tally, &mut dice).await);
    }
    let base = place.urls()[0].clone();
    let ledger = settled(&shop, &base, &bank).await;
    println!(
        "{} orders, {} offers, {} events in {:?}; {:?}; {:?}",
        tally.promised(),
        ledger.offers,
        ledger.events,
        began.elapsed(),
        tally.counts(),
        ledger.types
    );
    check_ends(&ledger, &tally);
    check_holds(&ledger, pace.late);
    assert_eq!(ledger.passed, Vec::<String>::new(), "made an offer before their turn");
    for spotlight in &spotlights {
        check_stock(&shop, &base, spotlight, &ledger).await;
        check_shown(&shop, &base, spotlight, &ledger).await;
    }
    check_money(&ledger, &bank);
    check_variety(&ledger, &tally, &bank);
    let (_, refused) = bank.told();
    assert_eq!(refused, Vec::<String>::new(), "webhooks that were not taken");
    place.stop().await;
    check_verdicts(&place, &bank).await;
}

/// A broadcast from start to end; answers with its spotlights.
async fn show(
    place: &Place,
    (shop, pace): (&Shop, &Pace),
    tally: &Arc<Tally>,
    dice: &mut ChaCha8Rng,
) -> Vec<String> {
    let bases = place.urls();
    let broadcast = shop.live_broadcast(&bases[0]).await;
    let (mut spotlights, mut buyers, mut hosts) = (vec![], vec![], vec![]);
    let mut stages = vec![];
    for _ in 0..SPOTLIGHTS {
        let mut terms = json!({
            "hold_seconds": dice.random_range(pace.hold_seconds.clone()), "per_viewer_limit": dice.random_range(3..=9),
        });
        if dice.random_bool(0.5) {
            terms["abandoned_hold_seconds"] = json!(2);
        }
        let of = u32::try_from(pace.presses).expect("small");
        let units = [
            ("A", dice.random_range(of * 4 / 10..of * 9 / 10)),
            ("B", dice.random_range(of * 15 / 100..of * 35 / 100)),
        ];
        let spotlight = shop.spotlight(&bases[0], &broadcast, &units, terms).await;
        spotlights.push(spotlight.clone());
        let stage = Arc::new(Stage {
            shop: shop.clone(),
            bases: bases.clone(),
            spotlight,
            version: AtomicU32::new(1),
            over: AtomicBool::new(false),
            tally: tally.clone(),
        });
        hosts.push(tokio::spawn(host::host(stage.clone(), ChaCha8Rng::from_rng(dice))));
        for _ in 0..pace.presses {
            let start = Duration::from_millis(dice.random_range(0..pace.span_ms));
            let (stage, own) = (stage.clone(), ChaCha8Rng::from_rng(dice));
            buyers.push(tokio::spawn(async move {
                tokio::time::sleep(start).await;
                buyer::buy(stage, own).await;
            }));
        }
        stages.push(stage);
    }
    tokio::time::sleep(Duration::from_millis(pace.span_ms) + AFTERWARDS).await;
    for stage in &stages {
        stage.over.store(true, Ordering::Relaxed);
    }
    for task in hosts.into_iter().chain(buyers) {
        task.await.expect("it ends");
    }
    let path = format!("/v1/broadcasts/{broadcast}/end");
    shop.host(&bases[0], reqwest::Method::POST, &path, &json!({})).await.expect(200);
    spotlights
}

/// Reads the log until nothing is under way any more, here or at the bank.
async fn settled(shop: &Shop, base: &str, bank: &Bank) -> Ledger {
    let mut ledger = Ledger::default();
    let until = Instant::now() + SETTLED_WITHIN;
    loop {
        let before = ledger.events;
        ledger.read_on(shop, base).await;
        let payments = bank.payments();
        let open = payments.iter().find(|(_, payment)| {
            matches!(payment.standing, Standing::Open | Standing::Waits | Standing::Authorized)
        });
        let open = ledger.open().or_else(|| open.map(|open| format!("at the bank: {open:?}")));
        if open.is_none() && ledger.events == before {
            return ledger;
        }
        assert!(Instant::now() < until, "never over: {open:?}");
        tokio::time::sleep(LOOKS_EVERY).await;
    }
}

/// What was promised is in the log once, has one end, and did not fail for stock.
fn check_ends(ledger: &Ledger, tally: &Tally) {
    let promised = tally.promised.lock();
    for id in promised.keys() {
        let id: OrderId = id.parse().expect("an id");
        let order = ledger.orders.get(&id).unwrap_or_else(|| panic!("{id} was lost"));
        assert!(!order.offer, "{id}");
    }
    let placed = ledger.orders.values().filter(|order| !order.offer).count();
    assert_eq!(placed, promised.len(), "nothing is in the log that nobody was promised");
    for (id, order) in &ledger.orders {
        assert_eq!(order.ends.len(), 1, "{id}: {order:?}");
        assert_ne!(order.ends[0], "failed stock_guard", "{id} was promised");
        assert_ne!(order.ends[0], "failed parked", "{id}: nothing is parked");
    }
}

fn check_holds(ledger: &Ledger, late: Duration) {
    for (stream, hold) in &ledger.holds {
        let ended_at = hold.ended_at.expect("it has ended");
        assert!(ended_at <= hold.deadline + late, "{stream} outlived its hold: {hold:?}");
    }
}

/// What is shown adds up, nothing is held any more, and what was sold is what the log sold.
async fn check_stock(shop: &Shop, base: &str, spotlight: &str, ledger: &Ledger) {
    let shown = shop.inventory(base, spotlight).await;
    for (sku, stock) in shown.as_object().expect("an inventory") {
        let number = |field: &str| stock[field].as_i64().expect("a number");
        let key = (spotlight.parse().expect("an id"), sku.parse().expect("a SKU"));
        let sold = ledger.sold.get(&key).copied().unwrap_or(0);
        assert_eq!((number("held"), number("sold")), (0, sold), "{spotlight} {sku}: {shown}");
        assert_eq!(number("limited_quantity"), number("remaining") + sold, "{shown}");
        assert!(number("remaining") >= 0, "oversold: {shown}");
    }
}

/// What a host reads of each order is what the log says of its money.
async fn check_shown(shop: &Shop, base: &str, spotlight: &str, ledger: &Ledger) {
    let mut path = format!("/v1/orders?spotlight_id={spotlight}&limit=100");
    let mut seen = 0;
    loop {
        let page = shop.read(base, &path).await.expect(200).body;
        for shown in page["items"].as_array().expect("orders") {
            let id: OrderId = shown["id"].as_str().expect("an id").parse().expect("an id");
            let order = &ledger.orders[&id];
            let refunded = shown["refunded"]["minor"].as_i64().unwrap_or(0);
            let total = shown["total"]["minor"].as_i64().expect("a total");
            assert_eq!(total, order.total, "the accepted price is immutable: {shown}");
            let sold = matches!(shown["status"].as_str(), Some("confirmed" | "refunded"));
            assert_eq!(sold, order.ends[0] == "confirmed", "{shown} {order:?}");
            if sold {
                assert_eq!(total - refunded, order.kept(), "{shown} {order:?}");
            } else {
                assert_eq!(order.kept(), 0, "{shown} {order:?}");
            }
            seen += 1;
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/orders?spotlight_id={spotlight}&limit=100&cursor={cursor}");
    }
    let id = Some(spotlight.parse().expect("an id"));
    assert_eq!(seen, ledger.orders.values().filter(|order| order.spotlight == id).count());
}

/// The bank's books and ours, order by order.
fn check_money(ledger: &Ledger, bank: &Bank) {
    let mut theirs: BTreeMap<OrderId, i64> = BTreeMap::new();
    let mut taken: BTreeMap<OrderId, u32> = BTreeMap::new();
    for ((order, _), payment) in bank.payments() {
        let order: OrderId = order.parse().expect("an id");
        let kept = theirs.entry(order).or_default();
        if payment.standing == Standing::Captured {
            *kept += payment.minor - payment.refunds.values().sum::<i64>();
            *taken.entry(order).or_default() += 1;
        }
    }
    for (id, kept) in &theirs {
        let order = ledger.orders.get(id).unwrap_or_else(|| panic!("the bank knows {id} alone"));
        assert_eq!(*kept, order.kept(), "{id}: {order:?}");
    }
    for (id, order) in &ledger.orders {
        assert_eq!(order.kept(), theirs.get(id).copied().unwrap_or(0), "{id}: {order:?}");
        let sold = order.ends[0] == "confirmed";
        assert!(if sold { order.captured >= order.total } else { order.kept() == 0 }, "{order:?}");
    }
    let (all, ours): (i64, i64) =
        (theirs.values().sum(), ledger.orders.values().map(ledger::Order::kept).sum());
    assert_eq!(all, ours);
    assert!(ours > 0, "nobody bought anything");
}

/// A run in which something never happened proves nothing about it.
fn check_variety(ledger: &Ledger, tally: &Tally, bank: &Bank) {
    let counts = tally.counts();
    let known = |what: &str| counts.get(what).copied().unwrap_or(0);
    for method in METHODS {
        assert!(known(&format!("promised {method}")) > 0, "{method}");
    }
    for what in [
        "promised later",
        "repeated",
        "sold out",
        "waited",
        "offered",
        "cancelled",
        "tried again",
        "refund asked",
        "host stock",
        "host offer",
        "host pause",
        "host withdraw",
    ] {
        assert!(known(what) > 0, "{what}: {counts:?}");
    }
    for event in [
        "OrderRefunded",
        "OrderCancelled",
        "CaptureFailed",
        "PaymentUnknown",
        "PaymentVoided",
        "PaymentActionRequired",
        "OfferWithdrawn",
        "WithdrawalProgressed",
        "HoldAbandoned",
        "UnitsCarried",
        "WaitlistEnded",
    ] {
        assert!(ledger.types.contains_key(event), "{event}: {:?}", ledger.types);
    }
    let ends = |how: &str| ledger.orders.values().any(|order| order.ends[0] == how);
    for how in ["failed payment_declined", "failed payment_timeout", "failed hold_expired"] {
        assert!(ends(how), "{how}");
    }
    assert!(bank.failed_captures() > 0 && bank.told().0 > 0);
}

/// I1–I6 and I9, with every other invariant, and the bank's report held against the log.
async fn check_verdicts(place: &Place, bank: &Bank) {
    let (code, report) = place.replay(&["verify"]).await;
    assert_eq!((code, &report["verdict"]), (0, &json!("good")), "{report:#}");
    let dir = tempfile::tempdir().expect("a folder");
    let books = dir.path().join("books.ndjson");
    let mut lines = String::new();
    for ((order, attempt), payment) in bank.payments() {
        let back: i64 = payment.refunds.values().sum();
        let status = match payment.standing {
            Standing::Captured if back == payment.minor => "refunded",
            Standing::Captured => "captured",
            Standing::Voided => "voided",
            Standing::Hard | Standing::Soft => "declined",
            open => panic!("{order} is {open:?}"),
        };
        let amount = json!({"minor": payment.minor, "currency": "KRW"});
        let entry =
            json!({"order_id": order, "attempt": attempt, "status": status, "amount": amount});
        lines.push_str(&entry.to_string());
        lines.push('\n');
    }
    std::fs::write(&books, lines).expect("writes");
    let path = books.to_string_lossy();
    let (code, found) = place.replay(&["reconcile", "psp", "--books", &path]).await;
    assert_eq!((code, &found["books"]["differences"]), (0, &json!([])), "{found:#}");
    assert_eq!(found["books"]["open"], Value::from(0));
}
