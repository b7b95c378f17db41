//! The log as a file: one line for each event, byte for byte what the store holds.
//!
//! Every format keeps every column, so that an import gives the same positions and the same
//! hashes. What is no JSON on one line, as only a damaged store has it, is written in base64.

mod cloud_line;
mod csv_line;
mod file;
mod json_line;
mod keys;
mod lines;
mod pseudonyms;
mod turns;
mod write;

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use domain::row::StoredRow;
use serde_json::value::RawValue;

pub use file::{ExportFile, FileError};
pub use keys::{export_keys, keys_path};
pub use pseudonyms::Pseudonymized;
pub use write::{EXPORT_FRAME_ROWS, ExportError, Exported, export};

/// Bytes of the longest line that is read.
pub const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How a line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// The columns of the store as a JSON object.
    #[default]
    Ndjson,
    /// A `CloudEvents` 1.0 object in structured mode.
    CloudEvents,
    /// The columns of the store, comma-separated, after a line of their names.
    Csv,
}

impl Format {
    /// Every format with its name.
    pub const ALL: [(Self, &str); 3] =
        [(Self::Ndjson, "ndjson"), (Self::CloudEvents, "cloudevents"), (Self::Csv, "csv")];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    /// What a file begins with.
    fn heading(self) -> Option<&'static str> {
        (self == Self::Csv).then_some(csv_line::HEADING)
    }

    /// The format of a file, by its first line.
    fn of_line(line: &[u8]) -> Option<Self> {
        let begins = |text: &str| line.starts_with(text.as_bytes());
        if begins(csv_line::HEADING) {
            Some(Self::Csv)
        } else if begins(cloud_line::BEGINS) {
            Some(Self::CloudEvents)
        } else {
            begins("{").then_some(Self::Ndjson)
        }
    }

    fn encode(self, row: &StoredRow) -> Result<String, LineError> {
        match self {
            Self::Ndjson => json_line::encode(row),
            Self::CloudEvents => cloud_line::encode(row),
            Self::Csv => csv_line::encode(row),
        }
    }

    fn decode(self, line: &str) -> Result<StoredRow, LineError> {
        match self {
            Self::Ndjson => json_line::decode(line),
            Self::CloudEvents => cloud_line::decode(line),
            Self::Csv => csv_line::decode(line),
        }
    }

    /// The position of a line, without reading the rest of it.
    fn position_of(self, line: &[u8]) -> Option<u64> {
        let begins = match self {
            Self::Ndjson => json_line::BEGINS,
            Self::CloudEvents => cloud_line::BEGINS,
            Self::Csv => "",
        };
        let digits = line.strip_prefix(begins.as_bytes())?;
        let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
        std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text).map(|(format, _)| *format);
        found.ok_or_else(|| "is none of ndjson, cloudevents and csv".to_owned())
    }
}

/// A line that is no event, or an event that a format cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LineError(String);

impl LineError {
    fn new(detail: impl fmt::Display) -> Self {
        Self(detail.to_string())
    }
}

/// A row as a line of a format.
///
/// # Errors
/// A row that the format cannot hold.
pub fn encode_row(format: Format, row: &StoredRow) -> Result<String, LineError> {
    format.encode(row)
}

/// A column that names something; only the payload and the metadata may be no text.
fn name_of<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, LineError> {
    std::str::from_utf8(bytes).map_err(|_| LineError(format!("{what} is no text")))
}

/// A JSON text that stands on a line as it is.
fn raw_of(bytes: &[u8]) -> Option<&RawValue> {
    let text = std::str::from_utf8(bytes).ok()?;
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    (raw.get().len() == text.len() && !text.contains(['\n', '\r'])).then_some(raw)
}

fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn of_base64(text: &str) -> Result<Vec<u8>, LineError> {
    STANDARD.decode(text).map_err(|_| LineError("a text is no base64".to_owned()))
}

/// Microseconds since 1970 in words.
fn time_of(micros: i64) -> Result<String, LineError> {
    let time = Timestamp::from_timestamp_micros(micros)
        .ok_or_else(|| LineError("the time is out of range".to_owned()))?;
    Ok(time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
}

fn of_time(text: &str) -> Result<i64, LineError> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_micros())
        .map_err(|_| LineError("recorded_at is no time".to_owned()))
}
