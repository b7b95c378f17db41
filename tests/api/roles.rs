//! Every route against every role: driven by the OpenAPI document, so that none is forgotten.

use std::collections::BTreeMap;

use ::api::auth::{self, Claims};
use ::api::openapi::document_json;
use reqwest::Method;
use serde_json::{Value, json};

use super::server::{
    SECRET, SELLER, Server, host, now, order_of, role, spotlight_of, token_of, viewer,
};

const ROLES: [&str; 5] = ["viewer", "host", "moderator", "admin", "auditor"];

struct Operation {
    method: Method,
    path: String,
    roles: Vec<String>,
}

impl Operation {
    fn is_open(&self) -> bool {
        self.roles.iter().any(|role| role == "anyone")
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

fn operations() -> Vec<Operation> {
    let document: Value =
        serde_json::from_str(&document_json().expect("JSON")).expect("a document");
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let roles = operation["x-roles"].as_array().expect("roles");
            // no person calls it: `webhooks` tests who may
            if roles[0] == "signature" {
                continue;
            }
            operations.push(Operation {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                roles: roles.iter().map(|r| r.as_str().expect("text").to_owned()).collect(),
            });
        }
    }
    assert!(operations.len() > 15, "{}", operations.len());
    operations
}

fn endpoint() -> Value {
    json!({"url": "https://93.184.216.34/hook", "events": ["broadcast.ended"]})
}

/// Ids of the seller's own things.
struct Things {
    broadcast: String,
    spotlight: String,
    order: String,
    endpoint: String,
}

impl Things {
    async fn make(server: &Server) -> Self {
        let broadcast = server.live_broadcast().await;
        let spotlight = server.spotlight(&broadcast, 10, json!({})).await;
        let order = server.order(&viewer("ana"), "k", &order_of(&spotlight, 1)).await;
        let endpoint = server.post("/v1/webhook-endpoints", &host(), &endpoint()).await;
        let (order, endpoint) = (order.expect(202).id(), endpoint.expect(201).id());
        Self { broadcast, spotlight, order, endpoint }
    }

    fn path(&self, operation: &Operation) -> String {
        let id = match operation.path.split('/').nth(2) {
            Some("broadcasts") => &self.broadcast,
            Some("spotlights") => &self.spotlight,
            // nothing is parked: whoever may look finds nothing
            Some("orders" | "audit" | "parked") => &self.order,
            Some("webhook-endpoints") => &self.endpoint,
            _ => "",
        };
        operation
            .path
            .replace("{id}", id)
            .replace("{delivery}", &self.order)
            .replace("{order}", &self.order)
    }

    fn body(&self, operation: &Operation) -> Option<Value> {
        let bodies: BTreeMap<&str, Value> = BTreeMap::from([
            ("/v1/broadcasts", json!({"title": "t", "currency": "KRW"})),
            ("/v1/broadcasts/{id}/products/spotlight", spotlight_of(1, json!({}))),
            ("/v1/spotlights/{id}/stock", json!({"sku": "lamp", "delta": 1, "reason": "r"})),
            (
                "/v1/spotlights/{id}/offer",
                json!({"live_price": {"minor": 1, "currency": "KRW"}, "reason": "r"}),
            ),
            ("/v1/orders/{id}/refund", json!({"reason": "r"})),
            ("/v1/parked/{id}/retry", json!({"reason": "r"})),
            ("/v1/parked/{id}/discard", json!({"reason": "r"})),
            ("/v1/orders/{id}/payment", json!({"method": "sim_ok"})),
            ("/v1/orders", order_of(&self.spotlight, 1)),
            ("/v1/webhook-endpoints", endpoint()),
        ]);
        if operation.method == Method::GET {
            return None;
        }
        Some(bodies.get(operation.path.as_str()).cloned().unwrap_or_else(|| json!({})))
    }

    async fn call(
        &self,
        server: &Server,
        operation: &Operation,
        token: Option<&str>,
    ) -> super::server::Answer {
        let (path, body) = (self.path(operation), self.body(operation));
        server.call(operation.method.clone(), &path, token, Some("key"), body.as_ref()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_401_and_a_wrong_role_403() {
    let server = Server::start().await;
    let things = Things::make(&server).await;
    for operation in operations() {
        let name = operation.name();
        let bare = things.call(&server, &operation, None).await;
        if operation.is_open() {
            assert!(bare.status.is_success(), "{name}: {bare:?}");
            continue;
        }
        let bare = bare.problem(401, "unauthenticated");
        assert!(bare.header("www-authenticate").is_some(), "{name}");
        for wrong in ROLES.iter().filter(|role| !operation.roles.iter().any(|r| r == *role)) {
            let token = token_of(SELLER, wrong, "eve");
            println!("{name} as {wrong}");
            things.call(&server, &operation, Some(&token)).await.problem(403, "forbidden");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sellers_things_are_not_there() {
    let server = Server::start().await;
    let things = Things::make(&server).await;
    let head = server.head().await;
    for operation in operations().iter().filter(|operation| operation.path.contains('{')) {
        let name = operation.name();
        println!("{name}");
        if operation.is_open() {
            let token = token_of("other", "viewer", "ana");
            let answer = things.call(&server, operation, Some(&token)).await;
            if operation.path.ends_with("/join") {
                answer.problem(404, "not_found");
            } else {
                answer.expect(200);
            }
            continue;
        }
        for role in &operation.roles {
            let token = token_of("other", role, "ana");
            things.call(&server, operation, Some(&token)).await.problem(404, "not_found");
        }
    }
    let other = token_of("other", "viewer", "ana");
    server.order(&other, "k", &order_of(&things.spotlight, 1)).await.problem(404, "not_found");
    for list in ["/v1/broadcasts", "/v1/orders"] {
        let items = server.get(list, &token_of("other", "host", "h")).await.expect(200);
        assert_eq!(items.body["items"], json!([]), "{list}");
    }
    // the order's own steps go on; nobody else added any
    server.ended(&things.order).await;
    assert!(server.head().await.0 <= head.0 + 8, "another seller changed something");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_viewers_order_is_not_there() {
    let server = Server::start().await;
    let things = Things::make(&server).await;
    let (bob, path) = (viewer("bob"), format!("/v1/orders/{}", things.order));
    server.get(&path, &bob).await.problem(404, "not_found");
    server.post(&format!("{path}/cancel"), &bob, &json!({})).await.problem(404, "not_found");
    assert_eq!(server.get("/v1/orders", &bob).await.expect(200).body["items"], json!([]));
    server.get(&path, &viewer("ana")).await.expect(200);
    server.get(&path, &host()).await.expect(200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_and_forged_tokens_are_told_apart_on_every_route() {
    let server = Server::start().await;
    let things = Things::make(&server).await;
    let claims = |seconds| Claims::new("ana".into(), role("host"), SELLER.into(), now() + seconds);
    let expired = auth::sign(SECRET, &claims(-60)).expect("signs");
    let forged =
        auth::sign(b"some other secret of enough bytes......", &claims(60)).expect("signs");
    for operation in operations().iter().filter(|op| op.path.starts_with("/v1/")) {
        println!("{}", operation.name());
        things.call(&server, operation, Some(&expired)).await.problem(401, "token_expired");
        things.call(&server, operation, Some(&forged)).await.problem(401, "token_invalid");
    }
    let basic =
        server.request(&Method::GET, "/v1/broadcasts").header("authorization", "Basic YTpi");
    server.send(basic).await.problem(401, "token_invalid");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_viewer_watches_and_does_not_order() {
    let server = Server::start().await;
    let things = Things::make(&server).await;
    let path = format!("/v1/broadcasts/{}/join", things.broadcast);
    let joined = server.call(Method::POST, &path, None, None, None).await.expect(200);
    let token = joined.body["token"].as_str().expect("a token").to_owned();
    assert!(joined.body["url"].as_str().expect("a url").starts_with("ws://127.0.0.1:"));
    let channels = joined.body["channels"].as_array().expect("channels");
    // only what can be subscribed to
    assert_eq!(channels.len(), 3, "{channels:?}");
    assert!(channels.contains(&json!(format!("live:{}", things.broadcast))));
    server.order(&token, "k", &order_of(&things.spotlight, 1)).await.problem(403, "forbidden");
    server.get("/v1/orders", &token).await.problem(403, "forbidden");
    server.get(&format!("/v1/spotlights/{}", things.spotlight), &token).await.expect(200);
    // who has a token keeps it
    let own = server.call(Method::POST, &path, Some(&viewer("ana")), None, None).await.expect(200);
    assert_eq!(own.body["token"], viewer("ana"));
    assert!(own.body["channels"].to_string().contains("user#ana"));
    server.stop().await;
}
