//! A client that says what it likes, frame by frame.

use domain::ids::BroadcastId;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::harness::soon;
use super::stage::{Stage, token};

pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    waiting: Vec<Value>,
}

impl Client {
    pub async fn open(stage: &Stage) -> Self {
        Self::at(&stage.url()).await
    }

    pub async fn at(url: &str) -> Self {
        let (socket, _) = connect_async(url).await.unwrap();
        Self { socket, waiting: vec![] }
    }

    /// Connects as somebody, watching a broadcast.
    pub async fn watching(url: &str, subject: &str, broadcast: BroadcastId) -> Self {
        let mut client = Self::at(url).await;
        let token = token("acme", subject, 600);
        let reply = client.connect(&token, json!({"broadcast": broadcast})).await;
        assert!(reply["connect"].is_object(), "{reply}");
        client
    }

    /// The result of a call.
    pub async fn call(&mut self, method: &str, data: Value) -> Value {
        let reply = self.ask(json!({"id": 77, "rpc": {"method": method, "data": data}})).await;
        let data = &reply["rpc"]["data"];
        if data.is_null() { reply } else { data.clone() }
    }

    /// The next message of a channel that fits; others are passed over.
    pub async fn message(&mut self, channel: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let push = self.frame().await["push"].clone();
            if push["channel"].as_str().is_some_and(|name| name.starts_with(channel))
                && fits(&push["pub"]["data"])
            {
                return push["pub"]["data"].clone();
            }
        }
    }

    pub async fn send(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    /// The reply to a command; what else comes meanwhile is kept for later.
    pub async fn ask(&mut self, command: Value) -> Value {
        let id = command["id"].clone();
        self.send(command.to_string()).await;
        let mut others = vec![];
        let reply = loop {
            let frame = self.frame().await;
            if frame["id"] == id {
                break frame;
            }
            others.push(frame);
        };
        others.append(&mut self.waiting);
        self.waiting = others;
        reply
    }

    pub async fn connect(&mut self, token: &str, data: Value) -> Value {
        self.ask(json!({"id": 1, "connect": {"token": token, "data": data}})).await
    }

    /// The next frame; several may come in one message.
    pub async fn frame(&mut self) -> Value {
        while self.waiting.is_empty() {
            let message = soon(self.socket.next()).await.expect("open").expect("a message");
            let text = message.into_text().unwrap();
            self.waiting = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        self.waiting.remove(0)
    }

    /// The code that the server closes with.
    pub async fn closed(&mut self) -> u16 {
        soon(async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                    Some(Ok(_)) => {}
                    end => panic!("no close frame: {end:?}"),
                }
            }
        })
        .await
    }
}

pub fn code(reply: &Value) -> &Value {
    &reply["error"]["code"]
}
