//! Writing the file.

use std::io::{self, Write};

use domain::envelope::Position;
use domain::ports::{PortError, RowReader};
use serde::Serialize;
use zstd::stream::write::Encoder;

use super::{Format, LineError};

/// Rows of one frame of a compressed file, which can be sought to.
pub const EXPORT_FRAME_ROWS: usize = 4_096;
/// How hard it compresses, of 1 to 22.
const LEVEL: i32 = 3;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] PortError),
    /// The file cannot be written.
    #[error("the file cannot be written")]
    File(#[from] io::Error),
    /// The format cannot hold an event.
    #[error("position {position} cannot be written: {source}")]
    Line {
        /// Which event.
        position: Position,
        /// Why.
        source: LineError,
    },
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// How many events.
    pub events: u64,
    /// The first position; 0 where there is none.
    pub first_position: Position,
    /// The last position; 0 where there is none.
    pub last_position: Position,
}

/// Writes the log as it was when it began, in memory for one page; `progress` is told of each.
///
/// # Errors
/// [`ExportError`].
pub async fn export(
    from: &dyn RowReader,
    out: &mut (dyn Write + Send),
    (format, compressed): (Format, bool),
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<Exported, ExportError> {
    let end = from.last_row().await?;
    let mut told =
        Exported { events: 0, first_position: Position::START, last_position: Position::START };
    let mut text = format.heading().map(|line| format!("{line}\n")).unwrap_or_default();
    let mut after = Position::START;
    loop {
        let mut rows = from.rows(after, EXPORT_FRAME_ROWS).await?;
        rows.retain(|row| row.position <= end);
        for row in &rows {
            let line = format.encode(row).map_err(|source| {
                let position = row.position;
                ExportError::Line { position, source }
            })?;
            text.push_str(&line);
            text.push('\n');
            if told.events == 0 {
                told.first_position = row.position;
            }
            told.events += 1;
            told.last_position = row.position;
        }
        write_frame(out, &text, compressed)?;
        text.clear();
        let Some(last) = rows.last() else { break };
        after = last.position;
        progress(after, end);
        tokio::task::yield_now().await;
    }
    out.flush()?;
    Ok(told)
}

fn write_frame(out: &mut (dyn Write + Send), text: &str, compressed: bool) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    if !compressed {
        return out.write_all(text.as_bytes());
    }
    let mut frame = Encoder::new(out, LEVEL)?;
    frame.include_checksum(true)?;
    frame.write_all(text.as_bytes())?;
    frame.finish().map(|_| ())
}
