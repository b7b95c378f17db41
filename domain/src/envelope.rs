//! The envelope of an event: where it stands in the log and where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::actor::{Actor, Role};
use crate::event::{Event, StreamId};
use crate::ids::{CommandId, CorrelationId, EventId, SellerId, StreamKey};

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
        put("decided_at", self.decided_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
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
        })
    }
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
