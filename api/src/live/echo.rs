//! A route for the conformance suite, which no server has: the sockets as they are, and whoever
//! sends a message is sent it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use hyper::upgrade::{OnUpgrade, Upgraded};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::TaskTracker;

use super::codec::Codec;
use super::connection::Writer;
use super::outbox::Outbox;
use super::refused::{self, NoUpgrade};
use super::socket::{Incoming, Outgoing};
use super::upgrade::{accept, switching, take_over};
use super::wire;

/// The path of the route.
pub const ECHO_PATH: &str = "/echo";
/// Bytes of one message; the suite's largest has a quarter of them.
const MESSAGE_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// How long one write or the farewell may take.
const WITHIN: Duration = Duration::from_secs(20);

/// The route.
pub fn router() -> Router {
    Router::new().route(ECHO_PATH, any(upgrade)).with_state(TaskTracker::new())
}

async fn upgrade(State(tasks): State<TaskTracker>, mut request: Request) -> Response {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    match (accept(&request), upgrade) {
        (Ok(accepted), Some(upgrade)) => {
            tasks.spawn(async move {
                if let Ok(upgraded) = upgrade.await {
                    serve(upgraded).await;
                }
            });
            switching(accepted, None)
        }
        (Err(refusal), _) => refused::not_an_upgrade(refusal).into_response(),
        (_, None) => refused::not_an_upgrade(NoUpgrade::NotAsked).into_response(),
    }
}

async fn serve(upgraded: Upgraded) {
    let Some((socket, head)) = take_over(upgraded) else { return };
    let (read, write) = socket.into_split();
    let outbox = Outbox::new(Codec::Json).on(write).with_reply_bytes_max(MESSAGE_BYTES_MAX);
    let outbox = Arc::new(outbox);
    let reader = Incoming::new(read, outbox.clone(), &head, MESSAGE_BYTES_MAX);
    let mut writer = Outgoing::new(outbox.clone());
    let close = tokio::select! {
        () = repeat(reader, &outbox) => None,
        close = writer.write(&outbox, WITHIN) => close,
    };
    if let Some(close) = close {
        let _ = tokio::time::timeout(WITHIN, writer.close(close)).await;
    }
}

async fn repeat(mut reader: Incoming, outbox: &Outbox) {
    while let Some(message) = reader.message().await {
        match message {
            Ok(Message::Text(text)) => {
                outbox.frame(wire::message(Codec::Json, text.as_bytes()));
            }
            Ok(message) => outbox.frame(wire::message(Codec::Protobuf, &message.into_data())),
            Err(close) => {
                outbox.close(close);
                return std::future::pending().await;
            }
        }
    }
}
