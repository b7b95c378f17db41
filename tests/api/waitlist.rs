//! Waiting for what is sold out, as a viewer's page does it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Server, host, order_of, viewer};
use crate::support::eventually;

const WITHIN: Duration = Duration::from_mins(1);

fn lines(units: u32) -> Value {
    json!({"lines": [{"sku": "lamp", "quantity": units}]})
}

/// A call that is made again while the server says that it will answer in a moment.
async fn call(
    server: &Server,
    method: Method,
    path: &str,
    token: &str,
    body: Option<&Value>,
) -> super::server::Answer {
    eventually("an answer", WITHIN, async || {
        let answer = server.call(method.clone(), path, Some(token), None, body).await;
        (answer.status != 503).then_some(answer)
    })
    .await
}

async fn join(server: &Server, spotlight: &str, name: &str, units: u32) -> super::server::Answer {
    let path = format!("/v1/spotlights/{spotlight}/waitlist");
    call(server, Method::POST, &path, &viewer(name), Some(&lines(units))).await
}

async fn place(server: &Server, spotlight: &str, name: &str) -> Value {
    let path = format!("/v1/spotlights/{spotlight}/waitlist");
    call(server, Method::GET, &path, &viewer(name), None).await.expect(200).body
}

async fn until(server: &Server, spotlight: &str, name: &str, status: &str) -> Value {
    eventually(&format!("{name} is {status}"), WITHIN, async || {
        let place = place(server, spotlight, name).await;
        (place["status"] == status).then_some(place)
    })
    .await
}

/// Ana has the one unit and has not paid.
async fn sold_out(server: &Server, extra: Value) -> (String, String) {
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 1, extra).await;
    let mut waits = order_of(&spotlight, 1);
    waits["payment_method"] = Value::Null;
    let order = server.order(&viewer("ana"), "k", &waits).await.expect(202).id();
    (spotlight, order)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_served_in_order_and_paying_accepts() {
    let server = Server::start().await;
    let (spotlight, order) = sold_out(&server, json!({})).await;
    let path = format!("/v1/spotlights/{spotlight}/waitlist");
    server.get(&path, &viewer("bob")).await.problem(404, "not_found");
    for (name, at) in [("bob", 1), ("cat", 2)] {
        let joined = join(&server, &spotlight, name, 1).await.expect(202).body;
        assert_eq!((&joined["status"], &joined["place"]), (&json!("waiting"), &json!(at)));
        assert_eq!(joined["lines"], lines(1)["lines"]);
        // the same again is the same place
        assert_eq!(join(&server, &spotlight, name, 1).await.expect(202).body, joined);
    }
    join(&server, &spotlight, "bob", 2).await.problem(409, "already_waiting");
    call(&server, Method::POST, &format!("/v1/orders/{order}/cancel"), &viewer("ana"), None)
        .await
        .expect(202);
    let offer = until(&server, &spotlight, "bob", "offered").await;
    assert!(offer["offer_expires_at"].is_string() && offer["place"].is_null());
    assert_eq!(place(&server, &spotlight, "cat").await["place"], 1);
    let path_of_offer = format!("/v1/orders/{}", offer["order_id"].as_str().expect("an id"));
    let read = server.get(&path_of_offer, &viewer("bob")).await.expect(200).body;
    assert_eq!((&read["status"], &read["payment"]["status"]), (&json!("reserved"), &json!("none")));
    server.order(&viewer("eve"), "k", &order_of(&spotlight, 1)).await.problem(409, "sold_out");
    // bob declines by leaving, cat pays
    call(&server, Method::DELETE, &path, &viewer("bob"), None).await.expect(200);
    until(&server, &spotlight, "bob", "declined").await;
    let offer = until(&server, &spotlight, "cat", "offered").await;
    let id = offer["order_id"].as_str().expect("an id");
    let pay = json!({"method": "sim_ok"});
    call(&server, Method::POST, &format!("/v1/orders/{id}/payment"), &viewer("cat"), Some(&pay))
        .await
        .expect(202);
    assert_eq!(server.ended(id).await["status"], "confirmed");
    until(&server, &spotlight, "cat", "accepted").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_wait_is_told_why() {
    let server = Server::start().await;
    let (spotlight, _) = sold_out(&server, json!({"per_viewer_limit": 2})).await;
    let over = join(&server, &spotlight, "ana", 2).await;
    assert!(over.header("location").is_some());
    over.problem(409, "over_limit");
    let path = format!("/v1/spotlights/{spotlight}/waitlist");
    server.post(&path, &host(), &lines(1)).await.problem(403, "forbidden");
    let unknown = json!({"lines": [{"sku": "no-such", "quantity": 1}]});
    call(&server, Method::POST, &path, &viewer("bob"), Some(&unknown))
        .await
        .problem(422, "invalid");
    call(&server, Method::POST, &path, &viewer("bob"), Some(&json!({"lines": []})))
        .await
        .problem(422, "invalid");
    join(&server, &spotlight, "bob", 1).await.expect(202);
    let left = call(&server, Method::DELETE, &path, &viewer("bob"), None).await.expect(200).body;
    assert_eq!(left["status"], "declined");
    // leaving twice is leaving once
    let again = call(&server, Method::DELETE, &path, &viewer("bob"), None).await.expect(200).body;
    assert_eq!(again, left);
    let broadcast = server.live_broadcast().await;
    let full = server.spotlight(&broadcast, 5, json!({})).await;
    join(&server, &full, "bob", 1).await.problem(409, "in_stock");
    join(&server, &spotlight, "cat", 1).await.expect(202);
    call(&server, Method::POST, &format!("/v1/spotlights/{spotlight}/close"), &host(), None)
        .await
        .expect(200);
    until(&server, &spotlight, "cat", "ended").await;
    join(&server, &spotlight, "dan", 1).await.problem(409, "closed");
    server.stop().await;
}
