//! Decoding what was stored: every (type, version) that was ever written, in today's words.
//!
//! A stored event is never rewritten. Where a version changes, its upcaster is added to
//! [`UPCASTERS`] and its old JSON stays as a fixture (see `docs/adding-an-event.md`).

use serde_json::Value;

use crate::event::{Event, StreamKind};

/// Turns the payload of one (type, version) into that of the next version; it may rename the type.
pub struct Upcaster {
    /// The type as stored.
    pub event_type: &'static str,
    /// The version as stored.
    pub version: &'static str,
    /// The new payload, still as `{"Type": {…}}`, and its version.
    pub upcast: fn(Value) -> (Value, &'static str),
}

/// Every upcaster. Version 1 is the only one of every event so far.
pub const UPCASTERS: &[Upcaster] = &[];

/// A payload that today's code cannot read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The payload is not what its type and version promise.
    #[error("the payload of {event_type} version {version} does not decode")]
    Payload {
        /// The stored type.
        event_type: String,
        /// The stored version.
        version: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The payload is of another type than the column says.
    #[error("the payload of {event_type} is of {payload_type}")]
    OtherType {
        /// The stored type.
        event_type: String,
        /// The type that the payload names.
        payload_type: String,
    },
    /// The version is newer than this code.
    #[error("{event_type} version {version} is not known")]
    UnknownVersion {
        /// The stored type.
        event_type: String,
        /// The stored version.
        version: String,
    },
}

/// Decodes a stored payload.
///
/// # Errors
/// [`DecodeError`] where no upcaster leads from (type, version) to today's event.
pub fn decode(
    kind: StreamKind,
    event_type: &str,
    version: &str,
    payload: &str,
) -> Result<Event, DecodeError> {
    decode_with(UPCASTERS, kind, event_type, version, payload)
}

fn decode_with(
    upcasters: &[Upcaster],
    kind: StreamKind,
    event_type: &str,
    version: &str,
    payload: &str,
) -> Result<Event, DecodeError> {
    let failed = |source| DecodeError::Payload {
        event_type: event_type.to_owned(),
        version: version.to_owned(),
        source,
    };
    let Some(mut upcaster) = find(upcasters, event_type, version) else {
        let event = Event::from_payload(kind, payload).map_err(failed)?;
        let payload_type = event.event_type();
        if payload_type != event_type {
            return Err(DecodeError::OtherType { event_type: event_type.to_owned(), payload_type });
        }
        return if event.event_version() == version {
            Ok(event)
        } else {
            Err(DecodeError::UnknownVersion {
                event_type: event_type.to_owned(),
                version: version.to_owned(),
            })
        };
    };
    let mut value: Value = serde_json::from_str(payload).map_err(failed)?;
    loop {
        let (next, next_version) = (upcaster.upcast)(value);
        let next_type = type_of(&next).unwrap_or(event_type).to_owned();
        match find(upcasters, &next_type, next_version) {
            Some(following) => {
                upcaster = following;
                value = next;
            }
            None => return Event::from_payload(kind, &next.to_string()).map_err(failed),
        }
    }
}

fn find<'a>(upcasters: &'a [Upcaster], event_type: &str, version: &str) -> Option<&'a Upcaster> {
    upcasters.iter().find(|known| known.event_type == event_type && known.version == version)
}

fn type_of(payload: &Value) -> Option<&str> {
    payload.as_object().and_then(|object| object.keys().next()).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000-0000-4000-8000-000000000001";

    #[test]
    fn a_chain_of_upcasters_may_rename_and_reshape() {
        let upcasters = [
            Upcaster {
                event_type: "Approved",
                version: "0",
                upcast: |value| {
                    let id = value.pointer("/Approved/id").cloned().unwrap_or_default();
                    (serde_json::json!({ "OrderApproved": { "id": id } }), "0")
                },
            },
            Upcaster {
                event_type: "OrderApproved",
                version: "0",
                upcast: |value| {
                    let id = value.pointer("/OrderApproved/id").cloned().unwrap_or_default();
                    (serde_json::json!({ "OrderConfirmed": { "order_id": id } }), "1")
                },
            },
        ];
        let payload = format!(r#"{{"Approved":{{"id":"{ID}"}}}}"#);
        let event =
            decode_with(&upcasters, StreamKind::Order, "Approved", "0", &payload).expect("upcasts");
        assert_eq!(event.event_type(), "OrderConfirmed");
    }

    #[test]
    fn a_newer_version_is_not_guessed_at() {
        let payload = format!(r#"{{"OrderConfirmed":{{"order_id":"{ID}"}}}}"#);
        assert!(decode(StreamKind::Order, "OrderConfirmed", "1", &payload).is_ok());
        assert!(matches!(
            decode(StreamKind::Order, "OrderConfirmed", "2", &payload),
            Err(DecodeError::UnknownVersion { .. })
        ));
    }

    #[test]
    fn a_payload_of_another_type_is_refused() {
        let payload = format!(r#"{{"OrderConfirmed":{{"order_id":"{ID}"}}}}"#);
        for other in ["OrderFailed", "Nope"] {
            assert!(matches!(
                decode(StreamKind::Order, other, "1", &payload),
                Err(DecodeError::OtherType { .. })
            ));
        }
    }
}
