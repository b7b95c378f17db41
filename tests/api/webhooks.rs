//! What a payment provider tells, as the server takes it in.

use std::sync::Arc;
use std::time::Duration;

use ::api::payments::WEBHOOK_BODY_MAX_BYTES;
use ::api::payments::signature::sign;
use commands::clock::SystemClock;
use commands::store::{StoreOptions, open_reader};
use domain::event::StreamId;
use domain::ids::{OrderId, SellerId, SpotlightId, ViewerId};
use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Answer, SELLER, Server, WEBHOOK_SECRETS, host, now, order_of, viewer};
use crate::support::eventually;

struct Hook<'a> {
    secret: &'a [u8],
    id: &'a str,
    at: i64,
    provider: &'a str,
}

impl Hook<'_> {
    fn good(id: &str) -> Hook<'_> {
        Hook { secret: WEBHOOK_SECRETS[0], id, at: now(), provider: "simulated" }
    }

    async fn tell(&self, server: &Server, body: &str) -> Answer {
        let at = self.at.to_string();
        let signature = sign(self.secret, self.id, &at, body.as_bytes());
        self.tell_as(server, body, &signature).await
    }

    async fn tell_as(&self, server: &Server, body: &str, signature: &str) -> Answer {
        let path = format!("/v1/payments/{}/webhook", self.provider);
        let request = server
            .request(&Method::POST, &path)
            .header("webhook-id", self.id)
            .header("webhook-timestamp", self.at.to_string())
            .header("webhook-signature", signature)
            .header("content-type", "application/json")
            .body(body.to_owned());
        server.send(request).await
    }
}

fn told(order: &str, result: &Value) -> String {
    let data = json!({"order_id": order, "attempt": 1, "result": result});
    json!({"type": "payment.result", "timestamp": "2026-01-01T00:00:00Z", "data": data}).to_string()
}

fn captured(minor: i64) -> Value {
    json!({"outcome": "captured", "amount": {"minor": minor, "currency": "KRW"}})
}

/// An order whose provider does not answer by itself.
async fn silent(server: &Server) -> String {
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 2, json!({})).await;
    silent_on(server, &spotlight).await
}

async fn silent_on(server: &Server, spotlight: &str) -> String {
    let mut body = order_of(spotlight, 1);
    body["payment_method"] = json!("sim_never");
    let order = server.order(&viewer("ana"), "k", &body).await.expect(202).id();
    eventually("its payment is unknown", Duration::from_secs(20), async || {
        let shown = server.get(&format!("/v1/orders/{order}"), &viewer("ana")).await.expect(200);
        (shown.body["payment"]["status"] == "unknown").then_some(())
    })
    .await;
    order
}

/// The types of the events of an order, in order.
async fn story(server: &Server, order: OrderId) -> Vec<String> {
    let options = StoreOptions::new(Arc::new(SystemClock));
    let reader = open_reader(server.database(), &options).await.expect("opens");
    let events = reader.load(&StreamId::of_order(order)).await.expect("reads");
    events.iter().map(|recorded| recorded.event.event_type()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_webhook_confirms_once_however_often_it_is_told() {
    let server = Server::start().await;
    let order = silent(&server).await;
    let body = told(&order, &captured(19_900));
    // the second secret is as good as the first, while one is rotated
    let rotated = Hook { secret: WEBHOOK_SECRETS[1], ..Hook::good("evt-1") };
    assert_eq!(rotated.tell(&server, &body).await.expect(204).body, json!(""));
    for _ in 0..3 {
        Hook::good("evt-1").tell(&server, &body).await.expect(204);
    }
    // told late, out of order, and under another id
    let declined = json!({"outcome": "declined", "kind": "hard", "code": "no"});
    Hook::good("evt-0").tell(&server, &told(&order, &declined)).await.expect(204);
    Hook::good("evt-2").tell(&server, &body).await.expect(204);
    let ended = server.ended(&order).await;
    assert_eq!(ended["status"], "confirmed");
    assert_eq!(ended["payment"]["status"], "captured");
    let version = ended["version"].clone();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let shown = server.get(&format!("/v1/orders/{order}"), &viewer("ana")).await.expect(200);
    assert_eq!(shown.body["version"], version, "nothing more came of the repeats");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_is_refused_before_it_is_read() {
    let server = Server::start().await;
    let order = silent(&server).await;
    let body = told(&order, &captured(19_900));
    let good = Hook::good("evt-1");
    let bare = server.request(&Method::POST, "/v1/payments/simulated/webhook").body(body.clone());
    server.send(bare).await.problem(401, "signature_invalid");
    for forged in [
        Hook { secret: b"another secret", ..Hook::good("evt-1") },
        Hook { at: now() - 301, ..Hook::good("evt-1") },
        Hook { at: now() + 330, ..Hook::good("evt-1") },
        Hook { provider: "stripe", ..Hook::good("evt-1") },
    ] {
        forged.tell(&server, &body).await.problem(401, "signature_invalid");
    }
    let of_another = sign(good.secret, good.id, &good.at.to_string(), b"{}");
    good.tell_as(&server, &body, &of_another).await.problem(401, "signature_invalid");
    good.tell_as(&server, "not even JSON", &of_another).await.problem(401, "signature_invalid");
    // signed, and yet of no use
    good.tell(&server, "{}").await.problem(400, "malformed_request");
    let large = " ".repeat(WEBHOOK_BODY_MAX_BYTES + 1);
    good.tell(&server, &large).await.problem(413, "body_too_large");
    let whole = format!("{body}{}", " ".repeat(WEBHOOK_BODY_MAX_BYTES - body.len()));
    let shown = server.get(&format!("/v1/orders/{order}"), &viewer("ana")).await.expect(200);
    assert_eq!(shown.body["status"], "reserved", "nobody believed any of it");
    good.tell(&server, &whole).await.expect(204);
    assert_eq!(server.ended(&order).await["status"], "confirmed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_its_order_it_is_to_be_told_again_and_then_decides_once() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 2, json!({})).await;
    // what the order will be called follows from who presses, where, and under which key
    let (seller, ana) = (SellerId::try_new(SELLER), ViewerId::try_new("ana"));
    let lamp = SpotlightId(spotlight.parse().expect("an id"));
    let coming = OrderId::derive(&seller.expect("a seller"), &ana.expect("a viewer"), lamp, "k");
    let (event, body) = (Hook::good("evt-1"), told(&coming.to_string(), &captured(19_900)));
    for _ in 0..2 {
        let early = event.tell(&server, &body).await.problem(503, "unavailable");
        let seconds = early.header("retry-after").expect("when to tell again");
        assert!(seconds.parse::<u32>().expect("seconds") > 0, "{seconds}");
    }
    let order = silent_on(&server, &spotlight).await;
    assert_eq!(order, coming.to_string());
    let before = story(&server, coming).await;
    assert!(
        !before.contains(&"PaymentCaptured".to_owned()),
        "what was refused is not kept: {before:?}"
    );

    event.tell(&server, &body).await.expect(204);
    assert_eq!(server.ended(&order).await["status"], "confirmed");
    event.tell(&server, &body).await.expect(204);
    // what the same log has next is decided after the repeat
    let more = json!({"sku": "lamp", "delta": 1, "reason": "found one"});
    let stock = format!("/v1/spotlights/{spotlight}/stock");
    server.post(&stock, &host(), &more).await.expect(200);
    let story = story(&server, coming).await;
    for once in ["PaymentRequested", "PaymentCaptured", "OrderConfirmed", "ReservationConfirmed"] {
        assert_eq!(story.iter().filter(|it| *it == once).count(), 1, "{once}: {story:?}");
    }
    server.stop().await;
}
