//! Bad input: each its documented problem, never 500, and nothing changes.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::server::{Answer, Server, host, order_of, spotlight_of, viewer};

fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    match body.pointer_mut(parent).expect("the parent") {
        Value::Array(items) => items[name.parse::<usize>().expect("an index")] = value,
        other => other[name] = value,
    }
    body
}

async fn raw(
    server: &Server,
    path: &str,
    token: &str,
    kind: Option<&str>,
    body: Vec<u8>,
) -> Answer {
    let mut request = server.request(&Method::POST, path).bearer_auth(token).body(body);
    request = request.header("Idempotency-Key", "bad");
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    server.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_orders_name_every_bad_field_and_change_nothing() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 10, json!({})).await;
    let head = server.head().await;
    let good = || order_of(&spotlight, 1);
    let quantity =
        |value: Value| with(good(), "/lines/0", json!({"sku": "lamp", "quantity": value}));
    let twice = json!([{"sku": "lamp", "quantity": 1}, {"sku": "lamp", "quantity": 1}]);
    let many = json!([{"sku": "a", "quantity": 50}, {"sku": "b", "quantity": 50}]);
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("zero", quantity(json!(0)), &["/lines/0/quantity"]),
        ("negative", quantity(json!(-1)), &["/lines/0/quantity"]),
        ("fraction", quantity(json!(1.5)), &["/lines/0/quantity"]),
        ("one as a fraction", quantity(json!(1.0)), &["/lines/0/quantity"]),
        ("too many", quantity(json!(100)), &["/lines/0/quantity"]),
        ("huge", quantity(json!(u64::MAX)), &["/lines/0/quantity"]),
        ("enormous", quantity(json!(1e308)), &["/lines/0/quantity"]),
        ("text", quantity(json!("1")), &["/lines/0/quantity"]),
        ("null", quantity(Value::Null), &["/lines/0/quantity"]),
        ("duplicate lines", with(good(), "/lines", twice), &["/lines/1/sku"]),
        ("100 units over two lines", with(good(), "/lines", many), &["/lines"]),
        ("no lines", with(good(), "/lines", json!([])), &["/lines"]),
        ("lines as an object", with(good(), "/lines", json!({})), &["/lines"]),
        ("an unknown SKU", with(good(), "/lines/0/sku", json!("nope")), &["/lines"]),
        ("an unknown field", with(good(), "/coupon", json!("x")), &["/coupon"]),
        (
            "an unknown field in a line",
            with(good(), "/lines/0/price", json!(1)),
            &["/lines/0/price"],
        ),
        ("no version", with(good(), "/offer_version", Value::Null), &["/offer_version"]),
        ("version 0", with(good(), "/offer_version", json!(0)), &["/offer_version"]),
        ("a malformed spotlight", with(good(), "/spotlight_id", json!("x")), &["/spotlight_id"]),
        ("an unknown method", with(good(), "/payment_method", json!("gold")), &["/payment_method"]),
        ("a long reference", with(good(), "/reference", json!("x".repeat(129))), &["/reference"]),
        ("metadata as a list", with(good(), "/metadata", json!([])), &["/metadata"]),
        (
            "large metadata",
            with(good(), "/metadata", json!({"k": "x".repeat(2_100)})),
            &["/metadata"],
        ),
        ("a list", json!([]), &[""]),
        ("a number", json!(1), &[""]),
        (
            "everything at once",
            json!({"spotlight_id": 1, "offer_version": -1, "lines": [{"quantity": 0}], "x": 1}),
            &["/lines/0/quantity", "/lines/0/sku", "/offer_version", "/spotlight_id", "/x"],
        ),
    ];
    for (index, (name, body, pointers)) in cases.iter().enumerate() {
        println!("{name}");
        // a viewer each, so that the rate limit stays out of it
        let token = viewer(&format!("v{index}"));
        let answer = server.order(&token, "bad", body).await.problem(422, "invalid");
        assert_eq!(answer.pointers(), *pointers, "{name}");
    }
    let unknown = with(good(), "/spotlight_id", json!(Uuid::new_v4()));
    server.order(&viewer("ana"), "bad", &unknown).await.problem(404, "not_found");
    assert_eq!(server.head().await, head, "a bad order changed something");
    let stock = server.get(&format!("/v1/spotlights/{spotlight}"), &host()).await.expect(200);
    assert_eq!(stock.body["inventory"]["lamp"]["remaining"], 10);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_declared_and_well_formed() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 10, json!({})).await;
    let head = server.head().await;
    let (ana, json_type) = (viewer("ana"), Some("application/json"));
    for text in ["", "{", "{\"a\":}", "nul", "{\"a\":1}}", "\u{feff}{}"] {
        let body = text.as_bytes().to_vec();
        raw(&server, "/v1/orders", &ana, json_type, body).await.problem(400, "malformed_json");
    }
    let deep = [b"[".repeat(200), b"]".repeat(200)].concat();
    raw(&server, "/v1/orders", &ana, json_type, deep).await.problem(400, "malformed_json");
    let invalid_utf8 = b"{\"a\":\"\xff\"}".to_vec();
    raw(&server, "/v1/orders", &ana, json_type, invalid_utf8).await.problem(400, "malformed_json");
    let good = order_of(&spotlight, 1).to_string();
    for (once, twice) in [
        ("\"offer_version\":1", "\"offer_version\":1,\"offer_version\":1"),
        ("\"quantity\":1", "\"quantity\":1,\"quantity\":9"),
        ("\"quantity\":1", "\"quantity\":1,\"\\u0071uantity\":9"),
    ] {
        let body = good.replace(once, twice);
        assert_ne!(body, good);
        let answer = raw(&server, "/v1/orders", &ana, json_type, body.into_bytes()).await;
        let detail = answer.problem(400, "malformed_json").body["detail"].to_string();
        assert!(detail.contains("twice"), "{detail}");
    }
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let answer = raw(&server, "/v1/orders", &ana, kind, good.clone().into_bytes()).await;
        answer.problem(415, "unsupported_media_type");
    }
    let bob = viewer("bob");
    let padded = |bytes: usize| [good.as_bytes(), &b" ".repeat(bytes - good.len())].concat();
    let over = raw(&server, "/v1/orders", &bob, json_type, padded(32 * 1024 + 1)).await;
    over.problem(413, "body_too_large");
    let title = |bytes: usize| json!({"title": "x".repeat(bytes), "currency": "KRW"}).to_string();
    let large = title(256 * 1024).into_bytes();
    raw(&server, "/v1/broadcasts", &host(), json_type, large).await.problem(413, "body_too_large");
    assert_eq!(server.head().await, head, "a bad body changed something");
    let fits = raw(&server, "/v1/orders", &bob, json_type, padded(32 * 1024)).await;
    fits.expect(202);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_keys_are_refused() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 10, json!({})).await;
    let (ana, body) = (viewer("ana"), order_of(&spotlight, 1));
    let missing = server.call(Method::POST, "/v1/orders", Some(&ana), None, Some(&body)).await;
    missing.problem(400, "idempotency_key_missing");
    let long = "k".repeat(256);
    for key in ["", "a b", long.as_str()] {
        server.order(&ana, key, &body).await.problem(400, "idempotency_key_invalid");
    }
    let first = server.order(&ana, &"k".repeat(255), &body).await.expect(202);
    let other = order_of(&spotlight, 2);
    server.order(&ana, &"k".repeat(255), &other).await.problem(422, "idempotency_key_reused");
    let again = server.order(&ana, &"k".repeat(255), &body).await.expect(202);
    assert_eq!(again.id(), first.id());
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.body["receipt"], first.body["receipt"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_broadcasts_and_spotlights_are_refused() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let head = server.head().await;
    let show = json!({"title": "t", "currency": "KRW"});
    let shows: Vec<(Value, &[&str])> = vec![
        (with(show.clone(), "/currency", json!("XXX")), &["/currency"]),
        (with(show.clone(), "/currency", json!("krw")), &["/currency"]),
        (with(show.clone(), "/title", json!("")), &["/title"]),
        (with(show.clone(), "/title", json!("x".repeat(201))), &["/title"]),
        (with(show.clone(), "/starts_at", json!("2001-01-01T00:00:00Z")), &["/starts_at"]),
        (with(show.clone(), "/starts_at", json!("9999-01-01T00:00:00Z")), &["/starts_at"]),
        (with(show.clone(), "/starts_at", json!("soon")), &["/starts_at"]),
        (json!({"name": "t"}), &["/currency", "/name", "/title"]),
    ];
    for (body, pointers) in shows {
        println!("{body}");
        let answer = server.post("/v1/broadcasts", &host(), &body).await.problem(422, "invalid");
        assert_eq!(answer.pointers(), pointers);
    }
    let at = |days: i64| {
        json!(
            (chrono::DateTime::from_timestamp(super::server::now() + days * 86_400, 0))
                .expect("a time")
        )
    };
    let lamp = || spotlight_of(1, json!({}));
    let dollars = json!({"minor": 1, "currency": "USD"});
    let twice = json!([{"sku": "a", "limited_quantity": 1}, {"sku": "a", "limited_quantity": 1}]);
    let spotlights: Vec<(Value, &[&str])> = vec![
        (with(lamp(), "/live_price", dollars.clone()), &["/live_price"]),
        (with(lamp(), "/product/original_price", dollars), &["/product/original_price"]),
        (with(lamp(), "/live_price", json!({"minor": 0, "currency": "KRW"})), &["/live_price"]),
        (with(lamp(), "/live_price", json!({"minor": 1.5, "currency": "KRW"})), &["/live_price"]),
        (with(lamp(), "/live_price", json!(19_900)), &["/live_price"]),
        (with(lamp(), "/skus", twice), &["/skus/1/sku"]),
        (with(lamp(), "/skus/0/limited_quantity", json!(0)), &["/skus/0/limited_quantity"]),
        (
            with(lamp(), "/skus/0/limited_quantity", json!(10_000_001)),
            &["/skus/0/limited_quantity"],
        ),
        (with(lamp(), "/hold_seconds", json!(1)), &["/hold_seconds"]),
        (with(lamp(), "/hold_seconds", json!(3_601)), &["/hold_seconds"]),
        (with(lamp(), "/abandoned_hold_seconds", json!(1)), &["/abandoned_hold_seconds"]),
        (with(lamp(), "/abandoned_hold_seconds", json!(601)), &["/abandoned_hold_seconds"]),
        (
            with(with(lamp(), "/hold_seconds", json!(60)), "/abandoned_hold_seconds", json!(61)),
            &["/abandoned_hold_seconds"],
        ),
        (with(lamp(), "/per_viewer_limit", json!(0)), &["/per_viewer_limit"]),
        (with(lamp(), "/closes_at", at(-1)), &["/closes_at"]),
        (with(lamp(), "/opens_at", at(-1)), &["/opens_at"]),
        (with(with(lamp(), "/opens_at", at(2)), "/closes_at", at(1)), &["/closes_at"]),
        (with(with(lamp(), "/opens_at", at(1)), "/closes_at", at(1)), &["/closes_at"]),
        (
            with(with(lamp(), "/opens_at", at(-1)), "/closes_at", at(-2)),
            &["/closes_at", "/opens_at"],
        ),
        (with(lamp(), "/product/image_url", json!("javascript:x")), &["/product/image_url"]),
        (json!({}), &["/live_price", "/product", "/skus"]),
    ];
    let path = format!("/v1/broadcasts/{broadcast}/products/spotlight");
    for (body, pointers) in spotlights {
        println!("{body}");
        let answer = server.post(&path, &host(), &body).await.problem(422, "invalid");
        assert_eq!(answer.pointers(), pointers);
    }
    assert_eq!(server.head().await, head, "a bad body changed something");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_changes_of_a_spotlight_are_refused() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 5, json!({})).await;
    let head = server.head().await;
    let stock = json!({"sku": "lamp", "delta": 1, "reason": "r"});
    let offer = json!({"live_price": {"minor": 1, "currency": "KRW"}, "reason": "r"});
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("stock", with(stock.clone(), "/delta", json!(0)), &["/delta"]),
        ("stock", with(stock.clone(), "/delta", json!(0.5)), &["/delta"]),
        ("stock", with(stock.clone(), "/delta", json!(10_000_000)), &["/delta"]),
        ("stock", with(stock.clone(), "/sku", json!("nope")), &["/sku"]),
        ("stock", with(stock.clone(), "/reason", Value::Null), &["/reason"]),
        ("offer", with(offer.clone(), "/live_price/currency", json!("USD")), &["/live_price"]),
        ("offer", with(offer.clone(), "/live_price/minor", json!(-1)), &["/live_price"]),
        ("pause", json!({"reason": "x".repeat(501)}), &["/reason"]),
        ("close", json!({"why": "x"}), &["/why"]),
    ];
    for (step, body, pointers) in cases {
        println!("{step} {body}");
        let path = format!("/v1/spotlights/{spotlight}/{step}");
        let answer = server.post(&path, &host(), &body).await.problem(422, "invalid");
        assert_eq!(answer.pointers(), pointers);
    }
    let path = format!("/v1/spotlights/{spotlight}/stock");
    let all = with(stock, "/delta", json!(-6));
    let refused = server.post(&path, &host(), &all).await.problem(409, "below_committed");
    assert_eq!(refused.body["remaining"], 5);
    assert_eq!(server.head().await, head, "a bad change changed something");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_things_routes_methods_and_parameters_are_problems() {
    let server = Server::start().await;
    let nowhere = Uuid::new_v4();
    for path in [
        format!("/v1/orders/{nowhere}"),
        "/v1/orders/not-a-uuid".to_owned(),
        format!("/v1/spotlights/{nowhere}"),
        "/v1/spotlights/%00".to_owned(),
        format!("/v1/broadcasts/{nowhere}"),
        format!("/v1/broadcasts/{nowhere}/spotlights"),
        format!("/v1/broadcasts/{nowhere}/metrics"),
        "/v1/nothing".to_owned(),
        "/".to_owned(),
    ] {
        println!("{path}");
        server.get(&path, &host()).await.problem(404, "not_found");
    }
    let put = server.call(Method::PUT, "/v1/orders", Some(&host()), None, None).await;
    assert!(put.header("allow").is_some_and(|allow| allow.contains("POST")));
    put.problem(405, "method_not_allowed");
    for (query, pointer) in [
        ("limit=0", "?limit"),
        ("limit=201", "?limit"),
        ("limit=many", "?limit"),
        ("limit=1&limit=2", "?limit"),
        ("cursor=!!", "?cursor"),
        ("status=lost", "?status"),
        ("since=yesterday", "?since"),
        ("spotlight_id=x", "?spotlight_id"),
        ("page=2", "?page"),
    ] {
        println!("{query}");
        let answer = server.get(&format!("/v1/orders?{query}"), &host()).await;
        assert_eq!(answer.problem(422, "invalid").pointers(), [pointer]);
    }
    let cursor = server.get("/v1/broadcasts?cursor=bm90aGluZw", &host()).await;
    assert_eq!(cursor.problem(422, "invalid").pointers(), ["?cursor"]);
    server.get("/v1/orders?limit=200", &host()).await.expect(200);
    server.stop().await;
}
