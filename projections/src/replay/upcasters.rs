//! Whether every stored (type, version) decodes under the current code.

use std::collections::BTreeMap;
use std::fmt::Write;

use domain::envelope::Position;
use domain::ports::{PortError, RowReader};
use serde::Serialize;

/// Rows that are read at a time.
const PAGE_ROWS: usize = 1_000;

/// One (type, version) of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredVersion {
    /// The type as stored.
    pub event_type: String,
    /// The version as stored.
    pub version: String,
    /// Rows of it.
    pub rows: u64,
    /// The first one.
    pub first_position: Position,
    /// Rows that do not decode.
    pub undecodable: u64,
    /// The first of those, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Linted {
    /// Whether every row decodes.
    pub good: bool,
    /// Rows that were read.
    pub rows: u64,
    /// Each (type, version), by name.
    pub versions: Vec<StoredVersion>,
}

/// Decodes every row of the log.
///
/// # Errors
/// The log cannot be read; a row that does not decode is an answer.
pub async fn lint(
    reader: &dyn RowReader,
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<Linted, PortError> {
    let end = reader.last_row().await?;
    let mut versions: BTreeMap<(String, String), StoredVersion> = BTreeMap::new();
    let (mut after, mut rows) = (Position::START, 0);
    loop {
        let page = reader.rows(after, PAGE_ROWS).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for row in &page {
            rows += 1;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (event_type, version) = (text(&row.event_type), text(&row.event_version));
            let found =
                versions.entry((event_type.clone(), version.clone())).or_insert_with(|| {
                    let (first_position, first_error) = (row.position, None);
                    let (rows, undecodable) = (0, 0);
                    StoredVersion {
                        event_type,
                        version,
                        rows,
                        first_position,
                        undecodable,
                        first_error,
                    }
                });
            found.rows += 1;
            if let Err(error) = row.decode() {
                found.undecodable += 1;
                found.first_error.get_or_insert_with(|| error.to_string());
            }
        }
        progress(after, end);
        tokio::task::yield_now().await;
    }
    let versions: Vec<StoredVersion> = versions.into_values().collect();
    let good = versions.iter().all(|version| version.undecodable == 0);
    Ok(Linted { good, rows, versions })
}

/// The answer as lines of text.
pub fn render_linted(linted: &Linted) -> String {
    let mut text = String::new();
    for StoredVersion { event_type, version, rows, undecodable, first_error, .. } in
        &linted.versions
    {
        let verdict = if *undecodable == 0 { "decodes" } else { "BROKEN" };
        let _ = writeln!(text, "  {event_type:<22} v{version:<3} {rows:>9}  {verdict}");
        if let Some(error) = first_error {
            let _ = writeln!(text, "      {undecodable} do not decode, first {error}");
        }
    }
    let verdict = if linted.good { "GOOD" } else { "BAD" };
    let _ = writeln!(text, "{verdict}: {} rows, {} kinds", linted.rows, linted.versions.len());
    text
}
