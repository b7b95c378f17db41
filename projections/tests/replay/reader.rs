//! A log in a list.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::event::StreamId;
use domain::ids::{CommandId, StreamKey};
use domain::ports::{EventReader, PortError, StoredOutcome};

use crate::support::Log;

pub struct LogReader {
    pub events: Vec<Recorded>,
    /// An event whose bytes were damaged.
    pub unreadable: Option<Position>,
}

impl LogReader {
    pub fn of(log: &Log) -> Self {
        Self { events: log.events.clone(), unreadable: None }
    }

    fn page(&self, of: impl Iterator<Item = Recorded>) -> Result<Vec<Recorded>, PortError> {
        let page: Vec<Recorded> = of.collect();
        if page.iter().any(|event| Some(event.position) == self.unreadable) {
            return Err(PortError::corrupt("the list", "not JSON"));
        }
        Ok(page)
    }
}

#[async_trait]
impl EventReader for LogReader {
    async fn head(&self) -> Result<Position, PortError> {
        Ok(self.events.last().map_or(Position::START, |event| event.position))
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, PortError> {
        self.page(self.events.iter().filter(|it| it.position > after).take(limit).cloned())
    }

    async fn read_key(
        &self,
        key: StreamKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, PortError> {
        let wanted = |it: &&Recorded| it.key == key && it.position > after;
        self.page(self.events.iter().filter(wanted).take(limit).cloned())
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Recorded>, PortError> {
        self.page(self.events.iter().filter(|it| streams.contains(&it.stream)).cloned())
    }

    async fn key_head(&self, key: StreamKey) -> Result<Position, PortError> {
        let last = self.events.iter().rev().find(|it| it.key == key);
        Ok(last.map_or(Position::START, |event| event.position))
    }

    async fn wait(&self, _: Position) {}

    async fn outcomes(
        &self,
        _: &[CommandId],
    ) -> Result<BTreeMap<CommandId, StoredOutcome>, PortError> {
        Ok(BTreeMap::new())
    }
}
