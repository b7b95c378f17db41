//! A shop's own server: takes webhooks, checks them with the published library, and answers as it
//! is told to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::Value;
use standardwebhooks::Webhook;

use crate::support::eventually;

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub headers: HeaderMap,
    pub bytes: Bytes,
    pub body: Value,
}

#[derive(Default)]
struct Shared {
    received: Vec<Received>,
    answers: VecDeque<StatusCode>,
}

/// The server; it ends with this.
pub struct Receiver {
    pub url: String,
    shared: Arc<Mutex<Shared>>,
    task: tokio::task::JoinHandle<()>,
}

async fn take(
    State(shared): State<Arc<Mutex<Shared>>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> StatusCode {
    let body = serde_json::from_slice(&bytes).expect("JSON");
    let mut shared = shared.lock();
    shared.received.push(Received { headers, bytes, body });
    shared.answers.pop_front().unwrap_or(StatusCode::NO_CONTENT)
}

impl Receiver {
    pub async fn start() -> Self {
        let shared = Arc::<Mutex<Shared>>::default();
        let routes = Router::new().route("/hook", post(take)).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
        let task = tokio::task::spawn(async move {
            axum::serve(listener, routes).await.expect("serves");
        });
        Self { url, shared, task }
    }

    /// How the next messages are answered; afterwards with 204.
    pub fn answer(&self, answers: impl IntoIterator<Item = StatusCode>) {
        self.shared.lock().answers.extend(answers);
    }

    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// The first message that fits, once it has come.
    pub async fn wait(&self, fits: impl Fn(&Received) -> bool) -> Received {
        eventually("a webhook comes", Duration::from_secs(30), async || {
            self.shared.lock().received.iter().find(|received| fits(received)).cloned()
        })
        .await
    }

    /// Waits for so many messages.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        eventually("webhooks come", Duration::from_secs(30), async || {
            let received = self.received();
            (received.len() >= count).then_some(received)
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Received {
    pub fn kind(&self) -> &str {
        self.body["type"].as_str().expect("a type")
    }

    pub fn id(&self) -> &str {
        self.headers["webhook-id"].to_str().expect("text")
    }

    /// Whether the library takes it under this secret.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        Webhook::new(secret).expect("a secret").verify(&self.bytes, &self.headers).is_ok()
    }
}
