//! A line in the structured mode of `CloudEvents` 1.0; the columns that it has no name for are
//! extension attributes.

use domain::cloudevents::{CONTENT_TYPE, SPEC_VERSION, schema_of, source_of, type_name};
use domain::envelope::{Metadata, Position};
use domain::event::StreamKind;
use domain::row::StoredRow;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{LineError, name_of, of_base64, of_time, raw_of, time_of, to_base64};

/// What every line begins with: its position follows. It is a text, because a number of
/// `CloudEvents` has 32 bits.
pub(super) const BEGINS: &str = "{\"position\":\"";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    position: String,
    prev: String,
    specversion: String,
    id: Uuid,
    source: String,
    #[serde(rename = "type")]
    ce_type: String,
    subject: String,
    time: String,
    dataschema: String,
    datacontenttype: String,
    sequence: String,
    streamkey: Uuid,
    eventtype: String,
    eventversion: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadatabase64: Option<String>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

pub(super) fn encode(row: &StoredRow) -> Result<String, LineError> {
    let kind = name_of(&row.aggregate_type, "the stream's kind")?;
    let known: StreamKind = kind.parse().map_err(LineError::new)?;
    let event_type = name_of(&row.event_type, "the type")?;
    let version = name_of(&row.event_version, "the version")?;
    let ce_type = type_name(known, event_type, version);
    let metadata = std::str::from_utf8(&row.metadata).ok();
    let seller = metadata.and_then(|text| Metadata::from_json(text).ok()).map(|it| it.seller);
    let data = raw_of(&row.payload);
    let line = Line {
        position: row.position.to_string(),
        prev: row.prev.to_string(),
        specversion: SPEC_VERSION.to_owned(),
        id: row.event_id,
        source: source_of(seller.as_ref().map_or("", |seller| seller.as_str())),
        subject: format!("{kind}/{}", name_of(&row.aggregate_id, "the stream's id")?),
        time: time_of(row.recorded_at)?,
        dataschema: schema_of(&ce_type),
        ce_type,
        datacontenttype: CONTENT_TYPE.to_owned(),
        sequence: row.sequence.to_string(),
        streamkey: row.stream_key,
        eventtype: event_type.to_owned(),
        eventversion: version.to_owned(),
        metadata: metadata.map(str::to_owned),
        metadatabase64: metadata.is_none().then(|| to_base64(&row.metadata)),
        data,
        data_base64: data.is_none().then(|| to_base64(&row.payload)),
    };
    serde_json::to_string(&line).map_err(LineError::new)
}

pub(super) fn decode(line: &str) -> Result<StoredRow, LineError> {
    let line: Line<'_> = serde_json::from_str(line).map_err(LineError::new)?;
    if line.specversion != SPEC_VERSION {
        return Err(LineError(format!("specversion {} is not known", line.specversion)));
    }
    let (kind, id) = line
        .subject
        .split_once('/')
        .ok_or_else(|| LineError("the subject names no stream".to_owned()))?;
    let payload = match (line.data, line.data_base64) {
        (Some(raw), None) => raw.get().as_bytes().to_vec(),
        (None, Some(text)) => of_base64(&text)?,
        _ => return Err(LineError("data is missing, or stands there twice".to_owned())),
    };
    let metadata = match (line.metadata, line.metadatabase64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(text)) => of_base64(&text)?,
        _ => return Err(LineError("metadata is missing, or stands there twice".to_owned())),
    };
    let number = |text: &str, what: &str| {
        text.parse::<u64>().map_err(|_| LineError(format!("{what} is no number")))
    };
    Ok(StoredRow {
        position: Position(number(&line.position, "position")?),
        prev: Position(number(&line.prev, "prev")?),
        event_id: line.id,
        aggregate_type: kind.into(),
        aggregate_id: id.into(),
        sequence: number(&line.sequence, "sequence")?,
        stream_key: line.streamkey,
        recorded_at: of_time(&line.time)?,
        event_type: line.eventtype.into_bytes(),
        event_version: line.eventversion.into_bytes(),
        payload,
        metadata,
    })
}
