//! The envelope of an event: where it stands in the log and where it came from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::actor::{Actor, Role};
use crate::event::{Event, StreamId};
use crate::ids::{CommandId, CorrelationId, EventId, SellerId, StreamKey};
use crate::rfc3339;

/// The dense, commit-ordered number of an event; 1 is the first. Opaque in every API.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a command stood in the command log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The log's topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
}

/// The envelope's part that the writer knows before the event has a position. In the store it is a
/// flat object of texts, because that is what postgres-es reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// On whose behalf.
    pub seller: SellerId,
    /// The command that led to the event.
    pub command_id: CommandId,
    /// What the command belongs to.
    pub correlation: CorrelationId,
    /// The event that led to the command.
    pub causation: Option<EventId>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Who issued the command.
    pub actor: Actor,
    /// Where the command stood.
    pub source: Source,
    /// The writer's time of the decision.
    pub decided_at: Timestamp,
    /// How many events of the same decision follow about the same order: whoever shows an order's
    /// steps shows the state after the last of them.
    pub followed_by: u32,
}

/// An event to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id.
    pub event_id: EventId,
    /// Its stream.
    pub stream: StreamId,
    /// Its number in the stream; 1 is the first.
    pub sequence: u64,
    /// Its unit of order.
    pub key: StreamKey,
    /// What happened.
    pub event: Event,
    /// Where it came from.
    pub metadata: Metadata,
}

/// A stored event with its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its place in the whole log.
    pub position: Position,
    /// The position of the previous event with the same key; [`Position::START`] for the first.
    pub prev: Position,
    /// Its id.
    pub event_id: EventId,
    /// Its stream.
    pub stream: StreamId,
    /// Its number in the stream; 1 is the first.
    pub sequence: u64,
    /// Its unit of order.
    pub key: StreamKey,
    /// When the store took it.
    pub recorded_at: Timestamp,
    /// What happened.
    pub event: Event,
    /// Where it came from.
    pub metadata: Metadata,
}

/// A stored envelope that does not decode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the metadata field {0} is missing or malformed")]
pub struct MetadataError(pub &'static str);

impl Metadata {
    /// The flat object of the store.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        let mut put = |name: &str, value: String| map.insert(name.to_owned(), value);
        put("seller", self.seller.to_string());
        put("command_id", self.command_id.to_string());
        put("correlation", self.correlation.to_string());
        put("role", role_name(self.actor.role).to_owned());
        put("topic", self.source.topic.clone());
        put("partition", self.source.partition.to_string());
        put("offset", self.source.offset.to_string());
        put("decided_at", rfc3339::with_micros(&self.decided_at).to_string());
        if self.followed_by > 0 {
            put("followed_by", self.followed_by.to_string());
        }
        if let Some(subject) = &self.actor.subject {
            put("subject", subject.clone());
        }
        if let Some(causation) = self.causation {
            put("causation", causation.to_string());
        }
        if let Some(traceparent) = &self.traceparent {
            put("traceparent", traceparent.clone());
        }
        map
    }

    /// [`Metadata::to_map`] as JSON, byte for byte, without the map.
    ///
    /// # Errors
    /// None that can be met: texts always serialise.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let time = rfc3339::with_micros(&self.decided_at);
        serde_json::to_string(&Written {
            causation: self.causation.map(AsText),
            command_id: AsText(self.command_id),
            correlation: AsText(self.correlation),
            decided_at: time.as_str(),
            followed_by: (self.followed_by > 0).then_some(AsText(self.followed_by)),
            offset: AsText(self.source.offset),
            partition: AsText(self.source.partition),
            role: role_name(self.actor.role),
            seller: self.seller.as_str(),
            subject: self.actor.subject.as_deref(),
            topic: &self.source.topic,
            traceparent: self.traceparent.as_deref(),
        })
    }

    /// Reads the flat object of the store from its JSON, without the map.
    ///
    /// # Errors
    /// [`MetadataError`] naming the field that is missing or malformed, or that it is no flat
    /// object.
    pub fn from_json(text: &str) -> Result<Self, MetadataError> {
        let read: Read<'_> = serde_json::from_str(text).map_err(|_| MetadataError("object"))?;
        let causation = match read.causation.as_ref() {
            "" => None,
            text => Some(parsed(text, "causation")?),
        };
        let followed_by = match read.followed_by.as_ref() {
            "" => 0,
            text => parsed(text, "followed_by")?,
        };
        let seller = read.seller.and_then(|name| SellerId::try_new(name).ok());
        let decided_at = rfc3339::read(&read.decided_at);
        Ok(Self {
            seller: seller.ok_or(MetadataError("seller"))?,
            command_id: parsed(&read.command_id, "command_id")?,
            correlation: parsed(&read.correlation, "correlation")?,
            causation,
            traceparent: read.traceparent,
            actor: Actor {
                role: role_of(&read.role).ok_or(MetadataError("role"))?,
                subject: read.subject,
            },
            source: Source {
                topic: read.topic.ok_or(MetadataError("topic"))?,
                partition: parsed(&read.partition, "partition")?,
                offset: parsed(&read.offset, "offset")?,
            },
            decided_at: decided_at.map_err(|_| MetadataError("decided_at"))?,
            followed_by,
        })
    }

    /// Reads the flat object of the store.
    ///
    /// # Errors
    /// [`MetadataError`] naming the field that is missing or malformed.
    pub fn from_map(map: &BTreeMap<String, String>) -> Result<Self, MetadataError> {
        Ok(Self {
            seller: field(map, "seller")?,
            command_id: field(map, "command_id")?,
            correlation: field(map, "correlation")?,
            causation: optional(map, "causation")?,
            traceparent: map.get("traceparent").cloned(),
            actor: Actor {
                role: map
                    .get("role")
                    .and_then(|name| role_of(name))
                    .ok_or(MetadataError("role"))?,
                subject: map.get("subject").cloned(),
            },
            source: Source {
                topic: field(map, "topic")?,
                partition: field(map, "partition")?,
                offset: field(map, "offset")?,
            },
            decided_at: field(map, "decided_at")?,
            followed_by: optional(map, "followed_by")?.unwrap_or(0),
        })
    }
}

/// A value as its text.
struct AsText<T>(T);

impl<T: fmt::Display> Serialize for AsText<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The flat object as it is written: names in the order of the map.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    causation: Option<AsText<EventId>>,
    command_id: AsText<CommandId>,
    correlation: AsText<CorrelationId>,
    decided_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    followed_by: Option<AsText<u32>>,
    offset: AsText<i64>,
    partition: AsText<i32>,
    role: &'static str,
    seller: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
}

/// The flat object as it is read: what is parsed is not copied before; absent is empty.
#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow, default)]
    causation: Cow<'a, str>,
    #[serde(borrow, default)]
    command_id: Cow<'a, str>,
    #[serde(borrow, default)]
    correlation: Cow<'a, str>,
    #[serde(borrow, default)]
    decided_at: Cow<'a, str>,
    #[serde(borrow, default)]
    followed_by: Cow<'a, str>,
    #[serde(borrow, default)]
    offset: Cow<'a, str>,
    #[serde(borrow, default)]
    partition: Cow<'a, str>,
    #[serde(borrow, default)]
    role: Cow<'a, str>,
    seller: Option<String>,
    subject: Option<String>,
    topic: Option<String>,
    traceparent: Option<String>,
}

fn parsed<T: FromStr>(text: &str, name: &'static str) -> Result<T, MetadataError> {
    text.parse().map_err(|_| MetadataError(name))
}

fn field<T: FromStr>(
    map: &BTreeMap<String, String>,
    name: &'static str,
) -> Result<T, MetadataError> {
    map.get(name).and_then(|text| text.parse().ok()).ok_or(MetadataError(name))
}

fn optional<T: FromStr>(
    map: &BTreeMap<String, String>,
    name: &'static str,
) -> Result<Option<T>, MetadataError> {
    map.get(name).map(|text| text.parse().map_err(|_| MetadataError(name))).transpose()
}

const ROLES: [(Role, &str); 6] = [
    (Role::Viewer, "viewer"),
    (Role::Host, "host"),
    (Role::Moderator, "moderator"),
    (Role::Admin, "admin"),
    (Role::Auditor, "auditor"),
    (Role::System, "system"),
];

fn role_name(role: Role) -> &'static str {
    ROLES.iter().find(|(known, _)| *known == role).map_or("system", |(_, name)| name)
}

fn role_of(name: &str) -> Option<Role> {
    ROLES.iter().find(|(_, known)| *known == name).map(|(role, _)| *role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn metadata(whole: bool) -> Metadata {
        let id = Uuid::from_u128(7);
        Metadata {
            seller: SellerId::try_new("ac\"me é").expect("valid"),
            command_id: CommandId(id),
            correlation: CorrelationId(id),
            causation: whole.then_some(EventId(id)),
            traceparent: whole.then(|| "00-1-2-01".to_owned()),
            actor: Actor { role: Role::Host, subject: whole.then(|| "abc".to_owned()) },
            source: Source { topic: "t".to_owned(), partition: 3, offset: -1 },
            decided_at: Timestamp::from_timestamp_micros(1_790_000_000_000_001).expect("a time"),
            followed_by: if whole { 2 } else { 0 },
        }
    }

    #[test]
    fn json_and_map_are_the_same() {
        for whole in [true, false] {
            let metadata = metadata(whole);
            let json = metadata.to_json().expect("serialises");
            assert_eq!(json, serde_json::to_string(&metadata.to_map()).expect("serialises"));
            assert_eq!(Metadata::from_json(&json), Ok(metadata.clone()));
            let map = serde_json::from_str(&json).expect("flat");
            assert_eq!(Metadata::from_map(&map), Ok(metadata));
        }
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        let map = metadata(true).to_map();
        for name in ["seller", "command_id", "correlation", "role", "topic", "partition", "offset"]
            .into_iter()
            .chain(["decided_at"])
        {
            let mut without = map.clone();
            without.remove(name);
            let json = serde_json::to_string(&without).expect("serialises");
            assert_eq!(Metadata::from_json(&json), Err(MetadataError(name)));
        }
        for name in ["command_id", "causation", "role", "offset", "decided_at", "followed_by"] {
            let mut with = map.clone();
            with.insert(name.to_owned(), "?".to_owned());
            let json = serde_json::to_string(&with).expect("serialises");
            assert_eq!(Metadata::from_json(&json), Err(MetadataError(name)));
        }
        assert_eq!(Metadata::from_json("[]"), Err(MetadataError("object")));
    }
}
