//! A viewer is forgotten while a cluster serves: orders go on, and the name is nowhere any more.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Value as Reply};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::repairs::{Auditor, Rush, settled};
use crate::feed::client::Client;
use crate::support::cluster::{Cluster, Servers};
use crate::support::eventually;
use crate::support::shop::{Shop, order_of};

const WITHIN: Duration = Duration::from_mins(3);
/// Keys of Redis that are looked into at a time.
const SCANNED_AT_ONCE: usize = 200;
const BY: [&str; 7] =
    ["--apply", "--author", "kim", "--ticket", "DPO-9", "--reason", "asked to be forgotten"];

/// Whether some bytes of a reply hold a name, at whatever depth.
fn names(reply: &Reply, name: &str) -> bool {
    let holds = |bytes: &[u8]| bytes.windows(name.len()).any(|part| part == name.as_bytes());
    match reply {
        Reply::BulkString(bytes) => holds(bytes),
        Reply::SimpleString(text) => holds(text.as_bytes()),
        Reply::Array(parts) | Reply::Set(parts) => parts.iter().any(|part| names(part, name)),
        Reply::Map(parts) => parts.iter().any(|(key, it)| names(key, name) || names(it, name)),
        _ => false,
    }
}

/// The command that reads what lies under a key of a type; `None` where it went meanwhile.
fn reads(kind: &str, key: &str) -> Option<redis::Cmd> {
    let (command, range): (_, &[&str]) = match kind {
        "string" => ("GET", &[]),
        "hash" => ("HGETALL", &[]),
        "list" => ("LRANGE", &["0", "-1"]),
        "set" => ("SMEMBERS", &[]),
        "zset" => ("ZRANGE", &["0", "-1"]),
        "stream" => ("XRANGE", &["-", "+"]),
        _ => return None,
    };
    let mut read = redis::cmd(command);
    read.arg(key).arg(range);
    Some(read)
}

/// The keys of a Redis that name somebody, in the key or in what lies under it.
async fn keys_naming(link: &mut MultiplexedConnection, name: &str) -> Vec<String> {
    let (mut found, mut cursor) = (vec![], 0_u64);
    loop {
        let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("COUNT")
            .arg(SCANNED_AT_ONCE)
            .query_async(link)
            .await
            .expect("scans");
        let mut types = redis::pipe();
        for key in &keys {
            types.cmd("TYPE").arg(key);
        }
        let types: Vec<String> = types.query_async(link).await.expect("have types");
        let (mut asked, mut all) = (vec![], redis::pipe());
        for (key, kind) in keys.into_iter().zip(&types) {
            if let Some(read) = reads(kind, &key) {
                all.add_command(read);
                asked.push(key);
            }
        }
        let replies: Vec<Reply> = all.query_async(link).await.expect("reads");
        let named = asked.into_iter().zip(&replies);
        found.extend(
            named.filter(|(key, it)| key.contains(name) || names(it, name)).map(|(key, _)| key),
        );
        cursor = next;
        if cursor == 0 {
            found.sort();
            return found;
        }
    }
}

/// The tables of a database that name somebody, as text or as bytes.
async fn tables_naming(pool: &PgPool, name: &str) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    )
    .fetch_all(pool)
    .await
    .expect("lists");
    let hex = hex::encode(name);
    let mut found = vec![];
    for table in tables {
        let rows: i64 = sqlx::query_scalar(&format!(
            "SELECT count(*) FROM {table} AS t
             WHERE strpos(t::text, $1) > 0 OR strpos(t::text, $2) > 0"
        ))
        .bind(name)
        .bind(&hex)
        .fetch_one(pool)
        .await
        .expect("counts");
        if rows > 0 {
            found.push(table);
        }
    }
    found.sort();
    found
}

struct Scene {
    shop: Shop,
    base: String,
    broadcast: String,
    spotlight: String,
    auditor: Auditor,
    pool: PgPool,
    link: MultiplexedConnection,
    /// Who is forgotten.
    name: String,
}

impl Scene {
    async fn open(servers: &Servers, cluster: &Cluster) -> Self {
        let shop = Shop::new("acme", &cluster.secret);
        let base = cluster.url(0);
        let hook = json!({"url": "https://shop.invalid/hook", "events": ["order.confirmed"]});
        shop.host(&base, Method::POST, "/v1/webhook-endpoints", &hook).await.expect(201);
        let broadcast = shop.live_broadcast(&base).await;
        let spotlight = shop.spotlight(&base, &broadcast, &[("lamp", 100_000)], json!({})).await;
        let client = redis::Client::open(servers.redis.as_str()).expect("an address");
        Self {
            auditor: Auditor::new(cluster.dir.path(), &cluster.settings),
            pool: PgPool::connect(&servers.database).await.expect("connects"),
            link: client
                .get_multiplexed_async_connection_with_config(
                    &AsyncConnectionConfig::new().set_response_timeout(Some(WITHIN)),
                )
                .await
                .expect("connects"),
            name: format!("ana-{}", Uuid::new_v4().simple()),
            shop,
            base,
            broadcast,
            spotlight,
        }
    }

    async fn post(&self, path: &str, body: &Value) -> crate::support::shop::Answer {
        let token = self.shop.token("viewer", &self.name);
        eventually("an answer", WITHIN, async || {
            let url = format!("{}{path}", self.base);
            let sent = self.shop.call(Method::POST, &url, &token, None, Some(body)).await;
            sent.ok().filter(|answer| answer.status != 503)
        })
        .await
    }

    /// What the person does in the show: watches, talks, buys, waits for what is sold out.
    async fn live_through(&self) -> (String, String) {
        let token = self.shop.token("viewer", &self.name);
        let socket = format!("{}/connection/websocket", self.base.replacen("http", "ws", 1));
        let mut client = Client::at(&socket).await;
        let reply = client.connect(&token, json!({"broadcast": self.broadcast})).await;
        assert!(reply["connect"].is_object(), "{reply}");
        let said = json!({"broadcast": self.broadcast, "message": "is it heavy?"});
        assert!(client.call("chat.send", said).await["id"].is_string());
        let mut body = order_of(&self.spotlight, 1, &[("lamp", 1)], "sim_ok");
        body["reference"] = json!(format!("cart of {}", self.name));
        body["metadata"] = json!({"door": self.name});
        let order = self.shop.order_again(&self.base, &self.name, "k", &body).await;
        let order = order.expect(202).id();
        assert_eq!(self.shop.ended_order(&self.base, &order).await["status"], "confirmed");
        let last =
            self.shop.spotlight(&self.base, &self.broadcast, &[("vase", 1)], json!({})).await;
        let body = order_of(&last, 1, &[("vase", 1)], "sim_ok");
        let taken = self.shop.order_again(&self.base, "bora", "k", &body).await.expect(202).id();
        let lines = json!({"lines": [{"sku": "vase", "quantity": 1}]});
        self.post(&format!("/v1/spotlights/{last}/waitlist"), &lines).await.expect(202);
        self.shop.ended_order(&self.base, &taken).await;
        (order, last)
    }

    async fn shred(&self, code: i32, more: &[&str]) -> Value {
        let all = [&["shred"], more, &["--seller", &self.shop.seller]].concat();
        self.auditor.run(code, &all).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_is_forgotten_while_orders_go_on() {
    let servers = Servers::shared().await;
    let mut cluster = Cluster::start(&servers, 1, 1).await;
    let mut scene = Scene::open(&servers, &cluster).await;
    let rush = Rush::start(&scene.shop, &scene.base, &scene.spotlight);
    let (order, last) = scene.live_through().await;
    let (name, pool) = (scene.name.clone(), scene.pool.clone());
    // everything that will name the person does: each copy is really there before it is taken away
    let copies = ["chat_log", "order_book", "waitlist", "webhook_deliveries"];
    eventually("every copy is there", WITHIN, async || {
        (tables_naming(&pool, &name).await == copies).then_some(())
    })
    .await;
    let before = keys_naming(&mut scene.link, &name).await;
    for part in ["order:", "user#", "chat:"] {
        assert!(before.iter().any(|key| key.contains(part)), "{part} in {before:?}");
    }
    let key = scene.auditor.dir.join("seal.key");
    std::fs::write(&key, "03".repeat(32)).expect("writes");
    scene.auditor.run(0, &["seal", "--key-file", &key.display().to_string()]).await;

    // who waits in line is to be told how it ends
    let told = scene.shred(1, &[&[name.as_str()], &BY[..]].concat()).await;
    assert_eq!((&told["applied"], &told["waiting"]), (&json!(false), &json!([last])), "{told:#}");
    let path = format!("/v1/spotlights/{last}/waitlist");
    let token = scene.shop.token("viewer", &name);
    let url = format!("{}{path}", scene.base);
    eventually("leaves the line", WITHIN, async || {
        let left = scene.shop.call(Method::DELETE, &url, &token, None, None).await.ok()?;
        left.status.is_success().then_some(())
    })
    .await;
    eventually("has left the line", WITHIN, async || {
        let told = scene.shred(0, &[&name]).await;
        (told["waiting"] == json!([])).then_some(())
    })
    .await;

    rush.go_on().await;
    let told = scene.shred(0, &[&[name.as_str()], &BY[..]].concat()).await;
    assert_eq!((&told["applied"], &told["log"]["readable"]), (&json!(true), &json!(0)), "{told:#}");
    assert_eq!(told["redis"]["accepted_orders_forgotten"], 1, "{told:#}");
    assert!(told["redis"]["channels_forgotten"].as_u64() >= Some(3), "{told:#}");
    // the log has the sealed bytes, and nothing else has anything
    assert_eq!(keys_naming(&mut scene.link, &name).await, Vec::<String>::new());
    assert_eq!(tables_naming(&scene.pool, &name).await, Vec::<String>::new());
    scene.shred(0, &["verify", &name]).await;
    let order = scene.shop.read(&scene.base, &format!("/v1/orders/{order}")).await.expect(200).body;
    assert_eq!((&order["status"], &order["viewer"]), (&json!("confirmed"), &Value::Null));
    // others are untouched, and orders go on
    rush.go_on().await;
    rush.stop().await;
    settled(&scene.auditor).await;
    scene.shred(1, &["verify", "bora"]).await;
    assert_eq!(tables_naming(&scene.pool, &name).await, Vec::<String>::new());
    assert_eq!(keys_naming(&mut scene.link, &name).await, Vec::<String>::new());
    let (code, report) = cluster.verify().await;
    assert_eq!((code, &report["verdict"]), (0, &json!("good")), "{report:#}");
    for (at, id) in [(6, "I7"), (7, "I8"), (10, "I11")] {
        let invariant = &report["invariants"][at];
        assert_eq!(invariant["id"], id);
        assert!(invariant["checked"].as_u64() > Some(0), "{invariant:#}");
    }
    cluster.stop().await;
}
