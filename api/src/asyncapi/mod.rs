//! The `AsyncAPI` document of the sockets, generated from the types that are sent.

mod channels;
mod operations;
mod schemas;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};

use crate::live::{Close, Refusal};

/// The path of the document.
pub const PATH: &str = "/asyncapi.json";

const ABOUT: &str = "Stock, chat and orders as they happen.\n\nSockets speak the Centrifuge client \
    protocol, version 2, in JSON or Protobuf: use an official `centrifuge` SDK. \
    `POST /v1/broadcasts/{id}/join` (see `/openapi.json`) answers with address, token and channels; the \
    token goes into the connect command, whose `data` is `{\"broadcast\": id}`: the reply is subscribed \
    to all three channels of the broadcast. After a cut the SDK names epoch and offset of each \
    channel. `live:` gives its whole state again; a stream gives all that was missed, or \
    `recovered: false` and its data. `x-closes` and `x-errors` are the numbers that SDKs act on.";

/// The document.
pub fn document() -> Value {
    let (channels, messages) = channels::channels();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "onair",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0.html",
            },
            "x-closes": closes(),
            "x-errors": errors(),
        },
        "defaultContentType": "application/json",
        "servers": {
            "sockets": server("ws", "WebSocket"),
            "http": server("http", "The same where networks have no WebSocket"),
        },
        "channels": channels,
        "operations": operations::operations(),
        "components": {"messages": messages, "schemas": schemas::schemas()},
    })
}

fn server(protocol: &str, description: &str) -> Value {
    let host = json!({"default": "127.0.0.1:8080", "description": "The node's address"});
    json!({
        "host": "{host}",
        "protocol": protocol,
        "description": description,
        "variables": {"host": host},
    })
}

fn closes() -> Vec<Value> {
    let close = |close: Close| {
        let (code, reason) = close.parts();
        json!({"code": code, "reason": reason, "reconnect": close.reconnects()})
    };
    Close::ALL.into_iter().map(close).collect()
}

fn errors() -> Vec<Value> {
    let error = |refusal: Refusal| {
        let (code, message, temporary) = refusal.parts();
        json!({"code": code, "message": message, "temporary": temporary})
    };
    Refusal::ALL.into_iter().map(error).collect()
}

/// The document as it is committed.
///
/// # Errors
/// It cannot be written as JSON.
pub fn document_json() -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&document())?;
    text.push('\n');
    Ok(text)
}

/// The route of the document.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let document = axum::Json(document());
    Router::new().route(PATH, get(async move || document))
}

#[cfg(test)]
mod tests;
