//! The undo of a wrong price, over HTTP.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::server::{Server, host, order_of, viewer};

async fn until(server: &Server, path: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let shown = server.get(path, &host()).await.expect(200).body;
        if is(&shown) {
            return shown;
        }
        assert!(Instant::now() < end, "not {what}: {shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_price_is_withdrawn_with_its_orders_and_shown_how_far() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 5, json!({})).await;
    let mut orders = vec![];
    for key in ["a", "b"] {
        let order =
            server.order(&viewer("ana"), key, &order_of(&spotlight, 1)).await.expect(202).id();
        assert_eq!(server.ended(&order).await["status"], "confirmed");
        orders.push(order);
    }
    let path = format!("/v1/spotlights/{spotlight}");
    let withdraw = format!("{path}/withdraw");
    let bad = json!({"offer_version": 0, "settle": "forget", "reason": 1, "more": true});
    let refused = server.post(&withdraw, &host(), &bad).await.problem(422, "invalid");
    assert_eq!(refused.pointers(), ["/more", "/offer_version", "/reason", "/settle"]);
    let body = json!({"offer_version": 1, "settle": "cancel", "reason": "a zero is missing"});
    server.post(&withdraw, &viewer("ana"), &body).await.problem(403, "forbidden");
    let other = json!({"offer_version": 2, "settle": "cancel", "reason": "r"});
    let refused = server.post(&withdraw, &host(), &other).await.problem(422, "invalid");
    assert_eq!(refused.pointers(), ["/offer_version"]);

    let stopped = server.post(&withdraw, &host(), &body).await.expect(202).body;
    assert_eq!(stopped["status"], "paused");
    let withdrawal = &stopped["withdrawal"];
    assert_eq!(
        (&withdrawal["offer_version"], &withdrawal["settle"]),
        (&json!(1), &json!("cancel"))
    );
    let again = server.order(&viewer("bob"), "c", &order_of(&spotlight, 1)).await;
    again.problem(409, "paused");
    server.post(&format!("{path}/resume"), &host(), &json!({})).await.problem(409, "paused");
    let done = until(&server, &path, "settled", |shown| shown["withdrawal"]["done"] == 2).await;
    let expected =
        json!({"offer_version": 1, "settle": "cancel", "total": 2, "done": 2, "failed": 0});
    assert_eq!(done["withdrawal"], expected);
    for order in &orders {
        let path = format!("/v1/orders/{order}");
        let order = until(&server, &path, "refunded", |order| order["status"] == "refunded").await;
        assert_eq!(order["reason"], "withdrawn");
        assert_eq!(order["refunded"], order["total"]);
    }
    let honour = json!({"offer_version": 1, "settle": "honour", "reason": "r"});
    server.post(&withdraw, &host(), &honour).await.problem(409, "already_withdrawn");
    let offer = json!({"live_price": {"minor": 29900, "currency": "KRW"}, "reason": "right"});
    let open = server.post(&format!("{path}/offer"), &host(), &offer).await.expect(200).body;
    assert_eq!((&open["status"], &open["offer"]["version"]), (&json!("open"), &json!(2)));
    assert_eq!(open["inventory"]["lamp"]["remaining"], 5);
    let mut body = order_of(&spotlight, 1);
    body["offer_version"] = json!(2);
    let order = server.order(&viewer("bob"), "d", &body).await.expect(202).id();
    assert_eq!(server.ended(&order).await["total"]["minor"], 29900);
    server.stop().await;
}
