//! What an auditor reads over HTTP.

use domain::envelope::Position;
use reqwest::Method;
use serde_json::{Value, json};

use super::server::{SELLER, Server, order_of, token_of, viewer};
use crate::audit::program::check_schema;

fn auditor() -> String {
    token_of(SELLER, "auditor", "ada")
}

/// A server with an order that has ended.
async fn sold() -> (Server, String) {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 10, json!({})).await;
    let order = server.order(&viewer("ana"), "k", &order_of(&spotlight, 1)).await.expect(202).id();
    server.ended(&order).await;
    (server, order)
}

fn positions(page: &Value) -> Vec<u64> {
    let items = page["items"].as_array().expect("items");
    items.iter().map(|item| item["position"].as_u64().expect("a position")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_pages_and_are_the_sellers_own() {
    let (server, _) = sold().await;
    let head = server.head().await.0;
    let (mut seen, mut path) = (vec![], "/v1/audit/events?limit=3".to_owned());
    loop {
        let page = server.get(&path, &auditor()).await.expect(200).body;
        assert!(positions(&page).len() <= 3);
        seen.extend(positions(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/audit/events?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, (1..=head).collect::<Vec<u64>>());
    let path = format!("/v1/audit/events?after={}", head - 1);
    let last = server.get(&path, &auditor()).await.expect(200).body;
    assert_eq!((positions(&last), &last["next_cursor"]), (vec![head], &Value::Null));
    let item = &last["items"][0];
    assert_eq!(item["metadata"]["seller"], SELLER, "{item}");
    let other = token_of("other", "auditor", "ada");
    let none = server.get("/v1/audit/events", &other).await.expect(200).body;
    assert_eq!(none, json!({"items": [], "next_cursor": null}));
    for bad in [
        "after=-1",
        "after=x",
        "cursor=!",
        "limit=0",
        "limit=201",
        "until=3",
        "after=99999999999999999999",
    ] {
        let path = format!("/v1/audit/events?{bad}");
        server.get(&path, &auditor()).await.problem(422, "invalid");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_and_a_receipt_say_what_the_log_says() {
    let (server, order) = sold().await;
    let path = format!("/v1/audit/orders/{order}/timeline");
    let timeline = server.get(&path, &auditor()).await.expect(200).body;
    check_schema("timeline", &timeline);
    assert_eq!((&timeline["order_id"], &timeline["status"]), (&json!(order), &json!("confirmed")));
    let path = format!("/v1/audit/receipts/{order}");
    let receipt = server.get(&path, &auditor()).await.expect(200).body;
    assert_eq!((&receipt["good"], &receipt["detail"]), (&json!(true), &Value::Null), "{receipt}");
    let given = server.get(&format!("/v1/orders/{order}"), &viewer("ana")).await.expect(200);
    assert_eq!(receipt["receipt"], given.body["receipt"]);
    for path in ["orders/x/timeline", "receipts/x"] {
        server.get(&format!("/v1/audit/{path}"), &auditor()).await.problem(404, "not_found");
    }
    let unknown = uuid::Uuid::new_v4();
    for path in [format!("orders/{unknown}/timeline"), format!("receipts/{unknown}")] {
        server.get(&format!("/v1/audit/{path}"), &auditor()).await.problem(404, "not_found");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verdict_is_good_and_the_seals_are_listed() {
    let (server, _) = sold().await;
    let head = server.head().await.0;
    let mut verdict = server.get("/v1/audit/verify", &auditor()).await.expect(200).body;
    assert_eq!(verdict["next_cursor"], Value::Null);
    verdict.as_object_mut().expect("an object").remove("next_cursor");
    check_schema("verify", &verdict);
    assert_eq!((&verdict["verdict"], &verdict["events"]), (&json!("good"), &json!(head)));
    let after = server.get("/v1/audit/verify?after=5", &auditor()).await.expect(200).body;
    assert_eq!(after["events"], head - 5);
    server.get("/v1/audit/verify?from=5", &auditor()).await.problem(422, "invalid");
    let seals = server.get("/v1/audit/seals", &auditor()).await.expect(200).body;
    assert_eq!(seals, json!({"items": [], "keys": [], "next_cursor": null}));
    let posted = server.call(Method::POST, "/v1/audit/verify", Some(&auditor()), None, None).await;
    posted.problem(405, "method_not_allowed");
    assert!(server.head().await > Position::START);
    server.stop().await;
}
