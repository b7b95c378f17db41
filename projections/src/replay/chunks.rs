//! The log in pages, also where it does not decode.

use std::sync::Arc;

use domain::envelope::{Position, Recorded};
use domain::ports::{EventReader, PortError};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::rebuild::read_ahead;

/// What was read: events, and then perhaps one that does not decode.
pub(super) struct Chunk {
    pub events: Vec<Recorded>,
    /// The last position, read or not.
    pub last: Position,
    pub unreadable: Option<String>,
}

impl Chunk {
    pub fn is_end(&self) -> bool {
        self.events.is_empty() && self.unreadable.is_none()
    }
}

/// Where pages come from.
pub(super) struct Chunks<'a> {
    reader: &'a dyn EventReader,
    end: Position,
    page: usize,
    /// Pages that were asked for before their turn; gone where one of them is not whole.
    ahead: Option<BoxStream<'static, Result<Vec<Recorded>, PortError>>>,
}

impl<'a> Chunks<'a> {
    pub fn new(
        reader: &'a dyn EventReader,
        ahead: Option<(&Arc<dyn EventReader>, usize)>,
        (after, end): (Position, Position),
        page: usize,
    ) -> Self {
        let ahead = ahead
            .filter(|(_, jobs)| *jobs > 1)
            .map(|(reader, jobs)| read_ahead(Arc::clone(reader), (after, end), page, jobs).boxed());
        Self { reader, end, page, ahead }
    }

    pub async fn next(&mut self, after: Position) -> Result<Chunk, PortError> {
        if let Some(ahead) = &mut self.ahead {
            match ahead.next().await {
                Some(Ok(events)) if is_whole(&events, after) => {
                    let last = events.last().map_or(after, |event| event.position);
                    return Ok(Chunk { events, last, unreadable: None });
                }
                // a gap, or what does not decode: that is looked at page by page
                None | Some(Ok(_) | Err(PortError::Corrupt { .. })) => self.ahead = None,
                Some(Err(error)) => return Err(error),
            }
        }
        read(self.reader, after, self.end, self.page).await
    }
}

/// Whether these are the next events, none missing.
fn is_whole(events: &[Recorded], after: Position) -> bool {
    let positions = events.iter().map(|event| event.position.0);
    !events.is_empty() && positions.eq((after.0 + 1..).take(events.len()))
}

/// Reads a page; where one of its events does not decode, reads up to that event by halving.
async fn read(
    reader: &dyn EventReader,
    after: Position,
    end: Position,
    page: usize,
) -> Result<Chunk, PortError> {
    let room = usize::try_from(end.0.saturating_sub(after.0)).unwrap_or(usize::MAX);
    let mut limit = page.min(room);
    let mut chunk = Chunk { events: vec![], last: after, unreadable: None };
    while limit > 0 {
        match reader.read(chunk.last, limit).await {
            Ok(mut events) => {
                events.retain(|event| event.position <= end);
                let Some(last) = events.last() else { break };
                chunk.last = last.position;
                chunk.events.extend(events);
                break;
            }
            Err(PortError::Corrupt { detail, .. }) if limit == 1 => {
                chunk.last = Position(chunk.last.0.saturating_add(1));
                chunk.unreadable = Some(detail);
                break;
            }
            Err(PortError::Corrupt { .. }) => limit /= 2,
            Err(error) => return Err(error),
        }
    }
    Ok(chunk)
}
