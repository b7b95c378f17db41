//! The upgrade: refused before the 101 where it is to be refused, and after it the socket is ours.

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::LiveState;
use super::codec::Codec;
use super::connection::run;
use super::limits::INBOUND_BYTES_MAX;
use super::outbox::Outbox;
use super::refused::{self, NoUpgrade};
use super::socket::{Incoming, Outgoing, set_up};

/// The subprotocol of Protobuf.
const PROTOBUF: &str = "centrifuge-protobuf";
/// The subprotocol of JSON, which is also spoken where none is asked for.
const JSON: &str = "centrifuge-json";

/// Answers the upgrade.
pub async fn upgrade(
    State(live): State<Arc<LiveState>>,
    RawQuery(query): RawQuery,
    mut request: Request,
) -> Response {
    let accepted = match accept(&request) {
        Ok(accepted) => accepted,
        Err(refusal) => return refused::not_an_upgrade(refusal).into_response(),
    };
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return refused::not_an_upgrade(NoUpgrade::NotAsked).into_response();
    };
    if !live.origins.admits(request.headers()) {
        return refused::foreign_origin().into_response();
    }
    let address = live.doors.address(request.extensions(), request.headers());
    let seat = match live.doors.enter(address) {
        Ok(seat) => seat,
        Err(shut) => return refused::shut(shut).into_response(),
    };
    let protocol = protocol(request.headers());
    let is_protobuf =
        protocol.map_or_else(|| asks_for_protobuf(query.as_deref()), |name| name == PROTOBUF);
    let codec = if is_protobuf { Codec::Protobuf } else { Codec::Json };
    let connections = live.connections.clone();
    connections.spawn(Box::pin(async move {
        match upgrade.await {
            Ok(upgraded) => serve(live, upgraded, codec).await,
            Err(error) => tracing::debug!(%error, "a connection was not upgraded"),
        }
        drop(seat);
    }));
    switching(accepted, protocol)
}

/// The answer that hands the connection over.
pub(super) fn switching(accepted: HeaderValue, protocol: Option<&'static str>) -> Response {
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    if let Some(protocol) = protocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    response
}

async fn serve(live: Arc<LiveState>, upgraded: Upgraded, codec: Codec) {
    let Some((socket, head)) = take_over(upgraded) else { return };
    let (read, write) = socket.into_split();
    let outbox = Arc::new(Outbox::new(codec).on(write).of_shard(live.shards.next()));
    let mut reader = Incoming::new(read, outbox.clone(), &head, INBOUND_BYTES_MAX);
    // a part, though empty, of all that hyper had room for
    drop(head);
    let mut writer = Outgoing::new(outbox.clone());
    Box::pin(run(live, outbox, None, &mut reader, &mut writer)).await;
}

/// The socket under the connection, and what of it was read already.
pub(super) fn take_over(upgraded: Upgraded) -> Option<(TcpStream, bytes::Bytes)> {
    let Ok(parts) = downcast::<TokioIo<TcpStream>>(upgraded) else {
        tracing::error!("a connection is not a socket of ours");
        return None;
    };
    let socket = parts.io.into_inner();
    if let Err(error) = set_up(&socket) {
        // it is gone already, mostly
        tracing::debug!(%error, "a socket was not set up");
        return None;
    }
    Some((socket, parts.read_buf))
}

/// What a request to upgrade is accepted with.
///
/// # Errors
/// It is not one.
pub(super) fn accept(request: &Request) -> Result<HeaderValue, NoUpgrade> {
    let headers = request.headers();
    if request.version() > Version::HTTP_11 {
        return Err(NoUpgrade::NotHttp1);
    }
    if request.method() != Method::GET {
        return Err(NoUpgrade::NotGet);
    }
    let names = |header: HeaderName, token: &str| {
        list(headers, header).any(|name| name.eq_ignore_ascii_case(token))
    };
    let is_asked = names(CONNECTION, "upgrade") && names(UPGRADE, "websocket");
    if !is_asked || headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(NoUpgrade::NotAsked);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or(NoUpgrade::NoKey)?;
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).map_err(|_| NoUpgrade::NoKey)
}

/// The names in a header's lists.
fn list(headers: &HeaderMap, header: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header).into_iter();
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim)
}

/// The first subprotocol of ours that is asked for.
fn protocol(headers: &HeaderMap) -> Option<&'static str> {
    let mut asked = list(headers, SEC_WEBSOCKET_PROTOCOL);
    asked.find_map(|asked| [PROTOBUF, JSON].into_iter().find(|ours| *ours == asked))
}

fn asks_for_protobuf(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "format=protobuf"))
}
