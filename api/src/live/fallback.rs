//! The routes of networks without WebSocket, as the official JavaScript client speaks them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::{Bytes, BytesMut};
use futures::stream;
use prost::Message;
use serde::Deserialize;
use tokio::sync::mpsc;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::LiveState;
use super::codec::Codec;
use super::codes::Close;
use super::connection::{Reader, Writer, run};
use super::emulation::Line;
use super::limits::{EMULATION_BODY_BYTES_MAX, INBOUND_BYTES_MAX};
use super::origin::Origins;
use super::outbox::Outbox;
use super::protocol::disconnected;
use super::refused;
use super::schema::EmulationRequest;
use crate::problem::{Code, Problem};
use crate::wire::feed::EmulatedCommands;

/// The path of server-sent events.
pub const SSE_PATH: &str = "/connection/sse";
/// The path of the long answer.
pub const HTTP_STREAM_PATH: &str = "/connection/http_stream";
/// The path of commands.
pub const EMULATION_PATH: &str = "/emulation";
/// The media type of Protobuf.
const OCTETS: &str = "application/octet-stream";
/// Messages that wait between the connection and HTTP.
const WAITING_MESSAGES: usize = 4;
/// Proxies are not to hold pushes back.
const NO_BUFFERING: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// The routes. A page of another origin that may connect asks the browser first.
pub fn routes(origins: Origins) -> Router<Arc<LiveState>> {
    let admitted = AllowOrigin::predicate(move |_, request| origins.admits(&request.headers));
    let cors = CorsLayer::new()
        .allow_origin(admitted)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([CONTENT_TYPE]);
    Router::new()
        .route(SSE_PATH, get(sse))
        .route(HTTP_STREAM_PATH, post(http_stream))
        .route(EMULATION_PATH, post(emulation))
        .layer(DefaultBodyLimit::max(EMULATION_BODY_BYTES_MAX))
        .layer(cors)
}

/// How messages stand in the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// An event each.
    Events,
    /// A line each, or each after its length.
    Lines(Codec),
}

impl Shape {
    const fn codec(self) -> Codec {
        match self {
            Self::Events => Codec::Json,
            Self::Lines(codec) => codec,
        }
    }

    fn wrap(self, message: &Bytes) -> Bytes {
        match self {
            Self::Lines(Codec::Protobuf) => message.clone(),
            Self::Lines(Codec::Json) => [message, &b"\n"[..]].concat().into(),
            Self::Events => {
                let mut event = BytesMut::with_capacity(message.len().saturating_add(16));
                for line in message.split(|byte| *byte == b'\n') {
                    event.extend_from_slice(b"data: ");
                    event.extend_from_slice(line);
                    event.extend_from_slice(b"\n");
                }
                event.extend_from_slice(b"\n");
                event.freeze()
            }
        }
    }
}

/// The query of server-sent events: a browser lets a page set nothing else.
#[derive(Deserialize)]
struct FirstCommands {
    #[serde(default)]
    cf_connect: String,
}

/// Server-sent events; the first commands come in the query.
async fn sse(
    State(live): State<Arc<LiveState>>,
    extensions: Extensions,
    headers: HeaderMap,
    Query(first): Query<FirstCommands>,
) -> Response {
    begin(live, (&extensions, &headers), Shape::Events, first.cf_connect.into())
}

/// A long answer; the first commands are the body.
async fn http_stream(
    State(live): State<Arc<LiveState>>,
    extensions: Extensions,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let codec = if is_octets(&headers) { Codec::Protobuf } else { Codec::Json };
    begin(live, (&extensions, &headers), Shape::Lines(codec), body)
}

fn is_octets(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind == OCTETS)
}

/// Commands to a connection, wherever it is held.
async fn emulation(
    State(live): State<Arc<LiveState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !live.origins.admits(&headers) {
        return refused::foreign_origin().into_response();
    }
    let request = if is_octets(&headers) {
        EmulationRequest::decode(body).ok()
    } else {
        let wrapped: Option<EmulatedCommands> = serde_json::from_slice(&body).ok();
        wrapped.map(|EmulatedCommands { node, session, data }| EmulationRequest {
            node,
            session,
            data: data.into(),
        })
    };
    let Some(EmulationRequest { node, session, data }) = request else {
        return Problem::new(Code::MalformedRequest).into_response();
    };
    if data.len() > INBOUND_BYTES_MAX {
        return Problem::new(Code::BodyTooLarge).into_response();
    }
    match live.emulation.hand_over(&node, &session, data).await {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => Problem::not_found("node").into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

fn begin(
    live: Arc<LiveState>,
    (extensions, headers): (&Extensions, &HeaderMap),
    shape: Shape,
    first: Bytes,
) -> Response {
    if !live.origins.admits(headers) {
        return refused::foreign_origin().into_response();
    }
    if first.len() > INBOUND_BYTES_MAX {
        return Problem::new(Code::BodyTooLarge).into_response();
    }
    let seat = match live.doors.enter(live.doors.address(extensions, headers)) {
        Ok(seat) => seat,
        Err(shut) => return refused::shut(shut).into_response(),
    };
    let (sender, messages) = mpsc::channel(WAITING_MESSAGES);
    let session = live.ids.uuid().to_string();
    let commands = live.emulation.begin(session.clone());
    let mut reader = Incoming { first: Some(first), commands, gone: sender.clone() };
    let mut writer = Outgoing { sender, shape };
    let tracked = live.connections.clone();
    let outbox = Arc::new(Outbox::new(shape.codec()).of_shard(live.shards.next()));
    tracked.spawn(async move {
        run(live, outbox, Some(session), &mut reader, &mut writer).await;
        drop(seat);
    });
    let body = stream::unfold(messages, |mut messages: mpsc::Receiver<Bytes>| async {
        let message = messages.recv().await?;
        Some((Ok::<_, Infallible>(message), messages))
    });
    let kind = match shape {
        Shape::Events => "text/event-stream",
        Shape::Lines(Codec::Json) => "application/json",
        Shape::Lines(Codec::Protobuf) => OCTETS,
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        NO_BUFFERING,
    ];
    (headers, Body::from_stream(body)).into_response()
}

struct Incoming {
    first: Option<Bytes>,
    commands: Line,
    gone: mpsc::Sender<Bytes>,
}

impl Reader for Incoming {
    async fn read(&mut self) -> Option<Result<Bytes, Close>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        tokio::select! {
            () = self.gone.closed() => None,
            message = self.commands.next() => message.map(Ok),
        }
    }
}

struct Outgoing {
    sender: mpsc::Sender<Bytes>,
    shape: Shape,
}

impl Writer for Outgoing {
    async fn write(&mut self, outbox: &Outbox, within: Duration) -> Option<Close> {
        loop {
            let message = match outbox.next().await {
                Ok(message) => self.shape.wrap(&message),
                Err(close) => return Some(close),
            };
            tokio::select! {
                sent = self.sender.send(message) => sent.ok()?,
                () = outbox.overflowed() => return Some(Close::Slow),
                () = tokio::time::sleep(within) => return Some(Close::Slow),
            }
        }
    }

    async fn close(&mut self, close: Close) {
        let goodbye = self.shape.codec().encode(&disconnected(close.parts()));
        let _ = self.sender.send(self.shape.wrap(&goodbye)).await;
    }
}
