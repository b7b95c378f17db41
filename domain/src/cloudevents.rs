//! Events on Kafka: `CloudEvents` 1.0 binary mode.
//!
//! The type is `onair.{stream kind}.{name}.v{version}`, where the name is the event's own in
//! `snake_case` without the kind in front of it: `OrderConfirmed` is `onair.order.confirmed.v1`,
//! `StockReserved` of a reservation is `onair.reservation.stock_reserved.v1`. The payload is the
//! stored one, `{"OrderConfirmed": {…}}`. Beside the attributes of `CloudEvents` stand `position`,
//! `prev`, `sequence`, `stream`, `key`, `traceparent`, and the rest of the metadata as `meta_…`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::str::FromStr;

use chrono::SecondsFormat;

use crate::envelope::{Metadata, MetadataError, Position, Recorded};
use crate::event::{StreamId, StreamKind};
use crate::upcast::{self, DecodeError};

/// The version of `CloudEvents`.
pub const SPEC_VERSION: &str = "1.0";
/// The media type of every payload.
pub const CONTENT_TYPE: &str = "application/json";

const TRACEPARENT: &str = "traceparent";
const META: &str = "meta_";

/// An event as a message on Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The unit of order, which chooses the partition.
    pub key: String,
    /// The headers, by name.
    pub headers: BTreeMap<String, String>,
    /// The stored payload.
    pub payload: String,
}

/// A message that is no event of ours.
#[derive(Debug, thiserror::Error)]
pub enum CloudEventError {
    /// A header is missing, or does not say what it should.
    #[error("the header {0} is missing or malformed")]
    Header(&'static str),
    /// The payload is not one event in JSON.
    #[error("the payload is not one event")]
    Payload,
    /// The type in the header is not that of the payload.
    #[error("the type {header} is not that of the payload, {payload}")]
    Type {
        /// What the header says.
        header: String,
        /// What the payload is.
        payload: String,
    },
    /// The metadata does not decode.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The event does not decode.
    #[error(transparent)]
    Event(#[from] DecodeError),
}

/// The type of an event in `CloudEvents`.
pub fn type_name(kind: StreamKind, event_type: &str, version: &str) -> String {
    let snake = snake_case(event_type);
    let prefix = kind.as_str();
    let name = snake.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).unwrap_or(&snake);
    format!("onair.{prefix}.{name}.v{version}")
}

/// The type of a stored event, as [`type_name`] gives it.
pub fn type_of(recorded: &Recorded) -> String {
    let event = &recorded.event;
    type_name(recorded.stream.kind, &event.event_type(), &event.event_version())
}

/// The address of the schema of a type; its file is `openapi/events/{type}.schema.json`.
pub fn schema_of(type_name: &str) -> String {
    format!("urn:onair:event:{type_name}")
}

/// Encodes an event.
///
/// # Errors
/// A value that JSON cannot hold; no event has one.
pub fn encode(recorded: &Recorded) -> Result<Message, serde_json::Error> {
    let event_type = type_of(recorded);
    let mut headers = BTreeMap::new();
    let mut put = |name: &str, value: String| headers.insert(name.to_owned(), value);
    put("ce_specversion", SPEC_VERSION.to_owned());
    put("ce_id", recorded.event_id.to_string());
    put("ce_source", source_of(recorded.metadata.seller.as_str()));
    put("ce_subject", format!("{}/{}", recorded.stream.kind.as_str(), recorded.stream.id));
    put("ce_time", recorded.recorded_at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    put("ce_dataschema", schema_of(&event_type));
    put("ce_type", event_type);
    put("content-type", CONTENT_TYPE.to_owned());
    put("position", recorded.position.to_string());
    put("prev", recorded.prev.to_string());
    put("sequence", recorded.sequence.to_string());
    put("stream", recorded.stream.to_string());
    put("key", recorded.key.to_string());
    for (name, value) in recorded.metadata.to_map() {
        if name == TRACEPARENT {
            put(TRACEPARENT, value);
        } else {
            put(&format!("{META}{name}"), value);
        }
    }
    Ok(Message { key: recorded.key.to_string(), headers, payload: recorded.event.to_payload()? })
}

/// Decodes a message. Headers that it does not know are passed over.
///
/// # Errors
/// [`CloudEventError`] saying what is no event of ours.
pub fn decode(
    headers: &BTreeMap<String, String>,
    payload: &str,
) -> Result<Recorded, CloudEventError> {
    if headers.get("ce_specversion").is_none_or(|version| version != SPEC_VERSION) {
        return Err(CloudEventError::Header("ce_specversion"));
    }
    let stream = stream_of(headers)?;
    let (event_type, version) = (event_type_of(payload)?, version_of(headers)?);
    let expected = type_name(stream.kind, event_type, version);
    let ce_type = headers.get("ce_type").ok_or(CloudEventError::Header("ce_type"))?;
    if *ce_type != expected {
        return Err(CloudEventError::Type { header: ce_type.clone(), payload: expected });
    }
    Ok(Recorded {
        position: Position(header(headers, "position")?),
        prev: Position(header(headers, "prev")?),
        event_id: header(headers, "ce_id")?,
        sequence: header(headers, "sequence")?,
        key: header(headers, "key")?,
        recorded_at: header(headers, "ce_time")?,
        event: upcast::decode(stream.kind, event_type, version, payload)?,
        metadata: metadata_of(headers)?,
        stream,
    })
}

fn header<T: FromStr>(
    headers: &BTreeMap<String, String>,
    name: &'static str,
) -> Result<T, CloudEventError> {
    headers.get(name).and_then(|text| text.parse().ok()).ok_or(CloudEventError::Header(name))
}

fn stream_of(headers: &BTreeMap<String, String>) -> Result<StreamId, CloudEventError> {
    let (kind, id) = headers
        .get("stream")
        .and_then(|stream| stream.split_once('-'))
        .ok_or(CloudEventError::Header("stream"))?;
    let kind = kind.parse().map_err(|_| CloudEventError::Header("stream"))?;
    Ok(StreamId { kind, id: id.to_owned() })
}

fn version_of(headers: &BTreeMap<String, String>) -> Result<&str, CloudEventError> {
    headers
        .get("ce_type")
        .and_then(|name| name.rsplit_once(".v"))
        .map(|(_, version)| version)
        .ok_or(CloudEventError::Header("ce_type"))
}

/// The one member of the payload's object; its name has no escapes.
fn event_type_of(payload: &str) -> Result<&str, CloudEventError> {
    payload
        .trim_start()
        .strip_prefix('{')
        .and_then(|rest| rest.trim_start().strip_prefix('"'))
        .and_then(|rest| rest.split_once('"'))
        .map(|(name, _)| name)
        .ok_or(CloudEventError::Payload)
}

fn metadata_of(headers: &BTreeMap<String, String>) -> Result<Metadata, MetadataError> {
    let named = |(name, value): (&String, &String)| match name.strip_prefix(META) {
        Some(name) => Some((name.to_owned(), value.clone())),
        None if name == TRACEPARENT => Some((name.clone(), value.clone())),
        None => None,
    };
    Metadata::from_map(&headers.iter().filter_map(named).collect())
}

/// A URI reference; together with the id it names the event once.
fn source_of(seller: &str) -> String {
    let mut source = "/onair/sellers/".to_owned();
    for byte in seller.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            source.push(char::from(byte));
        } else {
            // writing to a String cannot fail
            let _infallible = write!(source, "%{byte:02X}");
        }
    }
    source
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::actor::{Actor, Role};
    use crate::broadcast::BroadcastEvent;
    use crate::envelope::Source;
    use crate::event::Event;
    use crate::ids::{
        BroadcastId, CommandId, CorrelationId, EventId, OrderId, SellerId, SpotlightId, StreamKey,
    };
    use crate::order::{OrderEvent, OrderReason};
    use crate::personal::Personal;
    use crate::spotlight::SpotlightEvent;

    #[test]
    fn a_type_names_kind_event_and_version() {
        let cases = [
            (StreamKind::Order, "OrderConfirmed", "onair.order.confirmed.v1"),
            (StreamKind::Order, "PaymentDeclined", "onair.order.payment_declined.v1"),
            (StreamKind::Reservation, "StockReserved", "onair.reservation.stock_reserved.v1"),
            (StreamKind::Reservation, "ReservationReleased", "onair.reservation.released.v1"),
            (StreamKind::Spotlight, "SpotlightOpened", "onair.spotlight.opened.v1"),
            (StreamKind::Spotlight, "StockAdjusted", "onair.spotlight.stock_adjusted.v1"),
            (StreamKind::Broadcast, "BroadcastEnded", "onair.broadcast.ended.v1"),
        ];
        for (kind, event_type, name) in cases {
            assert_eq!(type_name(kind, event_type, "1"), name);
        }
    }

    fn event() -> impl Strategy<Value = (StreamId, Event)> {
        let id = any::<u128>().prop_map(Uuid::from_u128);
        let text = proptest::option::of("\\PC{0,40}");
        (id, text, any::<i64>(), 0..5_u8).prop_map(|(id, text, number, which)| {
            let (order, spotlight) = (OrderId(id), SpotlightId(id));
            let at = DateTime::from_timestamp_micros(number >> 12).unwrap_or_default();
            let personal = Personal::text(text);
            match which {
                0 => (
                    StreamId::order(order),
                    Event::Order(OrderEvent::OrderConfirmed { order_id: order }),
                ),
                1 => (
                    StreamId { kind: StreamKind::Order, id: format!("{order}-2") },
                    Event::Order(OrderEvent::OrderCancelled {
                        order_id: order,
                        reason: OrderReason::HoldExpired,
                        personal,
                    }),
                ),
                2 => (
                    StreamId::spotlight(spotlight),
                    Event::Spotlight(SpotlightEvent::SpotlightPaused {
                        spotlight_id: spotlight,
                        at,
                        personal,
                    }),
                ),
                3 => (
                    StreamId::spotlight(spotlight),
                    Event::Spotlight(SpotlightEvent::GateReopened {
                        spotlight_id: spotlight,
                        epoch: number.unsigned_abs(),
                    }),
                ),
                _ => (
                    StreamId::broadcast(BroadcastId(id)),
                    Event::Broadcast(BroadcastEvent::BroadcastStarted {
                        broadcast_id: BroadcastId(id),
                        at,
                    }),
                ),
            }
        })
    }

    prop_compose! {
        fn recorded()(
            (stream, event) in event(),
            ids in any::<[u128; 4]>(),
            (position, prev, sequence) in any::<(u64, u64, u64)>(),
            nanos in 0..2_000_000_000_000_000_000_i64,
            seller in "[^\\p{C}\\s]{1,20}",
            (traceparent, subject) in any::<(Option<String>, Option<String>)>(),
            (partition, offset) in any::<(i32, i64)>(),
            caused in any::<bool>(),
        ) -> Recorded {
            let [event_id, command, correlation, key] = ids.map(Uuid::from_u128);
            Recorded {
                position: Position(position),
                prev: Position(prev),
                event_id: EventId(event_id),
                stream,
                sequence,
                key: StreamKey(key),
                recorded_at: DateTime::from_timestamp_nanos(nanos),
                event,
                metadata: Metadata {
                    seller: SellerId::try_new(seller).expect("valid"),
                    command_id: CommandId(command),
                    correlation: CorrelationId(correlation),
                    causation: caused.then_some(EventId(key)),
                    traceparent,
                    actor: Actor { role: Role::Viewer, subject },
                    source: Source { topic: "onair.commands.v1".to_owned(), partition, offset },
                    decided_at: DateTime::from_timestamp_micros(nanos / 1_000).expect("in range"),
                    followed_by: 0,
                },
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(recorded in recorded()) {
            let message = encode(&recorded).expect("encodes");
            prop_assert!(message.headers["ce_source"].is_ascii());
            prop_assert_eq!(&message.key, &message.headers["key"]);
            prop_assert_eq!(decode(&message.headers, &message.payload).expect("decodes"), recorded);
        }

        #[test]
        fn a_message_without_a_required_header_is_refused(recorded in recorded()) {
            let message = encode(&recorded).expect("encodes");
            let spare = ["ce_source", "ce_subject", "ce_dataschema", "content-type",
                "traceparent", "meta_subject", "meta_causation"];
            for name in message.headers.keys().filter(|name| !spare.contains(&name.as_str())) {
                let mut headers = message.headers.clone();
                headers.remove(name);
                prop_assert!(decode(&headers, &message.payload).is_err(), "{}", name);
            }
        }
    }

    #[test]
    fn a_type_that_is_not_the_payloads_is_refused() {
        let headers = BTreeMap::from(
            [
                ("ce_specversion", "1.0"),
                ("stream", "order-1"),
                ("ce_type", "onair.order.failed.v1"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        assert!(matches!(
            decode(&headers, r#"{"OrderConfirmed":{}}"#),
            Err(CloudEventError::Type { .. })
        ));
        assert!(matches!(decode(&headers, "null"), Err(CloudEventError::Payload)));
    }
}
