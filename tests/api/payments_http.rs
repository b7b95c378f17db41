//! Orders that a shop's own payment service pays: the one of `examples/`, as a process of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::process::Onair;
use crate::support::shop::{Shop, order_of as shop_order};

use super::server::{PAYMENT_KEY, SECRET, Server, WEBHOOK_SECRETS, host, order_of, viewer};

const WITHIN: Duration = Duration::from_secs(20);

/// The example's process; killed when it is dropped.
struct Service {
    process: tokio::process::Child,
    address: String,
}

impl Service {
    async fn start(webhook: Option<&str>) -> Self {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/payment_service.py");
        let mut command = tokio::process::Command::new("python3");
        command.arg(example).args(["--key", PAYMENT_KEY, "--port", "0"]);
        if let Some(url) = webhook {
            let secret = std::str::from_utf8(WEBHOOK_SECRETS[0]).expect("a text");
            command.args(["--webhook", url, "--webhook-secret", secret]);
        }
        let mut process =
            command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("python3 runs");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let address = lines.next_line().await.expect("reads").expect("its address");
        Self { process, address }
    }

    /// A server whose orders it pays.
    async fn server(&self) -> Server {
        let url = self.address.clone();
        Server::start_with(|config| {
            "http".clone_into(&mut config.payments);
            config.payment.url = Some(url);
        })
        .await
    }
}

async fn ordered(server: &Server, spotlight: &str, key: &str, method: Value) -> String {
    let mut body = order_of(spotlight, 1);
    body["payment_method"] = method;
    server.order(&viewer("ana"), key, &body).await.expect(202).id()
}

async fn until(server: &Server, order: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + WITHIN;
    loop {
        let shown = server.get(&format!("/v1/orders/{order}"), &viewer("ana")).await.expect(200);
        if is(&shown.body) {
            return shown.body;
        }
        assert!(Instant::now() < end, "not {what}: {}", shown.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shops_own_service_pays_declines_and_gives_back() {
    let mut service = Service::start(None).await;
    let server = service.server().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 9, json!({})).await;

    let paid = ordered(&server, &spotlight, "paid", Value::Null).await;
    let body = json!({"method": "card"});
    server.post(&format!("/v1/orders/{paid}/payment"), &viewer("ana"), &body).await.expect(202);
    let paid = server.ended(&paid).await;
    assert_eq!(paid["status"], "confirmed");
    assert_eq!(paid["payment"]["provider"], "http");
    let refund = format!("/v1/orders/{}/refund", paid["id"].as_str().expect("an id"));
    server.post(&refund, &host(), &json!({"reason": "broken"})).await.expect(202);
    let id = paid["id"].as_str().expect("an id");
    until(&server, id, "refunded", |order| order["status"] == "refunded").await;

    let declined = ordered(&server, &spotlight, "declined", json!("declined")).await;
    let declined = server.ended(&declined).await;
    assert_eq!(
        (&declined["status"], &declined["reason"]),
        (&json!("failed"), &json!("payment_declined"))
    );

    let again = ordered(&server, &spotlight, "again", json!("insufficient_funds")).await;
    until(&server, &again, "declined", |order| order["payment"]["retryable"] == true).await;
    let body = json!({"method": "other-card"});
    server.post(&format!("/v1/orders/{again}/payment"), &viewer("ana"), &body).await.expect(202);
    assert_eq!(server.ended(&again).await["status"], "confirmed");

    let bad = json!({"method": "a card"});
    let path = format!("/v1/orders/{again}/payment");
    let refused = server.post(&path, &viewer("ana"), &bad).await.expect(422);
    assert_eq!(refused.pointers(), ["/method"]);

    // a service that is gone loses no order: it is asked again, never charged twice
    service.process.kill().await.expect("kills");
    let lost = ordered(&server, &spotlight, "lost", json!("card")).await;
    until(&server, &lost, "unknown", |order| order["payment"]["status"] == "unknown").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_who_has_to_act_is_told_where_and_pays_inside_the_hold() {
    let service = Service::start(None).await;
    let server = service.server().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 2, json!({})).await;
    let order = ordered(&server, &spotlight, "k", json!("redirect")).await;
    let waits =
        until(&server, &order, "waiting", |order| order["payment"]["status"] == "requires_action")
            .await;
    assert_eq!(waits["status"], "reserved");
    let action = &waits["payment"]["next_action"];
    assert_eq!(action["type"], "redirect");
    // whoever else may read the order is not shown what its buyer has to do
    let seen = server.get(&format!("/v1/orders/{order}"), &host()).await.expect(200);
    assert_eq!(seen.body["payment"]["next_action"], Value::Null);
    let page = action["url"].as_str().expect("an address").to_owned();
    assert!(page.starts_with(&service.address), "{page}");
    let opened = reqwest::get(page).await.expect("answers");
    assert!(opened.status().is_success());
    let paid = server.ended(&order).await;
    assert_eq!((&paid["status"], &paid["payment"]["attempts"]), (&json!("confirmed"), &json!(1)));
    assert_eq!(paid["payment"]["next_action"], Value::Null);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_tells_by_a_signed_webhook_what_became_of_a_payment() {
    let server = Server::start().await;
    let url = format!("{}/v1/payments/http/webhook", server.base);
    let service = Service::start(Some(&url)).await;
    // a webhook of a provider that is not configured is forged
    let body = json!({"type": "payment.result"});
    server
        .send(server.request(&Method::POST, "/v1/payments/http/webhook").json(&body))
        .await
        .problem(401, "signature_invalid");
    let address = service.address.clone();
    let server = server
        .restart_with(|config| {
            "http".clone_into(&mut config.payments);
            config.payment.url = Some(address);
        })
        .await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 2, json!({})).await;
    let order = ordered(&server, &spotlight, "k", json!("redirect")).await;
    until(&server, &order, "waiting", |order| order["payment"]["status"] == "requires_action")
        .await;
    let event = json!({"type": "payment.result", "timestamp": "2026-01-01T00:00:00Z", "data": {
        "order_id": order, "attempt": 1,
        "result": {"outcome": "declined", "kind": "hard", "code": "abandoned"}}})
    .to_string();
    let at = super::server::now().to_string();
    let signature =
        ::api::payments::signature::sign(WEBHOOK_SECRETS[0], "e-1", &at, event.as_bytes());
    let told = server
        .request(&Method::POST, "/v1/payments/http/webhook")
        .header("webhook-id", "e-1")
        .header("webhook-timestamp", at)
        .header("webhook-signature", signature)
        .body(event);
    server.send(told).await.expect(204);
    let failed = server.ended(&order).await;
    assert_eq!(
        (&failed["status"], &failed["reason"]),
        (&json!("failed"), &json!("payment_declined"))
    );
    server.stop().await;
}

/// The production profile refuses the simulated provider; with a shop's own service it starts.
#[tokio::test(flavor = "multi_thread")]
async fn production_starts_with_a_shops_own_service() {
    let service = Service::start(None).await;
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("writes");
        path.display().to_string()
    };
    let settings = [
        ("ONAIR_PROFILE", "production".to_owned()),
        ("ONAIR_PAYMENTS", "http".to_owned()),
        ("ONAIR_PAYMENT_URL", service.address.clone()),
        ("ONAIR_PAYMENT_KEY_FILE", file("key", PAYMENT_KEY.as_bytes())),
        ("ONAIR_AUTH_HS256_SECRET_FILE", file("secret", SECRET)),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let mut onair = Onair::new("production", dir.path(), "", &settings);
    onair.start().await;
    let shop = Shop::new("acme", SECRET);
    let broadcast = shop.live_broadcast(&onair.url()).await;
    let spotlight = shop.spotlight(&onair.url(), &broadcast, &[("a", 1)], json!({})).await;
    let order = shop_order(&spotlight, 1, &[("a", 1)], "card");
    let order = shop.order_again(&onair.url(), "ana", "k", &order).await.expect(202).id();
    assert_eq!(shop.ended_order(&onair.url(), &order).await["status"], "confirmed");
    onair.stop().await;
}
