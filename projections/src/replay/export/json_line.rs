//! A line of columns in JSON.

use domain::envelope::Position;
use domain::row::StoredRow;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{LineError, name_of, of_base64, of_time, raw_of, time_of, to_base64};

/// What every line begins with: its position follows.
pub(super) const BEGINS: &str = "{\"position\":";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    position: u64,
    prev: u64,
    event_id: Uuid,
    aggregate_type: String,
    aggregate_id: String,
    sequence: u64,
    stream_key: Uuid,
    recorded_at: String,
    event_type: String,
    event_version: String,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    payload: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata_base64: Option<String>,
}

pub(super) fn encode(row: &StoredRow) -> Result<String, LineError> {
    let (payload, metadata) = (raw_of(&row.payload), raw_of(&row.metadata));
    let line = Line {
        position: row.position.0,
        prev: row.prev.0,
        event_id: row.event_id,
        aggregate_type: name_of(&row.aggregate_type, "the stream's kind")?.to_owned(),
        aggregate_id: name_of(&row.aggregate_id, "the stream's id")?.to_owned(),
        sequence: row.sequence,
        stream_key: row.stream_key,
        recorded_at: time_of(row.recorded_at)?,
        event_type: name_of(&row.event_type, "the type")?.to_owned(),
        event_version: name_of(&row.event_version, "the version")?.to_owned(),
        payload,
        payload_base64: payload.is_none().then(|| to_base64(&row.payload)),
        metadata,
        metadata_base64: metadata.is_none().then(|| to_base64(&row.metadata)),
    };
    serde_json::to_string(&line).map_err(LineError::new)
}

pub(super) fn decode(line: &str) -> Result<StoredRow, LineError> {
    let line: Line<'_> = serde_json::from_str(line).map_err(LineError::new)?;
    Ok(StoredRow {
        position: Position(line.position),
        prev: Position(line.prev),
        event_id: line.event_id,
        aggregate_type: line.aggregate_type.into_bytes(),
        aggregate_id: line.aggregate_id.into_bytes(),
        sequence: line.sequence,
        stream_key: line.stream_key,
        recorded_at: of_time(&line.recorded_at)?,
        event_type: line.event_type.into_bytes(),
        event_version: line.event_version.into_bytes(),
        payload: bytes_of(line.payload, line.payload_base64, "payload")?,
        metadata: bytes_of(line.metadata, line.metadata_base64, "metadata")?,
    })
}

fn bytes_of(
    raw: Option<&RawValue>,
    base64: Option<String>,
    what: &str,
) -> Result<Vec<u8>, LineError> {
    match (raw, base64) {
        (Some(raw), None) => Ok(raw.get().as_bytes().to_vec()),
        (None, Some(text)) => of_base64(&text),
        _ => Err(LineError(format!("{what} is missing, or stands there twice"))),
    }
}
