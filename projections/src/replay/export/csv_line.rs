//! A line of columns, comma-separated.

use csv::{ReaderBuilder, StringRecord, Terminator, WriterBuilder};
use domain::envelope::Position;
use domain::row::StoredRow;

use super::{LineError, name_of, of_base64, of_time, raw_of, time_of, to_base64};

/// The names of the columns. `encoding` is `base64` where the payload and the metadata are no JSON
/// on one line.
pub(super) const HEADING: &str = "position,prev,event_id,aggregate_type,aggregate_id,sequence,\
    stream_key,recorded_at,event_type,event_version,payload,metadata,encoding";

const COLUMNS: usize = 13;
const BASE64: &str = "base64";

pub(super) fn encode(row: &StoredRow) -> Result<String, LineError> {
    let plain = raw_of(&row.payload).zip(raw_of(&row.metadata));
    let (payload, metadata, encoding) = match plain {
        Some((payload, metadata)) => (payload.get().to_owned(), metadata.get().to_owned(), ""),
        None => (to_base64(&row.payload), to_base64(&row.metadata), BASE64),
    };
    let columns = [
        row.position.to_string(),
        row.prev.to_string(),
        row.event_id.to_string(),
        one_line(name_of(&row.aggregate_type, "the stream's kind")?)?,
        one_line(name_of(&row.aggregate_id, "the stream's id")?)?,
        row.sequence.to_string(),
        row.stream_key.to_string(),
        time_of(row.recorded_at)?,
        one_line(name_of(&row.event_type, "the type")?)?,
        one_line(name_of(&row.event_version, "the version")?)?,
        payload,
        metadata,
        encoding.to_owned(),
    ];
    let mut writer = WriterBuilder::new().terminator(Terminator::Any(b'\n')).from_writer(vec![]);
    writer.write_record(&columns).map_err(LineError::new)?;
    let mut line = writer.into_inner().map_err(LineError::new)?;
    line.pop();
    String::from_utf8(line).map_err(LineError::new)
}

fn one_line(text: &str) -> Result<String, LineError> {
    if text.contains(['\n', '\r']) {
        return Err(LineError("a name has a line break, which no line of CSV holds".to_owned()));
    }
    Ok(text.to_owned())
}

pub(super) fn decode(line: &str) -> Result<StoredRow, LineError> {
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
    let mut record = StringRecord::new();
    let read = reader.read_record(&mut record).map_err(LineError::new)?;
    if !read || record.len() != COLUMNS {
        return Err(LineError(format!("has {} columns of {COLUMNS}", record.len())));
    }
    let text = |at: usize| record.get(at).unwrap_or_default();
    let wrong = |at: usize| {
        let name = HEADING.split(',').nth(at).unwrap_or_default();
        LineError(format!("{name} is not what it should be"))
    };
    let number = |at: usize| text(at).parse::<u64>().map_err(|_| wrong(at));
    let id = |at: usize| text(at).parse::<uuid::Uuid>().map_err(|_| wrong(at));
    let json = |at: usize| match text(12) {
        "" => Ok(text(at).as_bytes().to_vec()),
        BASE64 => of_base64(text(at)),
        _ => Err(wrong(12)),
    };
    Ok(StoredRow {
        position: Position(number(0)?),
        prev: Position(number(1)?),
        event_id: id(2)?,
        aggregate_type: text(3).into(),
        aggregate_id: text(4).into(),
        sequence: number(5)?,
        stream_key: id(6)?,
        recorded_at: of_time(text(7))?,
        event_type: text(8).into(),
        event_version: text(9).into(),
        payload: json(10)?,
        metadata: json(11)?,
    })
}
