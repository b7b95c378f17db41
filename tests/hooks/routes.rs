//! Bad input and limits of the webhook routes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::server::{Server, host, viewer};

async fn refused(server: &Server, body: &Value) -> Vec<String> {
    let answer = server.post("/v1/webhook-endpoints", &host(), body).await;
    answer.problem(422, "invalid").pointers()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_is_named_and_private_addresses_are_refused() {
    let server = Server::start().await;
    let bad = json!({"url": "http://shop.example", "events": ["order.sold"], "more": 1});
    assert_eq!(refused(&server, &bad).await, ["/events", "/more", "/url"]);
    assert_eq!(refused(&server, &json!({})).await, ["/events", "/url"]);
    let many = vec!["order.failed"; 65];
    for events in [json!([]), json!("*"), json!([1]), json!(many)] {
        let body = json!({"url": "https://shop.example/", "events": events});
        assert_eq!(refused(&server, &body).await, ["/events"], "{events}");
    }
    for url in [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://u:p@shop.example/",
    ] {
        assert_eq!(
            refused(&server, &json!({"url": url, "events": ["*"]})).await,
            ["/url"],
            "{url}"
        );
    }
    let list = server.get("/v1/webhook-endpoints", &host()).await.expect(200);
    assert_eq!(list.body["items"], json!([]), "nothing was registered");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_has_twenty_endpoints() {
    let server = Server::start().await;
    let body = json!({"url": "https://93.184.216.34/hook", "events": ["*", "*"]});
    let mut last = String::new();
    for _ in 0..20 {
        let made = server.post("/v1/webhook-endpoints", &host(), &body).await.expect(201);
        last = made.id();
        assert_eq!(made.header("location"), Some(format!("/v1/webhook-endpoints/{last}").as_str()));
        assert_eq!(made.body["events"], json!(["*"]));
    }
    let more = server.post("/v1/webhook-endpoints", &host(), &body).await;
    more.problem(409, "too_many_endpoints");
    let path = format!("/v1/webhook-endpoints/{last}");
    server.call(Method::DELETE, &path, Some(&host()), None, None).await.expect(204);
    server.post("/v1/webhook-endpoints", &host(), &body).await.expect(201);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_things_and_cursors_are_told_apart() {
    let server = Server::start().await;
    let body = json!({"url": "https://93.184.216.34/hook", "events": ["*"]});
    let id = server.post("/v1/webhook-endpoints", &host(), &body).await.expect(201).id();
    let path = format!("/v1/webhook-endpoints/{id}/deliveries");
    server.get(&format!("{path}?cursor=x"), &host()).await.problem(422, "invalid");
    server.get(&format!("{path}?limit=201"), &host()).await.problem(422, "invalid");
    server.get(&format!("{path}?limit=200"), &host()).await.expect(200);
    for unknown in ["nothing", "00000000-0000-4000-8000-000000000000"] {
        let path = format!("{path}/{unknown}/redeliver");
        server.post(&path, &host(), &json!({})).await.problem(404, "not_found");
    }
    server.get(&path, &viewer("ana")).await.problem(403, "forbidden");
    server.stop().await;
}
