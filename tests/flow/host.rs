//! The host changes everything in mid-rush: reductions, prices, pauses, a close, the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::rush::{check_log, check_stock};
use crate::support::cluster::{Cluster, Servers};
use crate::support::eventually;
use crate::support::shop::{Shop, order_of};
use crate::support::witness::Witnesses;

/// Units of each of the two spotlights.
const UNITS: u32 = 300;
/// Buyers that press in a loop.
const BUYERS: usize = 32;
/// Names that a buyer takes in turn, so that none is beyond the rate of one viewer.
const NAMES: usize = 8;
/// How long a node may answer from a sold-out verdict, with room for a busy machine.
const TOLD_WITHIN: Duration = Duration::from_mins(1);
/// Of the buyers' first names each eighth also watches on both official SDKs.
const OFFICIAL_EVERY: usize = 8;

/// An accepted press: who pressed, and under which offer version.
type Accepted = Arc<Mutex<BTreeMap<String, (String, u64)>>>;

fn name(buyer: usize, round: usize) -> String {
    format!("viewer-{buyer}-{}", round % NAMES)
}

/// A press under the offer version that was current at the last refusal.
async fn rush(
    shop: Shop,
    bases: Vec<String>,
    spotlight: String,
    n: usize,
    accepted: Accepted,
    stop: Arc<AtomicBool>,
) {
    let mut version = 1;
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let body = order_of(&spotlight, version, &[("lamp", 1)], "sim_ok");
        let (viewer, key) = (name(n, round), Uuid::new_v4().to_string());
        let base = &bases[(n + round) % bases.len()];
        let answer = shop.order_again(base, &viewer, &key, &body).await;
        match (answer.status.as_u16(), answer.code()) {
            (202, _) => {
                accepted.lock().insert(answer.id(), (viewer, u64::from(version)));
            }
            (409, "offer_changed") => {
                let current = answer.body["offer"]["version"].as_u64().expect("the current offer");
                version = u32::try_from(current).expect("a version");
            }
            (409, "sold_out" | "paused" | "not_open") => {}
            (409, "closed") => return,
            other => panic!("{other:?} {answer:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A press on a paused or closed spotlight is told so; where it was sold out before, a node may say
/// that for as long as its verdict lasts.
async fn refused_as(expected: &str, shop: &Shop, base: &str, (spotlight, version): (&str, u32)) {
    let body = order_of(spotlight, version, &[("lamp", 1)], "sim_ok");
    eventually("the press is told why", TOLD_WITHIN, async || {
        let key = Uuid::new_v4().to_string();
        let refused = shop.order_again(base, &format!("late-{version}"), &key, &body).await;
        let sold_out = (409, "sold_out");
        let answer = (refused.status.as_u16(), refused.code());
        assert!(answer == (409, expected) || answer == sold_out, "{refused:?}");
        (answer != sold_out).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_changes_everything_in_mid_rush() {
    let servers = Servers::shared().await;
    let mut cluster = Cluster::start(&servers, 3, 2).await;
    let shop = Shop::new("acme", &cluster.secret);
    let pool = PgPool::connect(&servers.database).await.expect("connects");
    let base = cluster.url(0);
    let broadcast = shop.live_broadcast(&base).await;
    let mut spotlights = vec![];
    for _ in 0..2 {
        let id = shop.spotlight(&base, &broadcast, &[("lamp", UNITS)], json!({})).await;
        spotlights.push(id);
    }
    let mut witnesses = Witnesses::none();
    for n in 0..BUYERS {
        let address = cluster.api[n % 3].socket_url();
        if n.is_multiple_of(OFFICIAL_EVERY) {
            witnesses.official(&shop, &name(n, 0), &broadcast, &address).await;
        }
        witnesses.own(&shop, &name(n, 0), &broadcast, move |_| address.clone());
    }
    witnesses.connected().await;
    let accepted = Accepted::default();
    let stop = Arc::new(AtomicBool::new(false));
    let bases: Vec<String> = (0..3).map(|n| cluster.url(n)).collect();
    let buyers: Vec<_> = (0..BUYERS)
        .map(|n| {
            let spotlight = spotlights[n % 2].clone();
            let rush =
                rush(shop.clone(), bases.clone(), spotlight, n, accepted.clone(), stop.clone());
            tokio::task::spawn(rush)
        })
        .collect();
    let first = format!("/v1/spotlights/{}", spotlights[0]);
    for round in 1..=4_i64 {
        let node = cluster.url(usize::try_from(round).expect("small"));
        let reduced = shop
            .host(
                &node,
                Method::POST,
                &format!("{first}/stock"),
                &json!({
                    "sku": "lamp", "delta": -10, "reason": "damaged",
                }),
            )
            .await;
        assert!(reduced.status == 200 || reduced.code() == "below_committed", "{reduced:?}");
        let price = json!({"live_price": {"minor": 19_900 - round * 1_000, "currency": "KRW"},
            "reason": "next price"});
        let changed =
            shop.host(&node, Method::POST, &format!("{first}/offer"), &price).await.expect(200);
        assert_eq!(changed.body["offer"]["version"], round + 1, "{changed:?}");
        shop.host(&node, Method::POST, &format!("{first}/pause"), &json!({})).await.expect(200);
        let version = u32::try_from(round + 1).expect("small");
        refused_as("paused", &shop, &cluster.url(0), (&spotlights[0], version)).await;
        shop.host(&node, Method::POST, &format!("{first}/resume"), &json!({})).await.expect(200);
    }
    shop.host(&base, Method::POST, &format!("{first}/close"), &json!({"reason": "done"}))
        .await
        .expect(200);
    let ended = shop
        .host(&base, Method::POST, &format!("/v1/broadcasts/{broadcast}/end"), &json!({}))
        .await
        .expect(200);
    assert_eq!(ended.body["status"], "ended");
    for spotlight in &spotlights {
        // `end` shuts every gate
        refused_as("closed", &shop, &cluster.url(1), (spotlight, 5)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for buyer in buyers {
        buyer.await.expect("the buyer ends");
    }
    let accepted = std::mem::take(&mut *accepted.lock());
    let (mut ends, mut orders) = (BTreeMap::new(), BTreeMap::new());
    for (id, (viewer, version)) in accepted {
        let order = shop.ended_order(&base, &id).await;
        check_price(&order, version);
        ends.insert(id.clone(), order);
        orders.insert(id, viewer);
    }
    for spotlight in &spotlights {
        check_stock(&shop, &base, spotlight, &ends).await;
    }
    witnesses.check(&orders, &ends, false).await;
    check_log(&cluster, &pool, &ends).await;
    cluster.stop().await;
}

/// The price is that of the version which was accepted, whatever came after.
fn check_price(order: &Value, version: u64) {
    assert_eq!(order["offer_version"], version, "{order}");
    let cheaper = i64::try_from(version - 1).expect("small") * 1_000;
    assert_eq!(order["total"]["minor"], 19_900 - cheaper, "{order}");
}
