//! The same sale while processes are killed and Redis is lost: nothing accepted is lost, nothing
//! is oversold.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::rush::{check_log, check_stock};
use crate::support::cluster::{Cluster, OwnServers, Servers};
use crate::support::eventually;
use crate::support::process::Onair;
use crate::support::shop::{Shop, order_of};
use crate::support::witness::Witnesses;

/// Units of the sale; more than the buyers of a run can take, so that the fault falls into it.
const UNITS: u32 = 100_000;
/// Buyers that press in a loop while the fault happens.
const BUYERS: usize = 24;
/// Of the buyers each eighth also watches on both official SDKs.
const OFFICIAL_EVERY: usize = 8;
/// Orders that are accepted before and after the fault, each.
const ORDERS_AROUND: usize = 20;
/// How long a buyer waits before it presses again.
const PRESS_PAUSE: Duration = Duration::from_millis(150);

/// Buyers that press until they are told to stop; every 202 is written down.
struct Load {
    accepted: Arc<Mutex<BTreeMap<String, String>>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(shop: &Shop, bases: &Arc<Mutex<Vec<String>>>, spotlight: &str) -> Self {
        let accepted = Arc::new(Mutex::new(BTreeMap::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..BUYERS)
            .map(|n| {
                let (shop, bases, spotlight) = (shop.clone(), bases.clone(), spotlight.to_owned());
                let (accepted, stop) = (accepted.clone(), stop.clone());
                tokio::task::spawn(async move {
                    let viewer = format!("viewer-{n}");
                    let mut round = 0_usize;
                    while !stop.load(Ordering::Relaxed) {
                        round += 1;
                        let method = if round % 7 == 3 { "sim_decline_hard" } else { "sim_ok" };
                        let body = order_of(&spotlight, 1, &[("lamp", 1)], method);
                        buy(&shop, &bases, &viewer, &body, &accepted, &stop, round + n).await;
                        tokio::time::sleep(PRESS_PAUSE).await;
                    }
                })
            })
            .collect();
        Self { accepted, stop, tasks }
    }

    fn count(&self) -> usize {
        self.accepted.lock().len()
    }

    async fn more(&self, orders: usize) {
        let target = self.count() + orders;
        eventually("orders are accepted again", Duration::from_mins(1), async || {
            (self.count() >= target || self.tasks.iter().all(tokio::task::JoinHandle::is_finished))
                .then_some(())
        })
        .await;
    }

    async fn end(self) -> BTreeMap<String, String> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("the buyer ends");
        }
        Arc::try_unwrap(self.accepted).expect("no buyer is left").into_inner()
    }
}

/// One wish: pressed under one key until it is answered for certain, as a client should.
async fn buy(
    shop: &Shop,
    bases: &Mutex<Vec<String>>,
    viewer: &str,
    body: &Value,
    accepted: &Mutex<BTreeMap<String, String>>,
    stop: &AtomicBool,
    turn: usize,
) {
    let key = Uuid::new_v4().to_string();
    for attempt in turn.. {
        let base = {
            let bases = bases.lock();
            bases[attempt % bases.len()].clone()
        };
        if let Ok(answer) = shop.order(&base, viewer, &key, body).await {
            match answer.status.as_u16() {
                202 => {
                    accepted.lock().insert(answer.id(), viewer.to_owned());
                    return;
                }
                409 if answer.code() != "idempotency_in_flight" => return,
                409 | 429 | 503 => {}
                _ => panic!("{answer:?}"),
            }
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A sale that all its buyers watch.
struct Sale {
    shop: Shop,
    spotlight: String,
    bases: Arc<Mutex<Vec<String>>>,
    sockets: Arc<Mutex<Vec<String>>>,
    witnesses: Witnesses,
}

impl Sale {
    async fn open(cluster: &Cluster, seller: &str) -> Self {
        let shop = Shop::new(seller, &cluster.secret);
        let broadcast = shop.live_broadcast(&cluster.url(0)).await;
        let spotlight =
            shop.spotlight(&cluster.url(0), &broadcast, &[("lamp", UNITS)], json!({})).await;
        let bases = Arc::new(Mutex::new(cluster.api.iter().map(Onair::url).collect()));
        let sockets: Vec<String> = cluster.api.iter().map(Onair::socket_url).collect();
        let sockets = Arc::new(Mutex::new(sockets));
        let mut witnesses = Witnesses::none();
        for n in 0..BUYERS {
            let viewer = format!("viewer-{n}");
            if n.is_multiple_of(OFFICIAL_EVERY) {
                // the first node is the one that no fault moves to another address
                let address = cluster.api[0].socket_url();
                witnesses.official(&shop, &viewer, &broadcast, &address).await;
            }
            let sockets = sockets.clone();
            witnesses.own(&shop, &viewer, &broadcast, move |attempt| {
                let sockets = sockets.lock();
                sockets[(n + usize::try_from(attempt).expect("small")) % sockets.len()].clone()
            });
        }
        witnesses.connected().await;
        Self { shop, spotlight, bases, sockets, witnesses }
    }

    fn moved(&self, cluster: &Cluster) {
        *self.bases.lock() = cluster.api.iter().map(Onair::url).collect();
        *self.sockets.lock() = cluster.api.iter().map(Onair::socket_url).collect();
    }

    /// Every accepted order ends; stock, log and feeds agree.
    async fn check(self, cluster: &Cluster, pool: &PgPool, load: Load, redis_lost: bool) {
        let accepted = load.end().await;
        let base = cluster.url(0);
        let mut ends = BTreeMap::new();
        for id in accepted.keys() {
            ends.insert(id.clone(), self.shop.ended_order(&base, id).await);
        }
        check_stock(&self.shop, &base, &self.spotlight, &ends_of(&self, &base).await).await;
        let (code, report) = cluster.verify().await;
        assert_eq!((code, &report["verdict"]), (0, &json!("good")), "{report:#}");
        if redis_lost {
            let guarded = ends.values().filter(|end| end["reason"] == "stock_guard").count();
            eprintln!("{guarded} of {} orders failed for stock after the loss", ends.len());
        } else {
            let all = ends_of(&self, &base).await;
            check_log(cluster, pool, &all).await;
        }
        self.witnesses.check(&accepted, &ends, redis_lost).await;
    }
}

/// All orders of the sale, ended: a press whose answer was lost may be accepted all the same.
async fn ends_of(sale: &Sale, base: &str) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/orders?spotlight_id={}&limit=200{cursor}", sale.spotlight);
        let page = sale.shop.read(base, &path).await.expect(200).body;
        for order in page["items"].as_array().expect("items") {
            let id = order["id"].as_str().expect("an id").to_owned();
            let ended = sale.shop.ended_order(base, &id).await;
            all.insert(id, ended);
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_is_killed_and_started_again() {
    let servers = Servers::shared().await;
    let mut cluster = Cluster::start(&servers, 3, 2).await;
    let pool = PgPool::connect(&servers.database).await.expect("connects");
    let sale = Sale::open(&cluster, "acme").await;
    let load = Load::start(&sale.shop, &sale.bases, &sale.spotlight);
    load.more(ORDERS_AROUND).await;
    for round in 0..5 {
        let victim = match round {
            0 => &mut cluster.writers[0],
            1 => &mut cluster.writers[1],
            2 => &mut cluster.relay,
            3 => &mut cluster.process,
            _ => &mut cluster.api[1],
        };
        victim.kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        victim.start().await;
        sale.moved(&cluster);
        load.more(ORDERS_AROUND).await;
    }
    sale.check(&cluster, &pool, load, false).await;
    cluster.stop().await;
}

fn copy_folder(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("runs cp").success(), "copies {}", from.display());
}

async fn redis_call(url: &str, command: &str) {
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connects");
    redis::cmd(command).exec_async(&mut connection).await.expect(command);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_emptied_restarted_and_rolled_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = OwnServers::start(&folder.path().join("servers"), &["redis"], &[]);
    let servers = Servers { redis: own.setting("ONAIR_REDIS"), ..Servers::shared().await };
    let mut cluster = Cluster::start(&servers, 3, 2).await;
    let pool = PgPool::connect(&servers.database).await.expect("connects");
    for fault in ["emptied", "restarted", "rolled back"] {
        let sale = Sale::open(&cluster, "acme").await;
        let load = Load::start(&sale.shop, &sale.bases, &sale.spotlight);
        load.more(ORDERS_AROUND).await;
        match fault {
            "emptied" => redis_call(&servers.redis, "FLUSHALL").await,
            "restarted" => {
                own.run(&["kill", "redis"]);
                own.run(&["restart", "redis"]);
            }
            _ => {
                redis_call(&servers.redis, "SAVE").await;
                let (data, older) = (own.data("redis"), folder.path().join("older"));
                copy_folder(&data, &older);
                load.more(ORDERS_AROUND).await;
                own.run(&["kill", "redis"]);
                std::fs::remove_dir_all(&data).expect("removes");
                copy_folder(&older, &data);
                own.run(&["restart", "redis"]);
            }
        }
        load.more(ORDERS_AROUND).await;
        sale.check(&cluster, &pool, load, true).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_stands_still_and_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = OwnServers::start(&folder.path().join("servers"), &["postgres"], &[]);
    let servers = Servers { database: own.setting("ONAIR_DATABASE"), ..Servers::shared().await };
    let mut cluster = Cluster::start(&servers, 3, 2).await;
    let pool = PgPool::connect(&servers.database).await.expect("connects");
    let sale = Sale::open(&cluster, "acme").await;
    let load = Load::start(&sale.shop, &sale.bases, &sale.spotlight);
    load.more(ORDERS_AROUND).await;
    own.stand_still("postgres", true);
    // an order is accepted by the gate and the log; the database only decides it
    load.more(ORDERS_AROUND).await;
    own.stand_still("postgres", false);
    load.more(ORDERS_AROUND).await;
    own.run(&["kill", "postgres"]);
    load.more(ORDERS_AROUND).await;
    own.run(&["restart", "postgres"]);
    load.more(ORDERS_AROUND).await;
    sale.check(&cluster, &pool, load, false).await;
    cluster.stop().await;
}
