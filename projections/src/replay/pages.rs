//! Going through the log, or one key of it, in pages.

use domain::envelope::{Position, Recorded};
use domain::ids::StreamKey;
use domain::ports::{EventReader, PortError};

/// Events that are read at a time.
const PAGE_EVENTS: usize = 1_000;

/// Events in order, of one key or of all.
pub struct Pages<'a> {
    reader: &'a dyn EventReader,
    key: Option<StreamKey>,
    after: Position,
    end: Position,
}

impl<'a> Pages<'a> {
    /// From the first event up to a position.
    pub const fn new(reader: &'a dyn EventReader, key: Option<StreamKey>, end: Position) -> Self {
        Self { reader, key, after: Position::START, end }
    }

    /// The next page; empty at the end.
    ///
    /// # Errors
    /// The store cannot be reached, or an event does not decode.
    pub async fn next(&mut self) -> Result<Vec<Recorded>, PortError> {
        if self.after >= self.end {
            return Ok(vec![]);
        }
        let mut page = match self.key {
            Some(key) => self.reader.read_key(key, self.after, PAGE_EVENTS).await?,
            None => self.reader.read(self.after, PAGE_EVENTS).await?,
        };
        page.retain(|event| event.position <= self.end);
        if let Some(last) = page.last() {
            self.after = last.position;
        }
        Ok(page)
    }
}
