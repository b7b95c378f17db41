//! What a payment provider tells, as the server takes it in.

use std::time::Duration;

use ::api::payments::WEBHOOK_BODY_MAX_BYTES;
use ::api::payments::signature::sign;
use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Answer, Server, WEBHOOK_SECRETS, now, order_of, viewer};

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
    let mut body = order_of(&spotlight, 1);
    body["payment_method"] = json!("sim_never");
    let order = server.order(&viewer("ana"), "k", &body).await.expect(202).id();
    let until = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let shown = server.get(&format!("/v1/orders/{order}"), &viewer("ana")).await.expect(200);
        if shown.body["payment"]["status"] == "unknown" {
            return order;
        }
        assert!(std::time::Instant::now() < until, "{}", shown.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
async fn before_its_order_it_is_to_be_told_again() {
    let server = Server::start().await;
    let nobody = told("01920000-0000-7000-8000-000000000003", &captured(1));
    let early = Hook::good("evt-1").tell(&server, &nobody).await.problem(503, "unavailable");
    assert!(early.header("retry-after").is_some());
    server.stop().await;
}
