//! What is said on a connection: requests as they are understood, and replies by kind.

use bytes::Bytes;
use domain::ids::BroadcastId;
use domain::ports::{FeedMessage, FeedPosition};
use serde_json::Value;

use super::codes::{FIRST_TERMINAL, Refusal};
use super::schema::{
    ConnectRequest, Disconnect, Error, Publication, Push, Reply, StreamPosition, Subscribe,
    SubscribeRequest, SubscribeResult, Unsubscribe,
};

impl ConnectRequest {
    /// The broadcast that the client wants to watch.
    ///
    /// # Errors
    /// What it names is no id.
    pub fn broadcast(&self) -> Result<Option<BroadcastId>, Refusal> {
        if self.data.is_empty() {
            return Ok(None);
        }
        let data: Value = serde_json::from_slice(&self.data).map_err(|_| Refusal::BadRequest)?;
        match data.get("broadcast") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(id)) => id.parse().map(Some).map_err(|_| Refusal::BadRequest),
            Some(_) => Err(Refusal::BadRequest),
        }
    }
}

impl SubscribeRequest {
    /// The place to go on after.
    pub fn after(&self) -> Option<FeedPosition> {
        self.recover.then(|| FeedPosition { epoch: self.epoch.clone(), offset: self.offset })
    }
}

impl From<StreamPosition> for FeedPosition {
    fn from(place: StreamPosition) -> Self {
        Self { epoch: place.epoch, offset: place.offset }
    }
}

impl From<&FeedMessage> for Publication {
    fn from(message: &FeedMessage) -> Self {
        Self { offset: message.position.offset, data: json(&message.data) }
    }
}

/// JSON as bytes.
pub fn json(value: &Value) -> Bytes {
    value.to_string().into()
}

/// A reply that refuses.
pub fn refuse(id: u32, refusal: Refusal) -> Reply {
    let (code, message, temporary) = refusal.parts();
    let error = Error { code, message: message.to_owned(), temporary };
    Reply { id, error: Some(error), ..Reply::default() }
}

/// A message of a channel, on its way.
pub fn publication(channel: &str, publication: Publication) -> Reply {
    push(channel, Push { publication: Some(publication), ..Push::default() })
}

/// A subscription that begins again by itself, with all of its state.
pub fn subscribed(channel: &str, begun: SubscribeResult) -> Reply {
    let SubscribeResult { recoverable, epoch, offset, positioned, data, .. } = begun;
    let subscribe = Subscribe { recoverable, epoch, offset, positioned, data };
    push(channel, Push { subscribe: Some(subscribe), ..Push::default() })
}

/// The end of a subscription.
pub fn unsubscribed(channel: &str, (code, reason): (u32, &str)) -> Reply {
    let unsubscribe = Unsubscribe { code, reason: reason.to_owned() };
    push(channel, Push { unsubscribe: Some(unsubscribe), ..Push::default() })
}

/// The end of a connection that has no close frame.
pub fn disconnected((code, reason): (u16, &str)) -> Reply {
    let reconnect = code < FIRST_TERMINAL;
    let disconnect = Disconnect { code: code.into(), reason: reason.to_owned(), reconnect };
    push("", Push { disconnect: Some(disconnect), ..Push::default() })
}

fn push(channel: &str, push: Push) -> Reply {
    let push = Push { channel: channel.to_owned(), ..push };
    Reply { push: Some(push), ..Reply::default() }
}

#[cfg(test)]
mod tests {
    use super::super::codec::Codec;
    use super::*;
    use serde_json::json;

    fn decoded(reply: &Reply) -> Value {
        serde_json::from_slice(&Codec::Json.encode(reply)).unwrap()
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
        let message = Publication { offset: 3, data: json(&json!({"a": 1})) };
        let pushed = json!({"push": {"channel": "c", "pub": {"offset": 3, "data": {"a": 1}}}});
        assert_eq!(decoded(&publication("c", message)), pushed);
        let ended = json!({"code": 2500, "reason": "insufficient state"});
        assert_eq!(
            decoded(&unsubscribed("c", super::super::codes::UNSUBSCRIBED_INSUFFICIENT)),
            json!({"push": {"channel": "c", "unsubscribe": ended}})
        );
        let gone = json!({"code": 3001, "reason": "shutdown", "reconnect": true});
        assert_eq!(
            decoded(&disconnected((3001, "shutdown"))),
            json!({"push": {"disconnect": gone}})
        );
        let out = json!({"code": 3500, "reason": "invalid token"});
        assert_eq!(
            decoded(&disconnected((3500, "invalid token"))),
            json!({"push": {"disconnect": out}})
        );
    }

    #[test]
    fn commands_may_carry_more_than_is_known() {
        let text = r#"{"id":1,"connect":{"token":"t","name":"js","data":{"broadcast":"6f6e6169-722e-4000-8000-6c6976652d31"},"subs":{"user#ana":{"recover":true}}}}"#;
        let command = Codec::Json.commands(text.as_bytes()).next().unwrap().unwrap();
        let connect = command.connect.unwrap();
        assert!(connect.broadcast().unwrap().is_some());
        let connect_with =
            |data| ConnectRequest { data: Bytes::from_static(data), ..ConnectRequest::default() };
        assert_eq!(connect_with(br#"{"broadcast":"x"}"#).broadcast(), Err(Refusal::BadRequest));
        assert_eq!(connect_with(br#""x""#).broadcast(), Ok(None));
        assert_eq!(connect_with(b"{").broadcast(), Err(Refusal::BadRequest));
        assert_eq!(connect.subs["user#ana"].after(), Some(FeedPosition::default()));
    }
}
