//! The WebSocket: the upgrade, and its two halves.

use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite;

use super::LiveState;
use super::codec::Codec;
use super::codes::Close;
use super::connection::{Reader, Writer, run};
use super::limits::{INBOUND_BYTES_MAX, READ_BUFFER_BYTES};
use super::refused;

/// The subprotocol of Protobuf.
const PROTOBUF: &str = "centrifuge-protobuf";
/// The subprotocol of JSON, which is also spoken where none is asked for.
const JSON: &str = "centrifuge-json";

/// Answers the upgrade: refuses it before the 101 where this node goes away or is full, and where
/// the page is not one of ours.
pub async fn upgrade(
    State(live): State<Arc<LiveState>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return refused::not_an_upgrade(&rejection).into_response(),
    };
    if !live.origins.admits(&headers) {
        return refused::foreign_origin().into_response();
    }
    let Some(seat) = live.seat() else { return refused::no_seat(&live).into_response() };
    let upgrade = upgrade.protocols([PROTOBUF, JSON]);
    let asked = upgrade.selected_protocol().and_then(|protocol| protocol.to_str().ok());
    let is_protobuf =
        asked.map_or_else(|| asks_for_protobuf(query.as_deref()), |asked| asked == PROTOBUF);
    let codec = if is_protobuf { Codec::Protobuf } else { Codec::Json };
    upgrade
        .max_message_size(INBOUND_BYTES_MAX)
        .max_frame_size(INBOUND_BYTES_MAX)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .on_upgrade(move |socket| async move {
            let tracked = live.connections.clone();
            let (sink, stream) = socket.split();
            let (reader, writer) = (Incoming { stream, codec }, Outgoing { sink, codec });
            tracked.track_future(Box::pin(run(live, codec, None, reader, writer))).await;
            drop(seat);
        })
}

fn asks_for_protobuf(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "format=protobuf"))
}

struct Incoming {
    stream: SplitStream<WebSocket>,
    codec: Codec,
}

impl Reader for Incoming {
    async fn read(&mut self) -> Option<Result<Bytes, Close>> {
        loop {
            return Some(match self.stream.next().await? {
                Ok(Message::Text(text)) if self.codec == Codec::Json => Ok(text.into()),
                Ok(Message::Binary(bytes)) if self.codec == Codec::Protobuf => Ok(bytes),
                Ok(Message::Text(_) | Message::Binary(_)) => Err(Close::BadRequest),
                Ok(Message::Ping(_) | Message::Pong(_)) => continue,
                Err(error) if is_too_large(&error) => Err(Close::TooLarge),
                Ok(Message::Close(_)) | Err(_) => return None,
            });
        }
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(tungstenite::Error::Capacity(_)) = error.downcast_ref() {
            return true;
        }
        source = error.source();
    }
    false
}

struct Outgoing {
    sink: SplitSink<WebSocket, Message>,
    codec: Codec,
}

impl Writer for Outgoing {
    async fn write(&mut self, message: Bytes) -> bool {
        let message = match self.codec {
            // JSON is always UTF-8
            Codec::Json => Utf8Bytes::try_from(message).ok().map(Message::Text),
            Codec::Protobuf => Some(Message::Binary(message)),
        };
        let Some(message) = message else { return false };
        self.sink.send(message).await.is_ok()
    }

    async fn close(&mut self, close: Close) {
        let (code, reason) = close.parts();
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        let _ = self.sink.send(Message::Close(Some(frame))).await;
        let _ = self.sink.close().await;
    }
}
