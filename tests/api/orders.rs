//! Orders from the press to the end, as a client sees them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Server, host, order_of, viewer};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_accepted_confirmed_and_listed() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 10, json!({"per_viewer_limit": 3})).await;
    let mut body = order_of(&spotlight, 2);
    body["reference"] = json!("cart-7");
    body["metadata"] = json!({"a": {"b": [1, 2]}});
    let placed = server.order(&viewer("ana"), "k1", &body).await.expect(202);
    let order = placed.id();
    assert_eq!(placed.header("location"), Some(format!("/v1/orders/{order}").as_str()));
    assert_eq!(placed.header("idempotency-replayed"), None);
    assert_eq!(placed.body["status"], "pending");
    assert_eq!(placed.body["hold_expires_at"], Value::Null);
    assert_eq!(placed.body["total"], json!({"minor": 39_800, "currency": "KRW"}));
    assert_eq!(placed.body["viewer"], "ana");
    assert!(placed.body["receipt"].is_object());
    let ended = server.ended(&order).await;
    assert_eq!(ended["status"], "confirmed");
    assert_eq!(ended["payment"]["status"], "captured");
    assert_eq!(ended["reference"], "cart-7");
    assert_eq!(ended["metadata"], json!({"a": {"b": [1, 2]}}));
    assert_eq!(ended["receipt"], placed.body["receipt"]);
    assert_eq!(ended["accepted_at"], placed.body["accepted_at"], "the promise has one time");
    let leaf = placed.body["receipt"]["leaf"].as_str().expect("a leaf");
    let leaf: Value = serde_json::from_str(leaf).expect("JSON");
    assert_eq!(leaf["accepted_at"], placed.body["accepted_at"]);
    for hidden in ["viewer_ref", "body_fingerprint", "position", "seller"] {
        assert!(ended.get(hidden).is_none(), "{hidden} is shown");
    }
    let again = server.order(&viewer("ana"), "k1", &body).await.expect(202);
    assert_eq!(again.body["status"], "confirmed", "the order as it is now");
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let over = server.order(&viewer("ana"), "k2", &order_of(&spotlight, 2)).await;
    let over = over.problem(409, "over_limit");
    assert_eq!(over.body["per_viewer_limit"], 3);
    let list = format!("/v1/orders?spotlight_id={spotlight}&status=confirmed");
    for token in [viewer("ana"), host()] {
        let listed = server.get(&list, &token).await.expect(200);
        assert_eq!(listed.body["items"], json!([ended]), "as the order is read alone");
        assert_eq!(listed.body["next_cursor"], Value::Null);
    }
    server
        .post(&format!("/v1/orders/{order}/cancel"), &viewer("ana"), &json!({}))
        .await
        .problem(409, "already_confirmed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_that_are_no_fault_have_their_own_codes() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 2, json!({})).await;
    let (ana, step) = (viewer("ana"), |step: &str| format!("/v1/spotlights/{spotlight}/{step}"));
    let sold_out = server.order(&ana, "k1", &order_of(&spotlight, 3)).await;
    assert_eq!(sold_out.problem(409, "sold_out").body["remaining"], json!({"lamp": 2}));
    server.post(&step("pause"), &host(), &json!({})).await.expect(200);
    server.order(&ana, "k2", &order_of(&spotlight, 1)).await.problem(409, "paused");
    server.post(&step("resume"), &host(), &json!({})).await.expect(200);
    let price = json!({"live_price": {"minor": 9_900, "currency": "KRW"}, "reason": "late"});
    let changed = server.post(&step("offer"), &host(), &price).await.expect(200);
    assert_eq!(changed.body["offer"]["version"], 2);
    let old = server.order(&ana, "k3", &order_of(&spotlight, 1)).await;
    let old = old.problem(409, "offer_changed");
    assert_eq!(old.body["offer"]["live_price"]["minor"], 9_900);
    assert_eq!(old.body["offer"]["version"], 2);
    let closed = server.post(&step("close"), &host(), &json!({"reason": "over"})).await.expect(200);
    assert_eq!(closed.body["status"], "closed");
    server.order(&ana, "k4", &order_of(&spotlight, 1)).await.problem(409, "closed");
    server.post(&step("open"), &host(), &json!({})).await.problem(409, "closed");
    let later =
        json!({"opens_at": chrono::DateTime::from_timestamp(super::server::now() + 900, 0)});
    let scheduled = server.spotlight(&broadcast, 2, later).await;
    let early = server.order(&ana, "k5", &order_of(&scheduled, 1)).await.problem(409, "not_open");
    assert!(early.body["opens_at"].is_string());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn added_units_can_be_ordered_as_soon_as_the_host_is_answered() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 1, json!({})).await;
    let stock = format!("/v1/spotlights/{spotlight}/stock");
    let order = order_of(&spotlight, 1);
    server.order(&viewer("v0"), "k", &order).await.expect(202);
    for n in 1..=10 {
        // the node now knows the verdict and refuses by it
        for _ in 0..3 {
            let refused = server.order(&viewer(&format!("late{n}")), "k", &order).await;
            refused.problem(409, "sold_out");
        }
        let more = json!({"sku": "lamp", "delta": 1, "reason": "found one"});
        server.post(&stock, &host(), &more).await.expect(200);
        server.order(&viewer(&format!("v{n}")), "k", &order).await.expect(202);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_for_its_payment_can_be_cancelled() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 1, json!({})).await;
    let mut body = order_of(&spotlight, 1);
    body["payment_method"] = Value::Null;
    let order = server.order(&viewer("ana"), "k", &body).await.expect(202);
    assert_eq!(order.body["payment_method"], Value::Null);
    let path = format!("/v1/orders/{}", order.id());
    let cancelled = server.post(&format!("{path}/cancel"), &viewer("ana"), &json!({})).await;
    assert_eq!(cancelled.expect(202).body["status"], "cancelled");
    let read = server.get(&path, &viewer("ana")).await.expect(200);
    assert_eq!(read.body["status"], "cancelled");
    assert_eq!(read.body["reason"], "cancelled_by_viewer");
    server.post(&format!("{path}/cancel"), &viewer("ana"), &json!({})).await.expect(202);
    let freed = server.get(&format!("/v1/spotlights/{spotlight}"), &host()).await.expect(200);
    assert_eq!(freed.body["inventory"]["lamp"]["remaining"], 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_is_paid_and_a_soft_decline_tried_again() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 2, json!({})).await;
    let ana = viewer("ana");
    let mut body = order_of(&spotlight, 1);
    body["payment_method"] = Value::Null;
    let waiting = server.order(&ana, "k", &body).await.expect(202).id();
    let path = format!("/v1/orders/{waiting}");
    let pay = format!("{path}/payment");
    server.post(&pay, &ana, &json!({"method": "gold"})).await.problem(422, "invalid");
    server.post(&pay, &viewer("bob"), &json!({"method": "sim_ok"})).await.problem(404, "not_found");
    let method = json!({"method": "sim_ok"});
    let call = || server.call(Method::POST, &pay, Some(&ana), Some("p1"), Some(&method));
    let paid = call().await.expect(202);
    assert_eq!(paid.header("location"), Some(path.as_str()));
    assert_eq!(paid.body["payment_method"], "sim_ok");
    assert_eq!(paid.body["payment"]["attempts"], 1);
    assert_eq!(server.ended(&waiting).await["status"], "confirmed");
    assert_eq!(call().await.expect(202).body["status"], "confirmed", "a repeat of its key");
    server.post(&pay, &ana, &method).await.problem(409, "already_confirmed");

    body["payment_method"] = json!("sim_decline_soft");
    let declined = server.order(&ana, "k2", &body).await.expect(202).id();
    let path = format!("/v1/orders/{declined}");
    let until = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let shown = server.get(&path, &ana).await.expect(200).body;
        if shown["payment"]["retryable"] == json!(true) {
            assert_eq!(shown["status"], "reserved");
            break;
        }
        assert!(std::time::Instant::now() < until, "{shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.post(&format!("{path}/payment"), &ana, &method).await.expect(202);
    let ended = server.ended(&declined).await;
    assert_eq!((&ended["status"], &ended["payment"]["attempts"]), (&json!("confirmed"), &json!(2)));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_gives_a_sale_back_by_line_and_then_whole() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 3, json!({})).await;
    let order = server.order(&viewer("ana"), "k", &order_of(&spotlight, 3)).await.expect(202).id();
    let path = format!("/v1/orders/{order}");
    let refund = format!("{path}/refund");
    assert_eq!(server.ended(&order).await["status"], "confirmed");
    let one = json!({"reason": "broken", "lines": [{"sku": "lamp", "quantity": 1}]});
    let four = json!({"reason": "broken", "lines": [{"sku": "lamp", "quantity": 4}]});
    server.post(&refund, &host(), &four).await.problem(422, "invalid");
    let token = host();
    let call = || server.call(Method::POST, &refund, Some(&token), Some("r1"), Some(&one));
    call().await.expect(202);
    call().await.expect(202);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    let shown = async |minor: i64| loop {
        let shown = server.get(&path, &host()).await.expect(200).body;
        if shown["refunded"]["minor"] == json!(minor) {
            return shown;
        }
        assert!(std::time::Instant::now() < until, "{shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let price =
        server.get(&path, &host()).await.expect(200).body["lines"][0]["unit_price"]["minor"]
            .as_i64()
            .expect("a price");
    let part = shown(price).await;
    assert_eq!(part["status"], "confirmed");
    assert_eq!(part["payment"]["status"], "partially_refunded");
    let rest = json!({"reason": "all of it", "restock": true});
    server.post(&refund, &host(), &rest).await.expect(202);
    assert_eq!(shown(3 * price).await["status"], "refunded");
    server.post(&refund, &host(), &rest).await.problem(409, "already_ended");
    let free = server.get(&format!("/v1/spotlights/{spotlight}"), &host()).await.expect(200);
    let lamp = &free.body["inventory"]["lamp"];
    assert_eq!((&lamp["remaining"], &lamp["sold"]), (&json!(2), &json!(3)));
    assert_eq!(lamp["limited_quantity"], 5);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_costs_no_unit() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 100, json!({})).await;
    for n in 0..30_u64 {
        let request = server
            .request(&Method::POST, "/v1/orders")
            .bearer_auth(viewer(&format!("v{n}")))
            .header("Idempotency-Key", "k")
            .timeout(Duration::from_micros(500 + 100 * n))
            .json(&order_of(&spotlight, 1));
        let _ = request.send().await;
    }
    // every unit that was taken has an order that ends
    let until = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let shown = server.get(&format!("/v1/spotlights/{spotlight}"), &host()).await.expect(200);
        let lamp = &shown.body["inventory"]["lamp"];
        let listed = server.get("/v1/orders?limit=200&status=confirmed", &host()).await.expect(200);
        let confirmed = listed.body["items"].as_array().expect("items").len();
        if lamp["held"] == 0 && lamp["sold"] == confirmed {
            break;
        }
        assert!(std::time::Instant::now() < until, "{lamp} and {confirmed} confirmed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_exported_as_csv_each_viewer_its_own() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 400, json!({})).await;
    let mut body = order_of(&spotlight, 2);
    body["reference"] = json!("=cart, \"7\"");
    let order = server.order(&viewer("ana"), "k", &body).await.expect(202).id();
    server.ended(&order).await;
    // more than one page of it
    for n in 0..205 {
        let buyer = viewer(&format!("v-{n}"));
        server.order(&buyer, "k", &order_of(&spotlight, 1)).await.expect(202);
    }
    let path = "/v1/orders.csv";
    let own = server.get(path, &viewer("ana")).await.expect(200);
    assert_eq!(own.header("content-type"), Some("text/csv; charset=utf-8"));
    let lines: Vec<&str> = own.text.split("\r\n").collect();
    assert!(
        lines[0].starts_with("id,spotlight_id,broadcast_id,viewer,status,reason,sku,quantity,")
    );
    assert_eq!(lines.len(), 3, "a head, an order, and nothing after the last line");
    assert!(lines[1].starts_with(&format!("{order},{spotlight},{broadcast},\"ana\",confirmed,,")));
    assert!(lines[1].contains(",\"lamp\",2,19900,39800,0,KRW,1,captured,\"simulated\",1,"));
    assert!(lines[1].contains(",\"'=cart, \"\"7\"\"\","), "no formula: {}", lines[1]);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let all = server.get(path, &host()).await.expect(200);
        let confirmed = server.get(&format!("{path}?status=confirmed"), &host()).await.expect(200);
        let rows = |text: &str| text.matches("\r\n").count() - 1;
        if rows(&all.text) == 206 && rows(&confirmed.text) == 206 {
            break;
        }
        assert!(std::time::Instant::now() < until, "{} rows", rows(&all.text));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let bad = server.get(&format!("{path}?status=maybe&more=1"), &host()).await;
    assert_eq!(bad.problem(422, "invalid").pointers(), ["?more", "?status"]);
    server.call(Method::GET, path, None, None, None).await.problem(401, "unauthenticated");
    server.stop().await;
}

/// How long an order's units are held, in seconds.
async fn held(server: &Server, order: &str) -> i64 {
    let until = std::time::Instant::now() + Duration::from_secs(20);
    let held = loop {
        let shown = server.get(&format!("/v1/orders/{order}"), &host()).await.expect(200).body;
        if shown["status"] == "reserved" {
            break shown;
        }
        assert!(std::time::Instant::now() < until, "not reserved: {shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let time = |value: &Value| {
        let text = value.as_str().expect("a time");
        chrono::DateTime::parse_from_rfc3339(text).expect("RFC 3339")
    };
    let held = time(&held["hold_expires_at"]) - time(&held["accepted_at"]);
    (held.num_milliseconds() + 500) / 1_000
}

#[tokio::test(flavor = "multi_thread")]
async fn who_abandons_two_holds_gets_shorter_ones_where_the_spotlight_says_so() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let holds = json!({"hold_seconds": 600, "abandoned_hold_seconds": 30});
    let spotlight = server.spotlight(&broadcast, 10, holds).await;
    let shown = server.get(&format!("/v1/spotlights/{spotlight}"), &host()).await.expect(200);
    assert_eq!(shown.body["abandoned_hold_seconds"], 30);
    let mut unpaid = order_of(&spotlight, 1);
    unpaid["payment_method"] = Value::Null;
    for (key, seconds) in [("k1", 600), ("k2", 600), ("k3", 30)] {
        let order = server.order(&viewer("ana"), key, &unpaid).await.expect(202).id();
        assert_eq!(held(&server, &order).await, seconds, "{key}");
        let cancel = format!("/v1/orders/{order}/cancel");
        server.post(&cancel, &viewer("ana"), &json!({})).await.expect(202);
        server.ended(&order).await;
    }
    let order = server.order(&viewer("bob"), "k1", &unpaid).await.expect(202).id();
    assert_eq!(held(&server, &order).await, 600, "another viewer");
    server.stop().await;
}
