//! The routes of networks without WebSocket, as no SDK would use them.

use api::live::{EMULATION_PATH, HTTP_STREAM_PATH, INBOUND_BYTES_MAX, LiveLimits, PATH, SSE_PATH};
use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::harness::soon;
use super::stage::{Stage, token};

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

fn base(stage: &Stage) -> String {
    stage.url().replace("ws://", "http://").replace(PATH, "")
}

/// The next frames of a long answer.
async fn frames(response: &mut Response) -> Vec<Value> {
    let chunk = soon(response.chunk()).await.unwrap().expect("open");
    let text = String::from_utf8(chunk.to_vec()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn commands_find_their_connection_by_session_alone() {
    let stage = Stage::start(LiveLimits::default()).await;
    let (http, base) = (client(), base(&stage));
    let connect = json!({"id": 1, "connect": {"token": token("acme", "ana", 600)}}).to_string();
    let open = http.post(format!("{base}{HTTP_STREAM_PATH}")).body(connect).send();
    let mut open = soon(open).await.unwrap();
    assert_eq!(open.headers()["content-type"], "application/json");
    let reply = frames(&mut open).await.remove(0);
    let connected = &reply["connect"];
    let ask = async |session: &Value, data: Value| {
        let body = json!({"node": connected["node"], "session": session, "data": data.to_string()});
        let sent = http.post(format!("{base}{EMULATION_PATH}")).body(body.to_string()).send();
        soon(sent).await.unwrap().status()
    };
    assert_eq!(ask(&connected["session"], json!({"id": 2, "ping": {}})).await, 204);
    assert_eq!(frames(&mut open).await, [json!({"id": 2, "ping": {}})]);
    // nobody's session: nothing is told about it, and nobody hears it
    assert_eq!(ask(&json!("guessed"), json!({"id": 3, "ping": {}})).await, 204);
    assert_eq!(ask(&connected["session"], json!("no command")).await, 204);
    let goodbye = frames(&mut open).await.remove(0);
    assert_eq!(goodbye["push"]["disconnect"], json!({"code": 3501, "reason": "bad request"}));
    assert!(soon(open.chunk()).await.unwrap().is_none(), "the answer ends");
}

#[tokio::test]
async fn what_is_no_connection_is_refused() {
    let stage = Stage::start(LiveLimits { connections: 1, ..LiveLimits::default() }).await;
    let (http, base) = (client(), base(&stage));
    for path in [HTTP_STREAM_PATH, EMULATION_PATH] {
        let foreign =
            http.post(format!("{base}{path}")).header("origin", "https://evil.example").send();
        assert_eq!(soon(foreign).await.unwrap().status(), 403, "{path}");
    }
    let foreign =
        http.get(format!("{base}{SSE_PATH}")).header("origin", "https://evil.example").send();
    assert_eq!(soon(foreign).await.unwrap().status(), 403);
    let own = http
        .request(reqwest::Method::OPTIONS, format!("{base}{EMULATION_PATH}"))
        .header("origin", base.as_str())
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let own = soon(own.send()).await.unwrap();
    assert_eq!(own.headers()["access-control-allow-origin"], base.as_str());
    let broken = http.post(format!("{base}{EMULATION_PATH}")).body("{").send();
    assert_eq!(soon(broken).await.unwrap().status(), 400);
    let made_up = json!({"node": "n.0", "session": "s", "data": "{}"}).to_string();
    let made_up = http.post(format!("{base}{EMULATION_PATH}")).body(made_up).send();
    assert_eq!(soon(made_up).await.unwrap().status(), 404, "the bus keeps nothing for nobody");
    let long = "x".repeat(INBOUND_BYTES_MAX + 1);
    let wrapped = json!({"node": "n", "session": "s", "data": long}).to_string();
    for (path, body) in [(EMULATION_PATH, wrapped), (HTTP_STREAM_PATH, long)] {
        let large = http.post(format!("{base}{path}")).body(body).send();
        assert_eq!(soon(large).await.unwrap().status(), 413, "{path}");
    }
    let mut open = soon(http.get(format!("{base}{SSE_PATH}?cf_connect=x")).send()).await.unwrap();
    assert_eq!(open.headers()["content-type"], "text/event-stream");
    let said = soon(open.chunk()).await.unwrap().expect("open");
    assert!(said.starts_with(b"data: {\"push\":{\"disconnect\":{\"code\":3501"), "{said:?}");
    drop(open);
    let _held = soon(http.post(format!("{base}{HTTP_STREAM_PATH}")).body("").send()).await.unwrap();
    let full = soon(http.post(format!("{base}{HTTP_STREAM_PATH}")).body("").send()).await.unwrap();
    assert_eq!(full.status(), 503);
    assert!(full.headers().contains_key("retry-after"));
}
