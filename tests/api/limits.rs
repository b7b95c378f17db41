//! Rates, traces, probes and the documents.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::{Server, host, order_of, viewer};

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_has_a_rate_and_others_do_not_share_it() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 1_000, json!({})).await;
    let (mut passed, mut refused) = (0, None);
    for n in 0..60 {
        let answer = server.order(&viewer("ana"), &format!("k{n}"), &order_of(&spotlight, 1)).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.expect(202);
        passed += 1;
    }
    // the burst, and what came back meanwhile
    assert!(passed >= 20, "{passed}");
    let refused = refused.expect("the rate has a limit").problem(429, "rate_limited");
    let wait: u32 = refused.header("retry-after").and_then(|s| s.parse().ok()).expect("seconds");
    assert!(wait >= 1);
    assert_eq!(refused.header("ratelimit-policy"), Some("\"orders\";q=20;w=2"));
    assert!(refused.header("ratelimit").is_some_and(|limit| limit.contains("r=0")));
    server.order(&viewer("bob"), "k", &order_of(&spotlight, 1)).await.expect(202);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_and_a_request_keeps_its_id() {
    let server = Server::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = server
        .request(&Method::GET, "/v1/orders")
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
        .header("x-request-id", "mine-1");
    let answer = server.send(request).await.problem(401, "unauthenticated");
    assert_eq!(answer.body["trace_id"], trace);
    assert_eq!(answer.header("x-request-id"), Some("mine-1"));
    let bad = server
        .request(&Method::GET, "/v1/orders")
        .header("traceparent", "garbage")
        .header("x-request-id", "x".repeat(129));
    let answer = server.send(bad).await.problem(401, "unauthenticated");
    assert!(answer.header("x-request-id").is_some_and(|id| id.len() == 36));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_documents_and_metrics_answer() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    for path in ["/healthz", "/readyz", "/version"] {
        server.send(server.request(&Method::GET, path)).await.expect(200);
        let ops = reqwest::get(format!("{}{path}", server.ops)).await.expect("answers");
        assert_eq!(ops.status(), 200, "{path}");
    }
    let ready = server.send(server.request(&Method::GET, "/readyz")).await.body;
    assert_eq!(ready["status"], "ready");
    assert!(ready["checks"].as_array().is_some_and(|checks| checks.len() >= 4), "{ready}");
    let document = server.send(server.request(&Method::GET, "/openapi.json")).await.expect(200);
    let committed: Value =
        serde_json::from_str(&::api::openapi::document_json().expect("JSON")).expect("JSON");
    assert_eq!(document.body, committed);
    let docs = server.send(server.request(&Method::GET, "/docs/")).await.expect(200);
    let page = docs.body.as_str().expect("a page").to_owned();
    assert!(page.contains("swagger") && !page.contains("https://"), "loads from another host");
    let metrics = reqwest::get(format!("{}/metrics", server.ops)).await.expect("answers");
    let text = metrics.text().await.expect("text");
    assert!(text.contains("onair_http_requests_total"), "{text:.300}");
    assert!(!text.contains(&broadcast), "an id is a label");
    // metrics are not public
    server.send(server.request(&Method::GET, "/metrics")).await.problem(404, "not_found");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_bounded_in_size() {
    let server = Server::start().await;
    let address = server.base.strip_prefix("http://").expect("http").to_owned();
    let mut socket = TcpStream::connect(&address).await.expect("connects");
    let large = "x".repeat(64 * 1024);
    let request = format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx-large: {large}\r\n\r\n");
    let _ = socket.write_all(request.as_bytes()).await;
    let mut answer = vec![0; 64];
    let read = tokio::time::timeout(Duration::from_secs(10), socket.read(&mut answer)).await;
    let read = read.expect("in time").unwrap_or(0);
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    server.send(server.request(&Method::GET, "/healthz")).await.expect(200);
    server.stop().await;
}

/// What the server says until it says nothing for a while.
async fn heard(socket: &mut TcpStream, bound: Duration) -> String {
    let (mut heard, mut part) = (Vec::new(), vec![0; 4_096]);
    while let Ok(Ok(read)) = tokio::time::timeout(bound, socket.read(&mut part)).await {
        if read == 0 {
            break;
        }
        heard.extend_from_slice(&part[..read]);
        if heard.ends_with(b"}") {
            break;
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_before_its_body_leaves_the_connection_whole() {
    let server = Server::start().await;
    let address = server.base.strip_prefix("http://").expect("http").to_owned();
    let mut socket = TcpStream::connect(&address).await.expect("connects");
    let head = "POST /v1/orders HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    for _ in 0..3 {
        let request = format!("{head}content-length: 2\r\n\r\n");
        socket.write_all(request.as_bytes()).await.expect("writes");
        // an answer that does not wait for the body would close the connection here
        let early = heard(&mut socket, Duration::from_millis(200)).await;
        socket.write_all(b"{}").await.expect("the connection is still there");
        let answer = early + &heard(&mut socket, Duration::from_secs(10)).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    // nobody waits for a body of any size: the client is told to connect again
    let request = format!("{head}content-length: 10000000\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("writes");
    let answer = heard(&mut socket, Duration::from_secs(10)).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_answers_no_more_and_starts_where_it_stopped() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 3, json!({})).await;
    let order = server.order(&viewer("ana"), "k", &order_of(&spotlight, 1)).await.expect(202);
    server.ended(&order.id()).await;
    let server = server.restart().await;
    let read = server.get(&format!("/v1/orders/{}", order.id()), &viewer("ana")).await.expect(200);
    assert_eq!(read.body["status"], "confirmed");
    let again = server.order(&viewer("ana"), "k", &order_of(&spotlight, 1)).await.expect(202);
    assert_eq!(again.id(), order.id());
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    server.order(&viewer("bob"), "k", &order_of(&spotlight, 3)).await.problem(409, "sold_out");
    server.order(&viewer("bob"), "k2", &order_of(&spotlight, 2)).await.expect(202);
    let shown = server.get(&format!("/v1/spotlights/{spotlight}"), &host()).await.expect(200);
    assert_eq!(shown.body["inventory"]["lamp"]["limited_quantity"], 3);
    server.stop().await;
}
