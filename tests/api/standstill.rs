//! PostgreSQL stands still: it keeps its connections and answers nobody.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::cluster::{Cluster, OwnServers, Servers};
use crate::support::eventually;
use crate::support::shop::{Answer, Shop, order_of};

/// How long an answer may take then.
const ANSWERS_WITHIN: Duration = Duration::from_secs(8);
/// How long the processes may take to go on afterwards.
const GOES_ON_WITHIN: Duration = Duration::from_mins(1);

struct Show {
    shop: Shop,
    base: String,
    broadcast: String,
    spotlight: String,
    other: String,
}

impl Show {
    async fn call(&self, role: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let (token, key) = (self.shop.token(role, "somebody"), Uuid::new_v4().to_string());
        let started = Instant::now();
        let url = format!("{}{path}", self.base);
        let answer = self.shop.call(method, &url, &token, Some(&key), body).await;
        let answer = answer.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let took = started.elapsed();
        println!("{path}: {} {} after {took:?}", answer.status, answer.code());
        assert!(took < ANSWERS_WITHIN, "{path} took {took:?}");
        answer
    }

    async fn press(&self, viewer: &str, key: &str) -> Answer {
        let body = order_of(&self.spotlight, 1, &[("lamp", 1)], "sim_ok");
        self.shop.order(&self.base, viewer, key, &body).await.expect("answers")
    }

    /// Every route that reads or writes the store says that it cannot, and when to ask again.
    async fn all_routes(&self, order: &str) {
        let (broadcast, spotlight) = (&self.broadcast, &self.spotlight);
        for (role, path) in [
            ("host", "/v1/broadcasts".to_owned()),
            ("viewer", format!("/v1/broadcasts/{broadcast}")),
            ("viewer", format!("/v1/broadcasts/{broadcast}/spotlights")),
            ("viewer", format!("/v1/spotlights/{spotlight}")),
            ("host", format!("/v1/broadcasts/{broadcast}/metrics")),
            ("viewer", "/v1/orders".to_owned()),
            ("host", format!("/v1/orders/{}", Uuid::new_v4())),
        ] {
            away(&self.call(role, Method::GET, &path, None).await);
        }
        let empty = json!({});
        let more = json!({"sku": "lamp", "delta": 5, "reason": "found"});
        let show = json!({"title": "Late show", "currency": "KRW"});
        for (path, body) in [
            ("/v1/broadcasts".to_owned(), &show),
            (format!("/v1/broadcasts/{broadcast}/start"), &empty),
            (format!("/v1/broadcasts/{broadcast}/end"), &empty),
            (format!("/v1/broadcasts/{broadcast}/join"), &empty),
            (format!("/v1/broadcasts/{broadcast}/products/spotlight"), &empty),
            (format!("/v1/spotlights/{spotlight}/stock"), &more),
            (format!("/v1/spotlights/{spotlight}/open"), &empty),
            (format!("/v1/spotlights/{spotlight}/resume"), &empty),
            (format!("/v1/orders/{order}/cancel"), &empty),
        ] {
            away(&self.call("host", Method::POST, &path, Some(body)).await);
        }
        let ready = self.call("host", Method::GET, "/readyz", None).await;
        assert_eq!(ready.status, 503);
    }
}

#[track_caller]
fn away(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.header("retry-after").is_some(), "{}", answer.body);
    assert!(["unavailable", "decision_pending"].contains(&answer.code()), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_accepted_and_gates_narrowed_while_postgres_stands_still() {
    let dir = tempfile::tempdir().expect("a folder");
    let own = OwnServers::start(dir.path(), &["postgres"], &[]);
    let database = own.setting("ONAIR_DATABASE");
    let servers = Servers { database, ..Servers::shared().await };
    let mut cluster = Cluster::start(&servers, 1, 1).await;
    let base = cluster.url(0);
    let shop = Shop::new("acme", &cluster.secret);
    let broadcast = shop.live_broadcast(&base).await;
    let spotlight = shop.spotlight(&base, &broadcast, &[("lamp", 9)], json!({})).await;
    let other = shop.spotlight(&base, &broadcast, &[("lamp", 9)], json!({})).await;
    let show = Show { shop, base, broadcast, spotlight, other };
    let before = show.press("ana", "k1").await.expect(202).id();
    show.shop.ended_order(&show.base, &before).await;

    own.stand_still("postgres", true);
    let accepted = show.press("bob", "k1").await.expect(202).id();
    let again = show.press("bob", "k1").await.expect(202);
    assert_eq!(again.id(), accepted);
    let path = format!("/v1/orders/{accepted}");
    let read = show.call("host", Method::GET, &path, None).await.expect(200);
    assert_eq!(read.body["status"], "pending");
    show.all_routes(&accepted).await;
    // what narrows works at the gate, and says that its decision is not there yet
    let pause = format!("/v1/spotlights/{}/pause", show.spotlight);
    let paused = show.call("host", Method::POST, &pause, Some(&json!({}))).await;
    assert_eq!(paused.code(), "decision_pending", "{}", paused.body);
    assert_eq!(show.press("cat", "k1").await.expect(409).code(), "paused");
    let fewer = json!({"sku": "lamp", "delta": -9, "reason": "broken"});
    let stock = format!("/v1/spotlights/{}/stock", show.other);
    let reduced = show.call("host", Method::POST, &stock, Some(&fewer)).await;
    assert_eq!(reduced.code(), "decision_pending", "{}", reduced.body);
    let body = order_of(&show.other, 1, &[("lamp", 1)], "sim_ok");
    let refused = show.shop.order(&show.base, "cat", "k2", &body).await.expect("answers");
    assert_eq!(refused.expect(409).code(), "sold_out");
    let foreign = Show { shop: Shop::new("other", &cluster.secret), ..show };
    assert_eq!(foreign.call("host", Method::POST, &pause, Some(&json!({}))).await.status, 404);
    let show = Show { shop: Shop::new("acme", &cluster.secret), ..foreign };

    own.stand_still("postgres", false);
    let ended = show.shop.ended_order(&show.base, &accepted).await;
    assert_eq!(ended["status"], "confirmed");
    for (spotlight, member, value) in [
        (&show.spotlight, "/status", json!("paused")),
        (&show.other, "/inventory/lamp/limited_quantity", json!(0)),
    ] {
        let path = format!("/v1/spotlights/{spotlight}");
        eventually("the log has the narrowing", GOES_ON_WITHIN, async || {
            let shown = show.shop.read(&show.base, &path).await;
            (shown.body.pointer(member) == Some(&value)).then_some(())
        })
        .await;
    }
    assert_eq!(cluster.verify().await.0, 0);
    cluster.stop().await;
}
