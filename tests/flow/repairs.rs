//! Read models are built again and swapped while orders run; what was damaged is found and repaired.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use domain::repair::Repair;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::cluster::{Cluster, Servers};
use crate::support::eventually;
use crate::support::process::{self, Onair};
use crate::support::shop::{Shop, order_of};

/// Buyers under load.
const BUYERS: usize = 8;
/// Units of the sale.
const UNITS: u32 = 100_000;
/// Orders between two of the auditor's commands.
const ORDERS_BETWEEN: usize = 20;
/// How long something may take.
const WITHIN: Duration = Duration::from_mins(3);
/// Who repairs, where that was agreed, and why.
const ACCOUNT: [&str; 7] =
    ["--apply", "--author", "kim", "--ticket", "OPS-7", "--reason", "found by the nightly run"];

pub(super) struct Auditor {
    pub(super) dir: std::path::PathBuf,
    settings: Vec<(String, String)>,
}

impl Auditor {
    pub(super) fn new(dir: &Path, settings: &[(String, String)]) -> Self {
        Self { dir: dir.to_owned(), settings: settings.to_vec() }
    }

    /// `onair replay … --json`, which must end so.
    pub(super) async fn run(&self, code: i32, arguments: &[&str]) -> Value {
        let all = [&["replay"], arguments, &["--json"]].concat();
        let (ended, out, errors) = process::run_again(&self.dir, &self.settings, &all).await;
        assert_eq!(ended, code, "{arguments:?}: {out}{errors}");
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{arguments:?}: {out}{errors}"))
    }
}

/// Buyers that order until they are told to stop.
pub(super) struct Rush {
    stop: Arc<AtomicBool>,
    orders: Arc<AtomicUsize>,
    buyers: Vec<tokio::task::JoinHandle<()>>,
}

impl Rush {
    pub(super) fn start(shop: &Shop, base: &str, spotlight: &str) -> Self {
        let (stop, orders) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let buyers = (0..BUYERS)
            .map(|n| {
                let (shop, base, stop, orders) =
                    (shop.clone(), base.to_owned(), stop.clone(), orders.clone());
                let methods = ["sim_ok", "sim_decline_hard"];
                let body = order_of(spotlight, 1, &[("lamp", 1)], methods[n % 2]);
                tokio::task::spawn(async move {
                    let mut round = n;
                    while !stop.load(Ordering::Relaxed) {
                        round += BUYERS;
                        let key = Uuid::new_v4().to_string();
                        let viewer = format!("viewer-{round}");
                        let answer = shop.order(&base, &viewer, &key, &body).await;
                        let answer = answer.expect("an answer");
                        assert!([202, 503].contains(&answer.status.as_u16()), "{answer:?}");
                        orders.fetch_add(usize::from(answer.status == 202), Ordering::Relaxed);
                        // what is accepted can be read at once, whatever is swapped meanwhile
                        if answer.status == 202 {
                            shop.read(&base, &format!("/v1/orders/{}", answer.id()))
                                .await
                                .expect(200);
                        }
                    }
                })
            })
            .collect();
        Self { stop, orders, buyers }
    }

    /// Lets some more orders come.
    pub(super) async fn go_on(&self) {
        let until = self.orders.load(Ordering::Relaxed) + ORDERS_BETWEEN;
        eventually("orders go on", WITHIN, async || {
            (self.orders.load(Ordering::Relaxed) >= until).then_some(())
        })
        .await;
    }

    pub(super) async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for buyer in self.buyers {
            buyer.await.expect("the buyer ends");
        }
    }
}

/// Both read models are built aside, swapped, rolled back and swapped again, while orders run.
async fn swap_everything(auditor: &Auditor, rush: &Rush) {
    for model in ["order_book", "sales_board", "unmet_demand", "waitlist"] {
        rush.go_on().await;
        auditor.run(0, &["rebuild", model, "--shadow", "--jobs", "2"]).await;
        rush.go_on().await;
        let found = auditor.run(0, &["compare", model]).await;
        assert_eq!(found["equal"], true, "{found:#}");
        auditor.run(0, &["swap", model]).await;
        rush.go_on().await;
        auditor.run(0, &["rollback", model]).await;
        rush.go_on().await;
        auditor.run(0, &["rebuild", model]).await;
    }
    rush.go_on().await;
}

/// Waits until no hold is open and the read models have everything.
pub(super) async fn settled(auditor: &Auditor) {
    eventually("everything has ended", WITHIN, async || {
        let look = auditor.run(0, &["watch", "--count", "1"]).await;
        let done = ["holds", "order_book_lag", "sales_board_lag", "events"];
        done.iter().all(|name| look[name] == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_file_read_models_are_swapped_while_orders_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = Uuid::new_v4().simple().to_string();
    let secret_file = dir.path().join("auth.secret");
    std::fs::write(&secret_file, &secret).expect("writes the secret");
    let witness = dir.path().join("witness");
    let key = dir.path().join("seal.key");
    std::fs::write(&key, "07".repeat(32)).expect("writes the key");
    let settings: Vec<(String, String)> = [
        ("ONAIR_DATABASE", format!("sqlite://{}/onair.db", dir.path().display())),
        ("ONAIR_AUTH_HS256_SECRET_FILE", secret_file.display().to_string()),
        ("ONAIR_SEAL_KEY_FILE", key.display().to_string()),
        ("ONAIR_SEAL_EVERY_SECONDS", "1".to_owned()),
        ("ONAIR_SEAL_WITNESS_FOLDER", witness.display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let mut server = Onair::new("onair", dir.path(), "", &settings);
    server.start().await;
    let shop = Shop::new("acme", secret.as_bytes());
    let broadcast = shop.live_broadcast(&server.url()).await;
    let spotlight = shop.spotlight(&server.url(), &broadcast, &[("lamp", UNITS)], json!({})).await;
    let auditor = Auditor::new(dir.path(), &settings);
    let rush = Rush::start(&shop, &server.url(), &spotlight);
    swap_everything(&auditor, &rush).await;
    rush.stop().await;
    settled(&auditor).await;
    let equal = auditor.run(0, &["reconcile", "readmodels"]).await;
    assert_eq!(equal["repaired"], 0);
    server.stop().await;
    // the server sealed while it ran, and somebody else knows
    let kept = witness.display().to_string();
    let report = auditor.run(0, &["verify", "--witness", &kept]).await;
    assert_eq!(report["verdict"], "good", "{report:#}");
    let seals = report["invariants"].as_array().expect("a list");
    let seals = seals.iter().find(|invariant| invariant["id"] == "I11").expect("I11");
    assert!(seals["checked"].as_u64().expect("a number") > 0, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_what_was_damaged_is_found_and_repaired() {
    let servers = Servers::shared().await;
    let mut cluster = Cluster::start(&servers, 1, 1).await;
    let shop = Shop::new("acme", &cluster.secret);
    let base = cluster.url(0);
    let broadcast = shop.live_broadcast(&base).await;
    let spotlight = shop.spotlight(&base, &broadcast, &[("lamp", UNITS)], json!({})).await;
    let auditor = Auditor::new(cluster.dir.path(), &cluster.settings);
    let rush = Rush::start(&shop, &base, &spotlight);
    swap_everything(&auditor, &rush).await;
    rush.stop().await;
    settled(&auditor).await;
    auditor.run(0, &["reconcile", "readmodels"]).await;
    let topic = auditor.run(0, &["reconcile", "kafka"]).await;
    assert_eq!(topic["topic"]["last"], topic["head"], "{topic:#}");
    auditor.run(0, &["reconcile", "redis"]).await;
    wrong_screen(&auditor, &servers, &broadcast).await;
    damaged_gate(&auditor, &servers, &spotlight).await;
    paid_for_nothing(&auditor, &shop, &base, &spotlight).await;
    let (code, report) = cluster.verify().await;
    assert_eq!((code, &report["verdict"]), (0, &json!("good")), "{report:#}");
    cluster.stop().await;
}

/// Viewers are shown another title; what the log says is shown again.
async fn wrong_screen(auditor: &Auditor, servers: &Servers, broadcast: &str) {
    let client = redis::Client::open(servers.redis.as_str()).expect("an address");
    let mut link = client.get_multiplexed_async_connection().await.expect("connects");
    let key = format!("onair:feed:{{live:{broadcast}}}:state");
    let mut title = redis::cmd("HGET");
    title.arg(&key).arg("/broadcast/title");
    let right: String = title.query_async(&mut link).await.expect("is shown");
    assert_eq!(right, "\"Friday show\"");
    let mut damage = redis::cmd("HSET");
    damage.arg(&key).arg("/broadcast/title").arg("\"Monday show\"");
    damage.query_async::<i64>(&mut link).await.expect("is damaged");
    let shown = auditor.run(0, &["rebuild", "viewer_feed", broadcast]).await;
    assert_eq!(shown["shown"], 2, "the broadcast and its spotlight");
    let again: String = title.query_async(&mut link).await.expect("is shown");
    assert_eq!(again, right);
}

/// A unit vanishes from the gate; the repair is in the log under its author's name.
async fn damaged_gate(auditor: &Auditor, servers: &Servers, spotlight: &str) {
    let client = redis::Client::open(servers.redis.as_str()).expect("an address");
    let mut link = client.get_multiplexed_async_connection().await.expect("connects");
    let key = format!("gate:{{{spotlight}}}:s");
    let mut damage = redis::cmd("HINCRBY");
    damage.arg(key).arg("ulamp").arg(-1);
    damage.query_async::<i64>(&mut link).await.expect("is damaged");
    let report = auditor.run(1, &["verify"]).await;
    let gate = &report["invariants"][6];
    assert_eq!((&gate["id"], &gate["violations_total"]), (&json!("I7"), &json!(1)), "{gate:#}");
    let found = auditor.run(1, &["reconcile", "redis"]).await;
    assert_eq!(found["differences"][0]["spotlight"], *spotlight, "{found:#}");
    let found = auditor.run(0, &[&["reconcile", "redis"][..], &ACCOUNT].concat()).await;
    assert_eq!(found["repaired"], json!([spotlight]), "{found:#}");
    let found = auditor.run(0, &["reconcile", "redis"]).await;
    assert_eq!(found["differences"], json!([]), "{found:#}");
    let pool = PgPool::connect(&servers.database).await.expect("connects");
    let subject: String = sqlx::query_scalar(
        "SELECT metadata->>'subject' FROM events WHERE event_type = 'GateReopened' \
         ORDER BY position DESC LIMIT 1",
    )
    .fetch_one(&pool)
    .await
    .expect("was reopened");
    let actor = domain::actor::Actor { role: domain::actor::Role::Admin, subject: Some(subject) };
    assert_eq!(Repair::of(&actor).expect("a repair").ticket, "OPS-7");
}

/// The provider took money for an order that it had refused: the buyer gets it back.
async fn paid_for_nothing(auditor: &Auditor, shop: &Shop, base: &str, spotlight: &str) {
    let body = order_of(spotlight, 1, &[("lamp", 1)], "sim_decline_hard");
    let order = shop.order(base, "dana", "k", &body).await.expect("an answer").expect(202).id();
    assert_eq!(shop.ended_order(base, &order).await["status"], "failed");
    let mut books = String::new();
    let mut path = "/v1/orders?limit=200".to_owned();
    loop {
        let page = shop.read(base, &path).await.expect(200).body;
        for item in page["items"].as_array().expect("a list") {
            if item["status"] == "confirmed" || item["id"] == *order {
                let entry = json!({
                    "order_id": item["id"], "attempt": item["payment"]["attempts"],
                    "status": "captured", "amount": item["total"],
                });
                books.push_str(&entry.to_string());
                books.push('\n');
            }
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/orders?limit=200&cursor={cursor}");
    }
    let file = auditor.dir.join("books.ndjson");
    std::fs::write(&file, books).expect("writes");
    let file = file.display().to_string();
    let psp = ["reconcile", "psp", "--books", &file];
    settled(auditor).await;
    let found = auditor.run(1, &psp).await;
    let differences = found["books"]["differences"].as_array().expect("a list");
    assert_eq!((differences.len(), &differences[0]["order_id"]), (1, &json!(order)), "{found:#}");
    let found = auditor.run(0, &[&psp[..], &ACCOUNT].concat()).await;
    assert_eq!(found["told"], 1, "{found:#}");
    eventually("the money goes back", WITHIN, async || {
        let order = shop.read(base, &format!("/v1/orders/{order}")).await.expect(200).body;
        (order["payment"]["status"] == "refunded").then_some(())
    })
    .await;
}
