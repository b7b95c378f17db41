//! Reading the file as if it were the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::event::StreamId;
use domain::ids::{CommandId, SellerId, StreamKey};
use domain::personal_key::{PersonalKey, open_all};
use domain::ports::{EventReader, PersonalKeys, PortError, RowReader, StoredOutcome};
use domain::row::StoredRow;
use domain::seal::{KeyRecord, Seal, SealedBlock};
use domain::shredding::Shredding;
use parking_lot::Mutex;

use super::keys::{KeyFile, read_keys};
pub use super::lines::FileError;
use super::lines::{Mark, survey};
use super::turns::{Place, Turns};
use super::{Format, LineError};

const FILE: &str = "the exported file";
/// Rows that are looked through at a time for those of a key or a stream.
const PAGE_ROWS: usize = 1_000;

/// An exported log. Its events are read in order as fast as the file is; whatever is looked up is
/// searched for from the front. Memory is for one page and for a mark every few thousand lines.
pub struct ExportFile {
    path: PathBuf,
    format: Format,
    compressed: bool,
    marks: Vec<Mark>,
    last: Position,
    turns: Mutex<Turns>,
    keys: Option<KeyFile>,
    sealed: bool,
}

impl ExportFile {
    /// Opens a file and goes through it once.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let survey = survey(path)?;
        Ok(Self {
            path: path.to_owned(),
            format: survey.format,
            compressed: survey.compressed,
            marks: survey.marks,
            last: Position(survey.last),
            turns: Mutex::default(),
            keys: KeyFile::beside(path)?,
            sealed: false,
        })
    }

    /// The same, with what is personal left sealed.
    #[must_use]
    pub fn sealed(self) -> Self {
        Self { sealed: true, ..self }
    }

    /// Events with what is personal in them, where its key is beside the file.
    fn opened(&self, mut events: Vec<Recorded>) -> Result<Vec<Recorded>, PortError> {
        if self.sealed {
            return Ok(events);
        }
        let is_sealed = |event: &&Recorded| {
            event.event.personal().is_some_and(|personal| personal.sealed.is_some())
        };
        let positions = events.iter().filter(is_sealed).map(|event| event.position);
        let keys = read_keys(self.keys.as_ref(), positions)?;
        open_all(&mut events, &keys);
        Ok(events)
    }

    /// How its lines are written.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Whether it is compressed.
    pub const fn is_compressed(&self) -> bool {
        self.compressed
    }

    fn row(&self, line: &[u8], position: u64) -> Result<StoredRow, LineError> {
        let text = std::str::from_utf8(line).map_err(LineError::new)?;
        let row = self.format.decode(text)?;
        if row.position.0 != position {
            return Err(LineError::new("the position stands there twice"));
        }
        Ok(row)
    }

    fn read_rows(&self, after: Position, limit: usize) -> Result<Vec<StoredRow>, PortError> {
        let (path, format, compressed) = (self.path.as_path(), self.format, self.compressed);
        let place = Place { path, format, compressed, marks: &self.marks };
        let page = self.turns.lock().page(place, after.0, limit);
        let page = page.map_err(|error| PortError::unavailable(FILE, error))?;
        let row = |(position, line)| {
            self.row(line, position)
                .map_err(|error| corrupt(format!("position {position}: {error}")))
        };
        page.lines().map(row).collect()
    }

    /// Looks through the file from a position on.
    fn search(
        &self,
        mut after: Position,
        limit: usize,
        wanted: impl Fn(&StoredRow) -> bool,
    ) -> Result<Vec<Recorded>, PortError> {
        let mut found = Vec::new();
        loop {
            let page = self.read_rows(after, PAGE_ROWS)?;
            let Some(last) = page.last() else { return Ok(found) };
            after = last.position;
            for row in page.iter().filter(|row| wanted(row)) {
                found.push(row.decode().map_err(corrupt)?);
                if found.len() == limit {
                    return Ok(found);
                }
            }
        }
    }
}

fn corrupt(detail: impl std::fmt::Display) -> PortError {
    PortError::corrupt(FILE, detail)
}

#[async_trait]
impl EventReader for ExportFile {
    async fn head(&self) -> Result<Position, PortError> {
        Ok(self.last)
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, PortError> {
        let rows = self.read_rows(after, limit)?;
        let events = rows.iter().map(|row| row.decode().map_err(corrupt));
        self.opened(events.collect::<Result<_, _>>()?)
    }

    async fn read_key(
        &self,
        key: StreamKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, PortError> {
        self.opened(self.search(after, limit, |row| row.stream_key == key.0)?)
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Recorded>, PortError> {
        let wanted = |row: &StoredRow| {
            streams.iter().any(|stream| {
                stream.kind.as_str().as_bytes() == row.aggregate_type
                    && stream.id.as_bytes() == row.aggregate_id
            })
        };
        self.opened(self.search(Position::START, usize::MAX, wanted)?)
    }

    async fn key_head(&self, key: StreamKey) -> Result<Position, PortError> {
        let mut head = Position::START;
        let mut after = Position::START;
        loop {
            let page = self.read_rows(after, PAGE_ROWS)?;
            let Some(last) = page.last() else { return Ok(head) };
            after = last.position;
            let own = page.iter().rev().find(|row| row.stream_key == key.0);
            head = own.map_or(head, |row| row.position);
        }
    }

    async fn wait(&self, _: Position) {}

    async fn outcomes(
        &self,
        _: &[CommandId],
    ) -> Result<BTreeMap<CommandId, StoredOutcome>, PortError> {
        Ok(BTreeMap::new())
    }
}

#[async_trait]
impl RowReader for ExportFile {
    async fn rows(&self, after: Position, limit: usize) -> Result<Vec<StoredRow>, PortError> {
        self.read_rows(after, limit)
    }

    async fn last_row(&self) -> Result<Position, PortError> {
        Ok(self.last)
    }

    async fn seals(&self, _: u64, _: usize) -> Result<Vec<Seal>, PortError> {
        Ok(vec![])
    }

    async fn block(&self, _: u64) -> Result<Option<SealedBlock>, PortError> {
        Ok(None)
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, PortError> {
        Ok(vec![])
    }
}

#[async_trait]
impl PersonalKeys for ExportFile {
    async fn keys(
        &self,
        positions: &[Position],
    ) -> Result<BTreeMap<Position, PersonalKey>, PortError> {
        read_keys(self.keys.as_ref(), positions.iter().copied())
    }

    async fn shreddings(&self, _: &SellerId, _: &str) -> Result<Vec<Shredding>, PortError> {
        Ok(vec![])
    }

    async fn parked_naming(&self, _: &[String]) -> Result<u64, PortError> {
        Ok(0)
    }
}
