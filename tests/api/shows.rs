//! Broadcasts and spotlights as a host runs them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::server::{SELLER, Server, host, order_of, spotlight_of, token_of, viewer};
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_show_runs_from_its_announcement_to_its_end() {
    let server = Server::start().await;
    let body = json!({"title": "Friday", "currency": "KRW"});
    let made = server.post("/v1/broadcasts", &host(), &body).await.expect(201);
    let id = made.id();
    assert_eq!(made.header("location"), Some(format!("/v1/broadcasts/{id}").as_str()));
    assert_eq!(made.body["status"], "scheduled");
    assert_eq!(made.body["seller"], SELLER);
    let path = format!("/v1/broadcasts/{id}");
    // before the show a spotlight waits
    let early = server.spotlight(&id, 3, json!({})).await;
    let open = format!("/v1/spotlights/{early}/open");
    let shown = server.get(&format!("/v1/spotlights/{early}"), &host()).await.expect(200);
    assert_eq!(shown.body["status"], "scheduled");
    server.post(&open, &host(), &json!({})).await.problem(409, "broadcast_not_live");
    assert_eq!(
        server.post(&format!("{path}/start"), &host(), &json!({})).await.expect(200).body["status"],
        "live"
    );
    let opened = server.post(&open, &host(), &json!({})).await.expect(200);
    assert_eq!(opened.body["status"], "open");
    server.order(&viewer("ana"), "k", &order_of(&early, 1)).await.expect(202);
    let second = server.spotlight(&id, 3, json!({})).await;
    let listed = server.get(&format!("{path}/spotlights"), &viewer("ana")).await.expect(200);
    assert_eq!(listed.body["items"].as_array().map(Vec::len), Some(2));
    let ended = server.post(&format!("{path}/end"), &host(), &json!({})).await.expect(200);
    assert_eq!(ended.body["status"], "ended");
    for spotlight in [&early, &second] {
        server
            .order(&viewer("bob"), spotlight, &order_of(spotlight, 1))
            .await
            .problem(409, "closed");
        let shown = server.get(&format!("/v1/spotlights/{spotlight}"), &host()).await.expect(200);
        assert_eq!(shown.body["status"], "closed");
    }
    server.post(&format!("{path}/end"), &host(), &json!({})).await.expect(200);
    server
        .post(&format!("{path}/start"), &host(), &json!({}))
        .await
        .problem(409, "broadcast_ended");
    server.post(&open, &host(), &json!({})).await.problem(409, "broadcast_ended");
    let late = format!("{path}/products/spotlight");
    server.post(&late, &host(), &spotlight_of(1, json!({}))).await.problem(409, "broadcast_ended");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_hold_outlives_the_show_and_is_paid_after_its_end() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 2, json!({})).await;
    let (ana, mut unpaid) = (viewer("ana"), order_of(&spotlight, 1));
    unpaid["payment_method"] = Value::Null;
    let order = server.order(&ana, "k", &unpaid).await.expect(202).id();
    let path = format!("/v1/orders/{order}");
    let before = eventually("it is reserved", Duration::from_mins(1), async || {
        let shown = server.get(&path, &ana).await.expect(200).body;
        (shown["status"] == "reserved").then_some(shown)
    })
    .await;
    let end = format!("/v1/broadcasts/{broadcast}/end");
    let ended = server.post(&end, &host(), &json!({})).await.expect(200);
    assert_eq!(ended.body["status"], "ended");
    let shown = format!("/v1/spotlights/{spotlight}");
    let closed = server.get(&shown, &host()).await.expect(200).body;
    assert_eq!(
        (&closed["status"], &closed["inventory"]["lamp"]["held"]),
        (&json!("closed"), &json!(1))
    );
    server.order(&viewer("bob"), "k", &order_of(&spotlight, 1)).await.problem(409, "closed");
    let after = server.get(&path, &ana).await.expect(200).body;
    assert_eq!(after["status"], "reserved");
    assert_eq!(after["hold_expires_at"], before["hold_expires_at"], "it has the time it was given");

    let pay = json!({"method": "sim_ok"});
    server.post(&format!("{path}/payment"), &ana, &pay).await.expect(202);
    let paid = server.ended(&order).await;
    assert_eq!(
        (&paid["status"], &paid["payment"]["status"]),
        (&json!("confirmed"), &json!("captured"))
    );
    let sold = eventually("the unit is sold", Duration::from_mins(1), async || {
        let shown = server.get(&shown, &host()).await.expect(200).body;
        (shown["inventory"]["lamp"]["sold"] == 1).then_some(shown)
    })
    .await;
    assert_eq!(
        (&sold["status"], &sold["inventory"]["lamp"]["held"]),
        (&json!("closed"), &json!(0))
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosts_key_makes_a_repeat_harmless() {
    let server = Server::start().await;
    let show = json!({"title": "Friday", "currency": "KRW"});
    let create = async |body: &Value| {
        server.call(Method::POST, "/v1/broadcasts", Some(&host()), Some("k"), Some(body)).await
    };
    let first = create(&show).await.expect(201);
    assert_eq!(create(&show).await.expect(201).id(), first.id());
    let other = json!({"title": "Saturday", "currency": "KRW"});
    create(&other).await.problem(422, "idempotency_key_reused");
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 5, json!({})).await;
    let path = format!("/v1/spotlights/{spotlight}/stock");
    let more = json!({"sku": "lamp", "delta": 2, "reason": "found more"});
    for _ in 0..2 {
        let answer =
            server.call(Method::POST, &path, Some(&host()), Some("more"), Some(&more)).await;
        let lamp = &answer.expect(200).body["inventory"]["lamp"];
        assert_eq!((&lamp["limited_quantity"], &lamp["remaining"]), (&json!(7), &json!(7)));
    }
    let less = json!({"sku": "lamp", "delta": -3, "reason": "broken"});
    let host = host();
    for _ in 0..2 {
        let answer = server.call(Method::POST, &path, Some(&host), Some("less"), Some(&less)).await;
        assert_eq!(answer.expect(200).body["inventory"]["lamp"]["remaining"], 4);
    }
    let other = json!({"sku": "lamp", "delta": -1, "reason": "broken"});
    let price = |minor| json!({"live_price": {"minor": minor, "currency": "KRW"}, "reason": "r"});
    for (step, first, other) in [
        ("stock", &less, &other),
        ("offer", &price(9_900), &price(8_900)),
        ("pause", &json!({}), &json!({"reason": "a question"})),
        ("resume", &json!({"reason": "a"}), &json!({"reason": "b"})),
        ("close", &json!({}), &json!({"reason": "b"})),
    ] {
        let path = format!("/v1/spotlights/{spotlight}/{step}");
        let call = |body| server.call(Method::POST, &path, Some(&host), Some("less"), Some(body));
        call(first).await.expect(200);
        call(other).await.problem(422, "idempotency_key_reused");
        call(first).await.expect(200);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_saves_the_body_until_the_stock_moves() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 5, json!({})).await;
    let path = format!("/v1/spotlights/{spotlight}");
    let first = server.get(&path, &viewer("ana")).await.expect(200);
    let tag = first.header("etag").expect("a tag").to_owned();
    let ask = || server.request(&Method::GET, &path).header("If-None-Match", &tag);
    let unchanged = server.send(ask()).await.expect(304);
    assert_eq!(unchanged.header("etag"), Some(tag.as_str()));
    server.order(&viewer("ana"), "k", &order_of(&spotlight, 1)).await.expect(202);
    let changed = server.send(ask()).await.expect(200);
    assert_eq!(changed.body["inventory"]["lamp"]["remaining"], 4);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_of_a_show_add_up() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 4, json!({})).await;
    let good = server.order(&viewer("ana"), "k", &order_of(&spotlight, 2)).await.expect(202);
    let mut declined = order_of(&spotlight, 1);
    declined["payment_method"] = json!("sim_decline_hard");
    let bad = server.order(&viewer("bob"), "k", &declined).await.expect(202);
    assert_eq!(server.ended(&good.id()).await["status"], "confirmed");
    let failed = server.ended(&bad.id()).await;
    assert_eq!(
        (&failed["status"], &failed["reason"]),
        (&json!("failed"), &json!("payment_declined"))
    );
    let path = format!("/v1/broadcasts/{broadcast}/metrics");
    let host = token_of(SELLER, "host", "x");
    // the board has a checkpoint of its own beside the order book's
    eventually("the board has both ends", Duration::from_secs(10), async || {
        let numbers = server.get(&path, &host).await.body;
        (numbers["confirmed"] == 1 && numbers["failed"] == 1).then_some(())
    })
    .await;
    for role in ["host", "auditor"] {
        let numbers = server.get(&path, &token_of(SELLER, role, "x")).await.expect(200).body;
        for (name, value) in [
            ("orders", json!(2)),
            ("confirmed", json!(1)),
            ("failed", json!(1)),
            ("units_sold", json!(2)),
            ("sell_through_percent", json!(50.0)),
            ("reservation_success_percent", json!(100.0)),
            ("payment_completion_percent", json!(50.0)),
            ("revenue", json!({"minor": 39_800, "currency": "KRW"})),
            ("average_order", json!({"minor": 39_800, "currency": "KRW"})),
            ("guard_failures", json!(0)),
        ] {
            assert_eq!(numbers[name], value, "{name}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_shown_to_the_host() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 1, json!({})).await;
    server.order(&viewer("ana"), "k", &order_of(&spotlight, 1)).await.expect(202);
    for name in ["bob", "cat", "bob", "dan"] {
        let asked = order_of(&spotlight, if name == "dan" { 3 } else { 1 });
        server.order(&viewer(name), "k", &asked).await.problem(409, "sold_out");
    }
    let path = format!("/v1/broadcasts/{broadcast}/metrics");
    let told = eventually("all of it is told", Duration::from_mins(1), async || {
        let demand = server.get(&path, &host()).await.body["unmet_demand"].clone();
        (demand["requests"] == 4).then_some(demand)
    })
    .await;
    assert_eq!((&told["units"], &told["viewers"]), (&json!(6), &json!(3)));
    let sku = &told["skus"][0];
    assert_eq!((&sku["spotlight_id"], &sku["sku"]), (&json!(spotlight), &json!("lamp")));
    assert_eq!((&sku["units"], &sku["viewers"]), (&json!(6), &json!(3)));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_walked_by_its_cursor() {
    let server = Server::start().await;
    let body = json!({"title": "t", "currency": "KRW"});
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(server.post("/v1/broadcasts", &host(), &body).await.expect(201).id());
    }
    made.reverse();
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = server.get(&format!("/v1/broadcasts{query}"), &host()).await.expect(200).body;
        for item in page["items"].as_array().expect("items") {
            seen.push(item["id"].as_str().expect("an id").to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, made);
    server.stop().await;
}
