//! A shop is told about its orders.

use std::time::Duration;

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use super::receiver::Receiver;
use crate::api::server::{SELLER, Server, host, order_of, token_of, viewer};
use crate::support::eventually;

async fn server() -> Server {
    Server::start_with(|config| config.webhooks.allow_private = true).await
}

/// Registers the receiver; answers with the endpoint and its secret.
async fn register(server: &Server, receiver: &Receiver, events: &[&str]) -> (String, String) {
    let body = json!({"url": receiver.url, "events": events, "description": "the warehouse"});
    let made = server.post("/v1/webhook-endpoints", &host(), &body).await.expect(201);
    let secret = made.body["secret"].as_str().expect("a secret").to_owned();
    (made.id(), secret)
}

async fn delivery(server: &Server, endpoint: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/v1/webhook-endpoints/{endpoint}/deliveries");
    eventually("the delivery log shows it", Duration::from_secs(30), async || {
        let page = server.get(&path, &host()).await.expect(200);
        page.body["items"].as_array().expect("items").iter().find(|item| fits(item)).cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_told_step_by_step_with_signatures() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let (endpoint, secret) = register(&server, &receiver, &["*"]).await;
    let broadcast = server.live_broadcast().await;
    let extra = json!({"reference": "show-7", "metadata": {"shelf": "A3"}});
    let spotlight = server.spotlight(&broadcast, 5, extra).await;
    let mut body = order_of(&spotlight, 2);
    body["reference"] = json!("cart-9");
    body["metadata"] = json!({"gift": true});
    let order = server.order(&viewer("ana"), "k", &body).await.expect(202).id();
    let ended = server.ended(&order).await;
    let confirmed = receiver.wait(|received| received.kind() == "order.confirmed").await;
    assert!(confirmed.is_signed_with(&secret));
    assert!(!confirmed.is_signed_with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    assert_eq!(confirmed.headers["content-type"], "application/json");
    let data = &confirmed.body["data"];
    assert_eq!(data["id"], json!(order));
    assert_eq!((&data["status"], &data["viewer"]), (&json!("confirmed"), &json!("ana")));
    assert_eq!((&data["reference"], &data["metadata"]), (&body["reference"], &body["metadata"]));
    assert_eq!(data["total"], ended["total"]);
    assert!(confirmed.body["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
    let opened = receiver.wait(|received| received.kind() == "spotlight.opened").await;
    assert_eq!(opened.body["data"]["reference"], "show-7");
    assert_eq!(opened.body["data"]["metadata"], json!({"shelf": "A3"}));
    let started = receiver.wait(|received| received.kind() == "broadcast.started").await;
    assert_eq!(started.body["data"]["title"], "Friday show");
    let reserved = receiver.wait(|received| received.kind() == "order.reserved").await;
    assert_eq!(reserved.body["data"]["status"], "reserved", "as it was then");
    let seen = receiver.received();
    let mut ids: Vec<&str> = seen.iter().map(super::receiver::Received::id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), seen.len(), "each message once");
    let id = confirmed.id();
    let logged =
        delivery(&server, &endpoint, |item| item["id"] == id && item["status"] == "delivered")
            .await;
    assert_eq!((&logged["attempts"], &logged["response_status"]), (&json!(1), &json!(204)));
    assert_eq!(logged["payload"], confirmed.body);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_asked_for_is_told_and_only_to_its_seller() {
    let (server, receiver, foreign) =
        (server().await, Receiver::start().await, Receiver::start().await);
    register(&server, &receiver, &["order.failed", "broadcast.ended"]).await;
    let other = token_of("other", "host", "h");
    let body = json!({"url": foreign.url, "events": ["*"]});
    server.post("/v1/webhook-endpoints", &other, &body).await.expect(201);
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 5, json!({})).await;
    let mut declined = order_of(&spotlight, 1);
    declined["payment_method"] = json!("sim_decline_hard");
    for (n, body) in [order_of(&spotlight, 1), declined].into_iter().enumerate() {
        let order = server.order(&viewer("ana"), &format!("k{n}"), &body).await.expect(202).id();
        server.ended(&order).await;
    }
    server.post(&format!("/v1/broadcasts/{broadcast}/end"), &host(), &json!({})).await.expect(200);
    receiver.wait(|received| received.kind() == "broadcast.ended").await;
    receiver.wait(|received| received.kind() == "order.failed").await;
    // messages of one endpoint have no order among themselves
    let mut kinds: Vec<String> =
        receiver.received().iter().map(|received| received.kind().to_owned()).collect();
    kinds.sort();
    assert_eq!(kinds, ["broadcast.ended", "order.failed"]);
    assert!(foreign.received().is_empty(), "another seller's");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_tried_again_under_the_same_id_and_can_be_sent_once_more() {
    let (server, receiver) = (server().await, Receiver::start().await);
    receiver.answer([StatusCode::INTERNAL_SERVER_ERROR]);
    let (endpoint, secret) = register(&server, &receiver, &["broadcast.scheduled"]).await;
    let show = json!({"title": "t", "currency": "KRW"});
    server.post("/v1/broadcasts", &host(), &show).await.expect(201);
    // the first pause is five seconds
    let both = receiver.wait_for(2).await;
    assert_eq!(both[0].id(), both[1].id());
    assert_eq!(both[0].bytes, both[1].bytes);
    assert!(both.iter().all(|received| received.is_signed_with(&secret)));
    let done = delivery(&server, &endpoint, |item| item["status"] == "delivered").await;
    assert_eq!(done["attempts"], 2);
    let id = done["id"].as_str().expect("an id");
    let path = format!("/v1/webhook-endpoints/{endpoint}/deliveries/{id}/redeliver");
    let due = server.post(&path, &host(), &json!({})).await.expect(202);
    assert_eq!(due.body["status"], "pending");
    assert_eq!(receiver.wait_for(3).await[2].id(), id);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rotation_both_secrets_hold_for_a_while() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let (endpoint, old) = register(&server, &receiver, &["broadcast.scheduled"]).await;
    let path = format!("/v1/webhook-endpoints/{endpoint}");
    let rotated = server.post(&format!("{path}/rotate"), &host(), &json!({})).await.expect(200);
    let new = rotated.body["secret"].as_str().expect("a secret").to_owned();
    assert_ne!(old, new);
    assert!(rotated.body["previous_secret_until"].is_string());
    let read = server.get(&path, &host()).await.expect(200);
    assert!(read.body.get("secret").is_none(), "it is shown once");
    let show = json!({"title": "t", "currency": "KRW"});
    server.post("/v1/broadcasts", &host(), &show).await.expect(201);
    let message = receiver.wait_for(1).await.remove(0);
    assert!(message.is_signed_with(&old) && message.is_signed_with(&new));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_disabled_until_it_is_enabled() {
    let (server, receiver) = (server().await, Receiver::start().await);
    receiver.answer([StatusCode::GONE]);
    let (endpoint, _) = register(&server, &receiver, &["broadcast.scheduled"]).await;
    let show = json!({"title": "t", "currency": "KRW"});
    server.post("/v1/broadcasts", &host(), &show).await.expect(201);
    let path = format!("/v1/webhook-endpoints/{endpoint}");
    eventually("the endpoint is disabled", Duration::from_secs(30), async || {
        let read = server.get(&path, &host()).await.expect(200);
        (read.body["status"] == "disabled")
            .then(|| assert!(read.body["disabled_reason"].is_string()))
    })
    .await;
    server.post("/v1/broadcasts", &host(), &show).await.expect(201);
    let enabled = server.post(&format!("{path}/enable"), &host(), &json!({})).await.expect(200);
    assert_eq!(enabled.body["status"], "enabled");
    server
        .post("/v1/broadcasts", &host(), &json!({"title": "next", "currency": "KRW"}))
        .await
        .expect(201);
    let next = receiver.wait(|received| received.body["data"]["title"] == "next").await;
    assert_eq!(next.kind(), "broadcast.scheduled");
    let call = server.call(Method::DELETE, &path, Some(&host()), None, None).await;
    call.expect(204);
    server.get(&path, &host()).await.problem(404, "not_found");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_before_a_restart_is_sent_after_it() {
    let (server, receiver) = (server().await, Receiver::start().await);
    receiver.answer([StatusCode::SERVICE_UNAVAILABLE]);
    let (_, secret) = register(&server, &receiver, &["broadcast.scheduled"]).await;
    let show = json!({"title": "t", "currency": "KRW"});
    server.post("/v1/broadcasts", &host(), &show).await.expect(201);
    receiver.wait_for(1).await;
    let server = server.restart_with(|config| config.webhooks.allow_private = true).await;
    let both = receiver.wait_for(2).await;
    assert_eq!(both[0].id(), both[1].id());
    assert!(both[1].is_signed_with(&secret), "the same secret after a restart");
    assert_eq!(SELLER, "acme");
    server.stop().await;
}
