//! A thousand viewers whose connections are cut at random while orders run: each one's own record of
//! its orders is compared with what the event store makes of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use commands::clock::{SystemClock, SystemIds};
use commands::store::{self, StoreOptions};
use domain::envelope::Position;
use domain::ids::{SellerId, ViewerId};
use domain::ports::{EventReader, FeedBus, FeedPosition};
use projections::viewer_feed::shape::user_channel;
use projections::viewer_feed::{FeedLimits, MemoryFeedBus, ViewerFeed};
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::cluster::{Cluster, Servers};
use crate::support::process::Onair;
use crate::support::shop::{Shop, order_of};
use crate::support::slice;
use crate::support::viewer::Viewer;

/// Viewers, each on a socket of its own.
const VIEWERS: usize = 1_000;
/// Nodes that they are spread over; each comes back at the next one.
const NODES: usize = 3;
/// How long orders run in `scripts/soak`.
const SECONDS: usize = 60;
/// How long orders run in `scripts/test`.
const SECONDS_IN_SLICE: usize = 20;
/// Orders of a second.
const ORDERS_PER_SECOND: u32 = 25;
/// Cuts of a second.
const CUTS_PER_SECOND: u32 = 50;
/// Units of the lamp: enough for all.
const UNITS: u32 = 100_000;
/// How long the last message may take on a busy machine.
const SEEN_WITHIN: Duration = Duration::from_secs(90);
/// Events that are read at once.
const EVENTS_AT_ONCE: usize = 500;

fn name(viewer: usize) -> String {
    format!("viewer-{viewer}")
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_misses_or_repeats_a_step_of_its_orders() {
    let servers = Servers::shared().await;
    let mut cluster = Cluster::start(&servers, NODES, 1).await;
    let shop = Shop::new("acme", &cluster.secret);
    let broadcast = shop.live_broadcast(&cluster.url(0)).await;
    let lamp = [("lamp", UNITS)];
    let spotlight = shop.spotlight(&cluster.url(0), &broadcast, &lamp, json!({})).await;
    let nodes: Arc<[String]> = cluster.api.iter().map(Onair::socket_url).collect();
    let mut viewers: Vec<Viewer> = (0..VIEWERS)
        .map(|n| {
            let (nodes, token) = (nodes.clone(), shop.token("viewer", &name(n)));
            let turn = move |attempt| (n + usize::try_from(attempt).expect("few")) % NODES;
            let here = move |attempt| nodes[turn(attempt)].clone();
            Viewer::start(&name(n), token, &broadcast, here)
        })
        .collect();
    for viewer in &mut viewers {
        viewer.connected().await;
    }

    let time = Duration::from_secs(u64::try_from(slice(SECONDS_IN_SLICE, SECONDS)).expect("few"));
    let urls = (0..NODES).map(|n| cluster.url(n)).collect();
    let (accepted, cuts) = tokio::join!(sell(&shop, urls, &spotlight, time), cut(&viewers, time));
    assert!(cuts > VIEWERS / 2, "{cuts} cuts");
    assert!(accepted.len() > VIEWERS / 4, "{} orders", accepted.len());
    for order in &accepted {
        shop.ended_order(&cluster.url(0), order).await;
    }

    let expected = told(&servers.database).await;
    let until = Instant::now() + SEEN_WITHIN;
    loop {
        let faults: Vec<String> = viewers
            .iter()
            .enumerate()
            .flat_map(|(n, viewer)| faults(&name(n), viewer, expected.get(&name(n))))
            .collect();
        if faults.is_empty() {
            break;
        }
        let some = &faults[..faults.len().min(5)];
        assert!(Instant::now() < until, "{} faults, first {some:#?}", faults.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let messages: usize = expected.values().map(Vec::len).sum();
    assert!(messages >= 2 * accepted.len(), "{messages} messages of {} orders", accepted.len());
    cluster.stop().await;
}

/// Orders of random viewers for a while; the ids of those that were accepted.
async fn sell(shop: &Shop, urls: Vec<String>, spotlight: &str, time: Duration) -> Vec<String> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(4);
    let mut pace = tokio::time::interval(Duration::from_secs(1) / ORDERS_PER_SECOND);
    let (began, mut presses) = (Instant::now(), JoinSet::new());
    while began.elapsed() < time {
        pace.tick().await;
        let (n, node) = (random.random_range(0..VIEWERS), random.random_range(0..NODES));
        let method = if random.random_ratio(1, 10) { "sim_decline_hard" } else { "sim_ok" };
        let body = order_of(spotlight, 1, &[("lamp", 1)], method);
        let (shop, url, key) = (shop.clone(), urls[node].clone(), Uuid::new_v4().to_string());
        presses.spawn(async move { shop.order_again(&url, &name(n), &key, &body).await });
    }
    let mut accepted = vec![];
    while let Some(pressed) = presses.join_next().await {
        let answer = pressed.expect("the press ends");
        match answer.status.as_u16() {
            202 => accepted.push(answer.id()),
            429 | 503 => {}
            _ => panic!("{answer:?}"),
        }
    }
    accepted
}

/// Cuts connections of random viewers for a while; how many.
async fn cut(viewers: &[Viewer], time: Duration) -> usize {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let mut pace = tokio::time::interval(Duration::from_secs(1) / CUTS_PER_SECOND);
    let (began, mut cuts) = (Instant::now(), 0);
    while began.elapsed() < time {
        pace.tick().await;
        viewers[random.random_range(0..VIEWERS)].cut();
        cuts += 1;
    }
    cuts
}

/// What every viewer was to be told, by the event store alone: the same fold, from the first event,
/// on a bus that loses nothing.
async fn told(database: &str) -> BTreeMap<String, Vec<Value>> {
    let store = store::open(database, &StoreOptions::new(Arc::new(SystemClock))).await;
    let store: Arc<dyn EventReader> = store.expect("opens");
    let limits = FeedLimits { stream_messages: usize::MAX, ..FeedLimits::default() };
    let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds));
    let bus = Arc::new(MemoryFeedBus::with_limits(clock.clone(), ids, limits));
    let mut feed = ViewerFeed::new(store.clone(), bus.clone(), clock);
    let mut position = Position::START;
    loop {
        let events = store.read(position, EVENTS_AT_ONCE).await.expect("reads");
        let Some(last) = events.last() else { break };
        position = last.position;
        feed.take(&events).await.expect("folds");
    }
    let seller = SellerId::try_new("acme").expect("valid");
    let mut told = BTreeMap::new();
    for n in 0..VIEWERS {
        let viewer = ViewerId::try_new(name(n)).expect("valid");
        let channel = user_channel(&seller, &viewer);
        let top = bus.history(&channel, None).await.expect("known").top;
        let all = FeedPosition { offset: 0, ..top };
        let messages = bus.history(&channel, Some(&all)).await.expect("known").messages;
        let messages = messages.expect("all");
        let orders = messages.iter().map(|message| message.data["order"].clone());
        told.insert(name(n), orders.collect());
    }
    told
}

/// What is wrong with what a viewer saw.
fn faults(name: &str, viewer: &Viewer, expected: Option<&Vec<Value>>) -> Vec<String> {
    let shared = viewer.seen();
    let seen = shared.lock();
    let mut faults = seen.breaks.clone();
    if seen.not_recovered > 0 {
        faults.push("was not recovered".to_owned());
    }
    let mut by_order: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for step in expected.into_iter().flatten() {
        by_order.entry(step["id"].as_str().unwrap_or_default()).or_default().push(step);
    }
    let orders = by_order.keys().copied().chain(seen.orders.keys().map(String::as_str));
    let orders: std::collections::BTreeSet<&str> = orders.collect();
    for order in orders {
        let steps: Vec<&Value> = seen.orders.get(order).into_iter().flatten().collect();
        let told = by_order.get(order).map_or(&[][..], Vec::as_slice);
        let same = steps.len() == told.len()
            && steps.iter().zip(told).all(|(seen, told)| same_step(seen, told));
        if !same {
            let versions = |steps: &[&Value]| -> Vec<Value> {
                steps.iter().map(|step| step["version"].clone()).collect()
            };
            let (saw, was_told) = (versions(&steps), versions(told));
            faults.push(format!("{order}: saw {saw:?}, was to be told {was_told:?}"));
        }
    }
    faults.into_iter().map(|fault| format!("{name}: {fault}")).collect()
}

/// Whether two steps are the same, whatever the number of a second's digits.
fn same_step(seen: &Value, told: &Value) -> bool {
    let time = |step: &Value| {
        let text = step["updated_at"].as_str().unwrap_or_default();
        text.parse::<DateTime<Utc>>().ok()
    };
    let rest = |step: &Value| {
        let mut step = step.clone();
        step["updated_at"].take();
        step
    };
    rest(seen) == rest(told) && time(seen) == time(told)
}
