//! What is sent where.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::schemas::{kinds, named};
use crate::live::schema::{Command, Reply};
use crate::live::{EMULATION_PATH, HTTP_STREAM_PATH, PATH, SSE_PATH};
use crate::wire::OrderBody;
use crate::wire::feed::{
    CallRefused, ChatMessage, ChatSend, ChatSent, ChatWelcome, EmulatedCommands, LikeSend, Liked,
    LiveState, OrderGet, UserMessage, UserWelcome,
};

/// Where the sockets' server stands in the document.
const SOCKETS: &str = "#/servers/sockets";
/// Where the server of the fallback stands.
const HTTP: &str = "#/servers/http";
/// Only what is new, as RFC 7396 has it.
const MERGE_PATCH: &str = "application/merge-patch+json";

/// The messages of a document, as they are collected.
#[derive(Default)]
struct Messages(Map<String, Value>);

impl Messages {
    /// Adds one whose payload is a type.
    fn of<T: ToSchema>(&mut self, title: &str) -> String {
        let (name, payload) = named::<T>();
        self.add(&name, title, &payload)
    }

    /// Adds each kind of a type.
    fn of_kinds<T: ToSchema>(&mut self, prefix: &str) -> Vec<String> {
        let add = |(kind, payload): (String, Value)| {
            let name = format!("{prefix}.{kind}");
            self.add(&name, &name, &payload)
        };
        kinds::<T>().into_iter().map(add).collect()
    }

    fn add(&mut self, name: &str, title: &str, payload: &Value) -> String {
        let message = json!({"name": name, "title": title, "payload": payload});
        self.0.insert(name.to_owned(), message);
        name.to_owned()
    }
}

/// The channels, and the messages that they name.
pub(super) fn channels() -> (Value, Value) {
    let mut all = Messages::default();
    let protocol = [all.of::<Command>("A command"), all.of::<Reply>("A reply, or a push")];
    let handed = [all.of::<EmulatedCommands>("Commands to a connection of a fallback")];
    let channels = json!({
        "websocket": transport(PATH, SOCKETS, &protocol, WEBSOCKET, json!({"ws": ws_binding()})),
        "http_stream": transport(HTTP_STREAM_PATH, HTTP, &protocol, HTTP_STREAM, json!({})),
        "sse": transport(SSE_PATH, HTTP, &protocol, SSE, json!({})),
        "emulation": transport(EMULATION_PATH, HTTP, &handed, EMULATION, json!({})),
        "live": live(&mut all),
        "chat": chat(&mut all),
        "user": user(&mut all),
        "calls": calls(&mut all),
    });
    (channels, Value::Object(all.0))
}

const WEBSOCKET: &str = "Commands and replies, several in a message: a line each. In Protobuf, each \
    after its length, where the subprotocol is `centrifuge-protobuf` or the query has \
    `format=protobuf`. `{}` is a ping, and its answer.";
const HTTP_STREAM: &str = "The first commands are the body of the POST; replies are the lines of a long \
    answer, whose connect result has `session` and `node`. Further commands go to `/emulation`.";
const SSE: &str = "The first commands are the query's `cf_connect`; replies are server-sent events. \
    Further commands go to `/emulation`.";
const EMULATION: &str =
    "Commands to a connection of `http_stream` or `sse`, on whichever node it is; 204.";

fn transport(
    address: &str,
    server: &str,
    messages: &[String],
    about: &str,
    bindings: Value,
) -> Value {
    let mut channel = channel(address, about, messages);
    set(&mut channel, "servers", json!([{"$ref": server}]));
    if bindings.as_object().is_some_and(|bindings| !bindings.is_empty()) {
        set(&mut channel, "bindings", bindings);
    }
    channel
}

fn ws_binding() -> Value {
    let format = json!({"type": "string", "enum": ["json", "protobuf"]});
    let query = json!({"type": "object", "properties": {"format": format}});
    json!({"method": "GET", "query": query, "bindingVersion": "0.1.0"})
}

fn live(all: &mut Messages) -> Value {
    let about = "The state of a broadcast: a subscription begins with the whole of it in its `data`, then \
        come merge patches (RFC 7396), summed up to one in 50 ms. The first change, and one that \
        matters at once, is not held back. Offsets may jump.";
    let state = all.of::<LiveState>("The state as a subscription begins with it");
    let patch = all.add("LivePatch", "What has changed in the state", &json!({"type": "object"}));
    if let Some(patch) = all.0.get_mut(&patch) {
        set(patch, "contentType", json!(MERGE_PATCH));
    }
    of_broadcast("live:{broadcast}", about, &[state, patch])
}

fn chat(all: &mut Messages) -> Value {
    let about = "The chat of a broadcast: a stream that keeps 200 messages for 5 minutes. Of more than 20 a \
        second the rest is counted; what one has said oneself is always there.";
    let mut messages = vec![all.of::<ChatWelcome>("What a subscription begins with")];
    messages.extend(all.of_kinds::<ChatMessage>("chat"));
    of_broadcast("chat:{broadcast}", about, &messages)
}

fn user(all: &mut Messages) -> Value {
    let about = "The viewer's own stream, which keeps 100 messages for 24 hours: contiguous, nothing is \
        dropped or summed up. An order's `version` is its own sequence: keep the higher one.";
    let mut messages = vec![all.of::<UserWelcome>("What a subscription begins with")];
    messages.extend(all.of_kinds::<UserMessage>("user"));
    let mut channel = channel("user#{viewer}", about, &messages);
    let viewer = json!({"description": "The subject of the viewer's token"});
    set(&mut channel, "parameters", json!({"viewer": viewer}));
    channel
}

fn calls(all: &mut Messages) -> Value {
    let about = "The `rpc` command of a connection: `method` names the call, `data` is its argument, and the \
        result's. A refusal is a result.";
    let messages = [
        all.of::<ChatSend>("chat.send: say something"),
        all.of::<ChatSent>("It was said"),
        all.of::<LikeSend>("like: like a broadcast"),
        all.of::<Liked>("It was counted"),
        all.of::<OrderGet>("order.get: read an order"),
        all.of::<OrderBody>("The order, as HTTP reads it"),
        all.of::<CallRefused>("Why the call was refused"),
    ];
    channel("rpc", about, &messages)
}

fn of_broadcast(address: &str, about: &str, messages: &[String]) -> Value {
    let mut channel = channel(address, about, messages);
    let broadcast = json!({"description": "The broadcast's id"});
    set(&mut channel, "parameters", json!({"broadcast": broadcast}));
    channel
}

fn channel(address: &str, about: &str, messages: &[String]) -> Value {
    let place = |name: &String| {
        let place = format!("#/components/messages/{name}");
        (name.clone(), json!({"$ref": place}))
    };
    let messages: Map<String, Value> = messages.iter().map(place).collect();
    json!({"address": address, "description": about, "messages": messages})
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}
