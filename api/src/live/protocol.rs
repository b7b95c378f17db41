//! The Centrifuge client protocol, version 2, JSON: the commands that are understood, and the
//! frames that answer them.

use std::collections::BTreeMap;

use axum::extract::ws::Utf8Bytes;
use domain::ids::BroadcastId;
use domain::ports::{FeedMessage, FeedPosition};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::codes::Refusal;

/// A ping, and its answer.
pub const PING: &str = "{}";

/// One command. Members that are not known are ignored: SDKs send more than is needed.
#[derive(Debug, Default, Deserialize)]
pub struct Command {
    /// What the reply is to carry; 0 for what has no reply.
    #[serde(default)]
    pub id: u32,
    /// Begins the session.
    pub connect: Option<Connect>,
    /// Asks for a channel.
    pub subscribe: Option<Subscribe>,
    /// Gives a channel up.
    pub unsubscribe: Option<Unsubscribe>,
    /// Brings a new token.
    pub refresh: Option<Refresh>,
    /// Asks for an answer.
    pub ping: Option<Value>,
    /// A message without a reply; not offered.
    pub send: Option<Value>,
}

/// Begins the session.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Connect {
    /// The token.
    pub token: String,
    /// What the client wants to watch: `{"broadcast": ID}`.
    pub data: Option<Value>,
    /// Where its server-side subscriptions stood.
    pub subs: BTreeMap<String, Subscribe>,
}

impl Connect {
    /// The broadcast that the client wants to watch.
    ///
    /// # Errors
    /// What it names is no id.
    pub fn broadcast(&self) -> Result<Option<BroadcastId>, Refusal> {
        match self.data.as_ref().and_then(|data| data.get("broadcast")) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(id)) => id.parse().map(Some).map_err(|_| Refusal::BadRequest),
            Some(_) => Err(Refusal::BadRequest),
        }
    }
}

/// Asks for a channel.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Subscribe {
    /// Its name.
    pub channel: String,
    /// Whether to go on after `epoch` and `offset`.
    pub recover: bool,
    /// The known life of the channel.
    pub epoch: String,
    /// The last known message.
    pub offset: u64,
}

impl Subscribe {
    /// The place to go on after.
    pub fn after(&self) -> Option<FeedPosition> {
        self.recover.then(|| FeedPosition { epoch: self.epoch.clone(), offset: self.offset })
    }
}

/// Gives a channel up.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Unsubscribe {
    /// Its name.
    pub channel: String,
}

/// Brings a new token.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Refresh {
    /// The token.
    pub token: String,
}

/// The answer to connect.
#[derive(Debug, Serialize)]
pub struct Connected {
    /// The connection's id.
    pub client: String,
    /// The server's version.
    pub version: &'static str,
    /// Whether the token runs out.
    pub expires: bool,
    /// Seconds until then.
    pub ttl: u64,
    /// Seconds between pings.
    pub ping: u64,
    /// Whether pings are to be answered.
    pub pong: bool,
    /// The subscriptions that the server made.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subs: BTreeMap<String, Subscribed>,
}

/// The answer to refresh.
#[derive(Debug, Serialize)]
pub struct Refreshed {
    /// The connection's id.
    pub client: String,
    /// The server's version.
    pub version: &'static str,
    /// Whether the token runs out.
    pub expires: bool,
    /// Seconds until then.
    pub ttl: u64,
}

/// A subscription as it begins.
#[expect(clippy::struct_excessive_bools, reason = "the protocol's members")]
#[derive(Debug, Serialize)]
pub struct Subscribed {
    /// Whether it can be gone on with after a cut.
    pub recoverable: bool,
    /// Whether its offsets mean something.
    pub positioned: bool,
    /// The life of the channel.
    pub epoch: String,
    /// Its top.
    pub offset: u64,
    /// Whether the client asked to go on.
    #[serde(skip_serializing_if = "is_false")]
    pub was_recovering: bool,
    /// Whether nothing was missed, or all of it is in `publications`.
    #[serde(skip_serializing_if = "is_false")]
    pub recovered: bool,
    /// What was missed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publications: Vec<Publication>,
    /// The state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

/// One message of a channel.
#[derive(Debug, Serialize)]
pub struct Publication {
    /// Its number.
    pub offset: u64,
    /// It.
    pub data: std::sync::Arc<Value>,
}

impl From<FeedMessage> for Publication {
    fn from(message: FeedMessage) -> Self {
        Self { offset: message.position.offset, data: message.data }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A reply with its result under the command's name.
pub fn reply(id: u32, command: &'static str, result: &impl Serialize) -> Utf8Bytes {
    encode(&BTreeMap::from([("id", Part::Id(id)), (command, Part::Body(result))]))
}

/// A reply that refuses.
pub fn refuse(id: u32, refusal: Refusal) -> Utf8Bytes {
    let (code, message, temporary) = refusal.parts();
    let mut error = serde_json::json!({"code": code, "message": message});
    if temporary && let Some(members) = error.as_object_mut() {
        members.insert("temporary".to_owned(), Value::Bool(true));
    }
    encode(&serde_json::json!({"id": id, "error": error}))
}

/// A message of a channel, on its way.
pub fn publication(channel: &str, publication: &Publication) -> Utf8Bytes {
    push(channel, "pub", publication)
}

/// A subscription that begins again by itself, with all of its state.
pub fn subscribed(channel: &str, subscribed: &Subscribed) -> Utf8Bytes {
    push(channel, "subscribe", subscribed)
}

/// The end of a subscription.
pub fn unsubscribed(channel: &str, (code, reason): (u32, &str)) -> Utf8Bytes {
    push(channel, "unsubscribe", &serde_json::json!({"code": code, "reason": reason}))
}

fn push(channel: &str, kind: &'static str, body: &impl Serialize) -> Utf8Bytes {
    let push = BTreeMap::from([("channel", Part::Name(channel)), (kind, Part::Body(body))]);
    encode(&BTreeMap::from([("push", push)]))
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a, T> {
    Id(u32),
    Name(&'a str),
    Body(&'a T),
}

/// What is encoded here always fits JSON.
fn encode(frame: &impl Serialize) -> Utf8Bytes {
    serde_json::to_string(frame).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decoded(frame: &Utf8Bytes) -> Value {
        serde_json::from_str(frame.as_str()).unwrap()
    }

    #[test]
    fn frames_read_as_the_protocol_says() {
        let refused = refuse(7, Refusal::TooManyRequests);
        let error = json!({"code": 111, "message": "too many requests", "temporary": true});
        assert_eq!(decoded(&refused), json!({"id": 7, "error": error}));
        let error = json!({"code": 103, "message": "permission denied"});
        assert_eq!(
            decoded(&refuse(1, Refusal::PermissionDenied)),
            json!({"id": 1, "error": error})
        );
        let message = Publication { offset: 3, data: std::sync::Arc::new(json!({"a": 1})) };
        let pushed = json!({"push": {"channel": "c", "pub": {"offset": 3, "data": {"a": 1}}}});
        assert_eq!(decoded(&publication("c", &message)), pushed);
        let ended = json!({"code": 2500, "reason": "insufficient state"});
        assert_eq!(
            decoded(&unsubscribed("c", super::super::codes::UNSUBSCRIBED_INSUFFICIENT)),
            json!({"push": {"channel": "c", "unsubscribe": ended}})
        );
        assert_eq!(decoded(&reply(2, "ping", &json!({}))), json!({"id": 2, "ping": {}}));
    }

    #[test]
    fn commands_may_carry_more_than_is_known() {
        let text = r#"{"id":1,"connect":{"token":"t","name":"js","data":{"broadcast":
            "6f6e6169-722e-4000-8000-6c6976652d31"},"subs":{"user#ana":{"recover":true}}}}"#;
        let command: Command = serde_json::from_str(text).unwrap();
        let connect = command.connect.unwrap();
        assert!(connect.broadcast().unwrap().is_some());
        let odd: Connect = serde_json::from_str(r#"{"data":{"broadcast":"x"}}"#).unwrap();
        assert_eq!(odd.broadcast(), Err(Refusal::BadRequest));
        let none: Connect = serde_json::from_str(r#"{"data":"x"}"#).unwrap();
        assert_eq!(none.broadcast(), Ok(None));
        assert_eq!(connect.subs["user#ana"].after(), Some(FeedPosition::default()));
    }
}
