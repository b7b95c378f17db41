//! Rates, traces, probes and the documents.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::{Server, host, order_of, viewer};

/// Headers that one request may have.
const HEADERS_MAX: usize = 80;
/// How often a viewer presses at once.
const PRESSES: u32 = 60;
/// How often a viewer repeats itself at once: more than it may order.
const REPEATS: u32 = 35;

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_has_a_rate_and_others_do_not_share_it() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let spotlight = server.spotlight(&broadcast, 1_000, json!({})).await;
    // all at once: asked one by one, a slow machine never reaches the rate
    let (ana, order) = (viewer("ana"), order_of(&spotlight, 1));
    let keys: Vec<String> = (0..PRESSES).map(|n| format!("k{n}")).collect();
    let answers = join_all(keys.iter().map(|key| server.order(&ana, key, &order))).await;
    let (refused, accepted): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 429);
    let passed = accepted.len();
    assert!(accepted.iter().all(|answer| answer.status == 202), "{accepted:?}");
    let refused = refused.into_iter().next();
    // the burst, and what came back meanwhile
    assert!(passed >= 20, "{passed}");
    let refused = refused.expect("the rate has a limit").problem(429, "rate_limited");
    let wait: u32 = refused.header("retry-after").and_then(|s| s.parse().ok()).expect("seconds");
    assert!(wait >= 1);
    assert_eq!(refused.header("ratelimit-policy"), Some("\"orders\";q=20;w=2"));
    assert!(refused.header("ratelimit").is_some_and(|limit| limit.contains("r=0")));
    server.order(&viewer("bob"), "k", &order_of(&spotlight, 1)).await.expect(202);

    // who repeats what was accepted orders nothing: more repeats than orders may pass are answered
    let cora = viewer("cora");
    server.order(&cora, "k", &order).await.expect(202);
    let again =
        async |times: u32| join_all((0..times).map(|_| server.order(&cora, "k", &order))).await;
    for answer in again(REPEATS).await {
        // two repeats at once may meet
        if answer.status != 409 {
            assert_eq!(answer.expect(202).header("idempotency-replayed"), Some("true"));
        }
    }
    let refused = again(PRESSES).await.into_iter().find(|answer| answer.status == 429);
    refused.expect("that has a rate of its own").problem(429, "rate_limited");
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
    let checks = ready["checks"].as_array().expect("checks");
    let names: Vec<_> = checks.iter().filter_map(|check| check["name"].as_str()).collect();
    let all = ["event_store", "command_log", "stock_gate", "writer", "feed", "read_models"];
    assert_eq!(names, all);
    let document = server.send(server.request(&Method::GET, "/openapi.json")).await.expect(200);
    let committed: Value =
        serde_json::from_str(&::api::openapi::document_json().expect("JSON")).expect("JSON");
    assert_eq!(document.body, committed);
    let document = server.send(server.request(&Method::GET, "/asyncapi.json")).await.expect(200);
    assert_eq!(document.body, ::api::asyncapi::document());
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

/// Of what the document names and of what stands beside it.
#[tokio::test(flavor = "multi_thread")]
async fn every_path_answers_a_wrong_method_with_a_problem() {
    let server = Server::start().await;
    let document: Value =
        serde_json::from_str(&::api::openapi::document_json().expect("JSON")).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let mut methods: Vec<(String, Vec<String>)> = paths
        .iter()
        .map(|(path, item)| {
            let known = item.as_object().expect("an item").keys();
            (path.replace("{id}", &uuid::Uuid::nil().to_string()), known.cloned().collect())
        })
        .collect();
    for path in ["/docs/", "/openapi.json", "/asyncapi.json", "/connection/websocket"] {
        methods.push((path.to_owned(), vec!["get".to_owned()]));
    }
    for (path, known) in methods {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            if known.contains(&method.as_str().to_lowercase()) {
                continue;
            }
            println!("{method} {path}");
            let answer = server.send(server.request(&method, &path)).await;
            let answer = answer.problem(405, "method_not_allowed");
            assert!(answer.header("allow").is_some(), "{answer:?}");
        }
    }
    for path in ["/", "/v1", "/v1/", "/v1/orders/", "/connection", "/connection/other", "/docs/x"] {
        println!("{path}");
        server.send(server.request(&Method::GET, path)).await.problem(404, "not_found");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_none_is_a_problem() {
    let server = Server::start().await;
    let get = || server.request(&Method::GET, "/connection/websocket");
    let plain = server.send(get()).await.problem(426, "upgrade_required");
    assert_eq!(plain.header("upgrade"), Some("websocket"));
    assert_eq!(plain.header("sec-websocket-version"), Some("13"));
    let upgrade = || get().header("connection", "upgrade").header("upgrade", "websocket");
    let old = upgrade().header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
    let old = old.header("sec-websocket-version", "8");
    server.send(old).await.problem(426, "upgrade_required");
    let keyless = upgrade().header("sec-websocket-version", "13");
    server.send(keyless).await.problem(400, "malformed_request");
    let whole = || {
        let key = upgrade().header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
        key.header("sec-websocket-version", "13")
    };
    let foreign = whole().header("origin", "https://evil.example");
    server.send(foreign).await.problem(403, "origin_not_allowed");
    assert_eq!(whole().send().await.expect("answers").status(), 101);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_bounded_in_size() {
    let server = Server::start().await;
    let address = server.base.strip_prefix("http://").expect("http").to_owned();
    let mut socket = TcpStream::connect(&address).await.expect("connects");
    // the bound counts names and values
    let large = |bytes| "x".repeat(bytes - "x-large".len());
    for path in ["/healthz", "/connection/websocket", "/v1/nothing"] {
        let request = server.request(&Method::GET, path).header("x-large", large(32 * 1024));
        server.send(request).await.problem(431, "headers_too_large");
    }
    // beside those that the client adds by itself
    let with_headers = |count: usize| {
        let plain = server.request(&Method::GET, "/healthz");
        (0..count).fold(plain, |request, n| request.header(format!("x-{n}"), "1"))
    };
    server.send(with_headers(HEADERS_MAX)).await.problem(431, "headers_too_large");
    server.send(with_headers(HEADERS_MAX - 8)).await.expect(200);
    let fits = server.request(&Method::GET, "/healthz").header("x-large", large(31 * 1024));
    server.send(fits).await.expect(200);
    // what is too much to be read has no body to its answer
    let huge = "x".repeat(256 * 1024);
    let request = format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx-large: {huge}\r\n\r\n");
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
