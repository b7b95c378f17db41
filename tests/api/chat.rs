//! Moderation over HTTP against a real server: what it answers, what it keeps, what survives.

use futures::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::server::{SELLER, Server, host, token_of, viewer};
use crate::support::eventually;

const WITHIN: Duration = Duration::from_secs(10);

fn moderator() -> String {
    token_of(SELLER, "moderator", "mo")
}

struct Line {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    connect: Value,
}

impl Line {
    async fn open(server: &Server, token: &str, broadcast: &str) -> Self {
        let url = server.base.replacen("http", "ws", 1) + "/connection/websocket";
        let (socket, _) = connect_async(url).await.expect("connects");
        let mut line = Self { socket, connect: Value::Null };
        let data = json!({"broadcast": broadcast});
        line.connect = line.ask(json!({"id": 1, "connect": {"token": token, "data": data}})).await;
        line
    }

    async fn ask(&mut self, command: Value) -> Value {
        let id = command["id"].clone();
        self.socket.send(Message::text(command.to_string())).await.expect("sends");
        loop {
            let message = tokio::time::timeout(WITHIN, self.socket.next()).await.expect("in time");
            let text = message.expect("open").expect("a message").into_text().expect("text");
            for line in text.lines() {
                let frame: Value = serde_json::from_str(line).expect("JSON");
                if frame["id"] == id {
                    return frame;
                }
            }
        }
    }

    async fn say(&mut self, broadcast: &str, message: &str) -> Value {
        let data = json!({"broadcast": broadcast, "message": message});
        let call = json!({"id": 2, "rpc": {"method": "chat.send", "data": data}});
        self.ask(call).await["rpc"]["data"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_kept_by_moderators_and_survives_a_restart() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let chat = |rest: &str| format!("/v1/broadcasts/{broadcast}/chat/{rest}");
    let keep = moderator();
    let post = async |server: &Server, rest: &str, body: Value| {
        server.post(&chat(rest), &keep, &body).await
    };
    let mut ana = Line::open(&server, &viewer("ana"), &broadcast).await;
    let sent = ana.say(&broadcast, "does it come in red?").await;
    let message = sent["id"].as_str().expect("sent").to_owned();

    let slow = post(&server, "slow", json!({"seconds": 5})).await.expect(200);
    assert_eq!((&slow.body["slow_seconds"], &slow.body["frozen"]), (&json!(5), &json!(false)));
    let words = json!({"words": ["rude"]});
    let put =
        server.call(Method::PUT, &chat("banned-words"), Some(&keep), None, Some(&words)).await;
    assert_eq!(put.expect(200).body["banned_words"], json!(["rude"]));
    // the chat log takes it a moment later
    let pinned = eventually("the message can be pinned", WITHIN, async || {
        let answer = post(&server, "pin", json!({"message_id": message})).await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(pinned.body["pinned"]["message"], "does it come in red?");
    assert_eq!(pinned.body["pinned"]["viewer"], "ana");
    let said = post(&server, "announce", json!({"message": "five minutes"})).await.expect(200);
    assert!(said.body["id"].is_string());
    post(&server, "viewers/bo/ban", json!({"reason": "spam"})).await.expect(200);
    post(&server, "viewers/cy/mute", json!({"seconds": 600})).await.expect(200);
    post(&server, "freeze", json!({})).await.expect(200);

    let server = server.restart().await;
    let line = Line::open(&server, &viewer("ana"), &broadcast).await;
    let data = &line.connect["connect"]["subs"][format!("chat:{broadcast}")]["data"];
    assert_eq!(data["mode"], json!({"type": "mode", "frozen": true, "slow_seconds": 5}));
    assert_eq!(data["pinned"]["message_id"], json!(message));
    let banned = Line::open(&server, &viewer("bo"), &broadcast).await;
    assert_eq!(banned.connect["error"]["code"], 103);
    let thawed = post(&server, "thaw", json!({})).await.expect(200);
    assert_eq!(thawed.body["frozen"], false);
    let mut cy = Line::open(&server, &viewer("cy"), &broadcast).await;
    assert_eq!(cy.say(&broadcast, "hi").await["refused"]["code"], "muted");
    post(&server, "viewers/bo/pardon", json!({})).await.expect(200);
    eventually("the pardon is heard", WITHIN, async || {
        let again = Line::open(&server, &viewer("bo"), &broadcast).await;
        again.connect["connect"].is_object().then_some(())
    })
    .await;

    let gone = chat(&format!("messages/{message}"));
    let gone = server.call(Method::DELETE, &gone, Some(&keep), None, None).await.expect(200);
    assert_eq!(gone.body["pinned"], Value::Null, "what is taken away is not pinned");
    let export = server.get(&chat("export?format=ndjson"), &keep).await.expect(200);
    assert_eq!(export.header("content-type"), Some("application/x-ndjson"));
    let lines = export.text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let lines: Vec<Value> = lines.collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["id"], &lines[0]["viewer"]), (&json!(message), &json!("ana")));
    assert!(lines[0]["removed_at"].is_string());
    let csv = server.get(&chat("export"), &host()).await.expect(200);
    assert!(csv.header("content-type").is_some_and(|kind| kind.starts_with("text/csv")));
    let rows: Vec<&str> = csv.text.lines().collect();
    assert_eq!(rows[0], "id,sent_at,viewer,name,role,message,hidden,removed_at");
    assert!(rows[1].starts_with(&message) && rows[1].contains("\"does it come in red?\""));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_moderation_names_what_is_bad() {
    let server = Server::start().await;
    let broadcast = server.live_broadcast().await;
    let chat = |rest: &str| format!("/v1/broadcasts/{broadcast}/chat/{rest}");
    for (rest, body, bad) in [
        ("announce", json!({}), "/message"),
        ("slow", json!({"seconds": -1}), "/seconds"),
        ("slow", json!({"seconds": 3601}), "/seconds"),
        ("pin", json!({"message_id": "x"}), "/message_id"),
        ("pin", json!({"message_id": uuid::Uuid::nil()}), "/message_id"),
        ("viewers/ana/mute", json!({"seconds": 0}), "/seconds"),
        ("viewers/ana/mute", json!({"shadow": true}), "/shadow"),
        ("viewers/ana/ban", json!({"shadow": 1}), "/shadow"),
    ] {
        let answer = server.post(&chat(rest), &moderator(), &body).await.problem(422, "invalid");
        assert_eq!(answer.pointers(), [bad], "{rest} {body}");
    }
    let gone = chat("messages/x");
    server
        .call(Method::DELETE, &gone, Some(&moderator()), None, None)
        .await
        .problem(404, "not_found");
    let odd = server.get(&chat("export?format=pdf"), &moderator()).await.problem(422, "invalid");
    assert_eq!(odd.pointers(), ["?format"]);
    let key = Some("k");
    let freeze = chat("announce");
    let token = moderator();
    let say = async |text: &str| {
        let body = json!({"message": text});
        server.call(Method::POST, &freeze, Some(&token), key, Some(&body)).await
    };
    let first = say("hello").await.expect(200).id();
    assert_eq!(say("hello").await.expect(200).id(), first, "a repeat is harmless");
    say("other").await.problem(422, "idempotency_key_reused");
    server.post(&format!("/v1/broadcasts/{broadcast}/end"), &host(), &json!({})).await.expect(200);
    server.post(&chat("freeze"), &moderator(), &json!({})).await.problem(409, "broadcast_ended");
    server.get(&chat("export"), &moderator()).await.expect(200);
    server.stop().await;
}
