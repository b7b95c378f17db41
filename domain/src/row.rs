//! A stored event as its bytes: what is exported, hashed and compared, also where it does not
//! decode.

use std::str;

use uuid::Uuid;

use crate::Timestamp;
use crate::envelope::{Metadata, Position, Recorded};
use crate::event::{StreamId, StreamKind};
use crate::ids::{EventId, StreamKey};
use crate::upcast;

/// What the canonical bytes of a row begin with.
const CONTEXT: &[u8] = b"onair row v1\n";

/// A row of the log. Texts are bytes, because a damaged store may hold any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// Its place in the whole log.
    pub position: Position,
    /// The position of the previous event with the same key.
    pub prev: Position,
    /// Its id.
    pub event_id: Uuid,
    /// The kind of its stream.
    pub aggregate_type: Vec<u8>,
    /// The stream's id.
    pub aggregate_id: Vec<u8>,
    /// Its number in the stream.
    pub sequence: u64,
    /// Its unit of order.
    pub stream_key: Uuid,
    /// When the store took it, in microseconds since 1970.
    pub recorded_at: i64,
    /// Its type.
    pub event_type: Vec<u8>,
    /// The version of its schema.
    pub event_version: Vec<u8>,
    /// The JSON of the event.
    pub payload: Vec<u8>,
    /// The JSON of the envelope.
    pub metadata: Vec<u8>,
}

/// Why a row is no event of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("position {position}: {detail}")]
pub struct RowError {
    /// Where.
    pub position: Position,
    /// What is wrong.
    pub detail: String,
}

impl StoredRow {
    /// The bytes that the seals of the log are made of: numbers with their most significant byte
    /// first, texts after their length in four bytes.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + self.payload.len() + self.metadata.len());
        bytes.extend_from_slice(CONTEXT);
        bytes.extend_from_slice(&self.position.0.to_be_bytes());
        bytes.extend_from_slice(&self.prev.0.to_be_bytes());
        bytes.extend_from_slice(self.event_id.as_bytes());
        put_text(&mut bytes, &self.aggregate_type);
        put_text(&mut bytes, &self.aggregate_id);
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(self.stream_key.as_bytes());
        bytes.extend_from_slice(&self.recorded_at.to_be_bytes());
        for text in [&self.event_type, &self.event_version, &self.payload, &self.metadata] {
            put_text(&mut bytes, text);
        }
        bytes
    }

    /// The event in today's words.
    ///
    /// # Errors
    /// [`RowError`] naming the position and what does not decode.
    pub fn decode(&self) -> Result<Recorded, RowError> {
        let kind: StreamKind = self
            .text(&self.aggregate_type, "the stream's kind")?
            .parse()
            .map_err(|error| self.error(format!("{error}")))?;
        let event = upcast::decode(
            kind,
            self.text(&self.event_type, "the type")?,
            self.text(&self.event_version, "the version")?,
            self.text(&self.payload, "the payload")?,
        )
        .map_err(|error| self.error(described(&error)))?;
        let metadata = Metadata::from_json(self.text(&self.metadata, "the metadata")?)
            .map_err(|error| self.error(error.to_string()))?;
        let recorded_at = Timestamp::from_timestamp_micros(self.recorded_at)
            .ok_or_else(|| self.error("the time is out of range".to_owned()))?;
        Ok(Recorded {
            position: self.position,
            prev: self.prev,
            event_id: EventId(self.event_id),
            stream: StreamId {
                kind,
                id: self.text(&self.aggregate_id, "the stream's id")?.to_owned(),
            },
            sequence: self.sequence,
            key: StreamKey(self.stream_key),
            recorded_at,
            event,
            metadata,
        })
    }

    /// The row of an event of today, as a store writes it.
    ///
    /// # Errors
    /// A value that JSON cannot hold; no event has one.
    pub fn of(recorded: &Recorded) -> Result<Self, serde_json::Error> {
        Ok(Self {
            position: recorded.position,
            prev: recorded.prev,
            event_id: recorded.event_id.0,
            aggregate_type: recorded.stream.kind.as_str().into(),
            aggregate_id: recorded.stream.id.clone().into_bytes(),
            sequence: recorded.sequence,
            stream_key: recorded.key.0,
            recorded_at: recorded.recorded_at.timestamp_micros(),
            event_type: recorded.event.event_type().into_bytes(),
            event_version: recorded.event.event_version().into_bytes(),
            payload: recorded.event.to_payload()?.into_bytes(),
            metadata: recorded.metadata.to_json()?.into_bytes(),
        })
    }

    fn text<'a>(&self, bytes: &'a [u8], what: &str) -> Result<&'a str, RowError> {
        str::from_utf8(bytes).map_err(|_| self.error(format!("{what} is no text")))
    }

    fn error(&self, detail: String) -> RowError {
        RowError { position: self.position, detail }
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &[u8]) {
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(text);
}

fn described(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
