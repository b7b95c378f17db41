//! Reading the log on SQLite.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::event::StreamId;
use domain::ids::{CommandId, StreamKey};
use domain::personal_key::open_all;
use domain::ports::{EventReader, PortError, StoredOutcome};
use sqlx::sqlite::SqlitePool;
use uuid::Uuid;

use super::super::head::Head;
use super::super::numbers::{from_limit, from_position, to_position};
use super::super::personal_keys::Wanted;
use super::super::stored::{decode_all, decode_outcome};
use super::super::{OpenError, StoreOptions};
use super::connect::{pool, unavailable};

/// How long a wait lasts at most in a process that does not own the file.
const WAIT_POLL: Duration = Duration::from_millis(5);
/// How long it lasts at most in the owner, which misses no append.
const WAIT_OWNER: Duration = Duration::from_millis(250);

macro_rules! select_events {
    ($from:literal) => {
        concat!(
            "SELECT e.position, e.prev, e.event_id, e.aggregate_type, e.aggregate_id, e.sequence, ",
            "e.stream_key, e.recorded_at, e.event_type, e.event_version, e.payload, e.metadata FROM ",
            $from
        )
    };
}

/// Reads the log on SQLite, also while its owner writes; a clone shares its connections.
#[derive(Clone)]
pub struct SqliteReader {
    pub(super) pool: SqlitePool,
    pub(super) head: Head,
    sealed: bool,
    wait: Duration,
}

impl SqliteReader {
    /// Opens a file that an owner has made, without becoming its owner.
    ///
    /// # Errors
    /// There is no such file, or its schema lacks a migration.
    pub async fn open(url: &str, options: &StoreOptions) -> Result<Self, OpenError> {
        Self::waiting(url, options, WAIT_POLL).await
    }

    /// The owner's reader, which is told of every append.
    pub(super) async fn of_owner(url: &str, options: &StoreOptions) -> Result<Self, OpenError> {
        Self::waiting(url, options, WAIT_OWNER).await
    }

    async fn waiting(url: &str, options: &StoreOptions, wait: Duration) -> Result<Self, OpenError> {
        let pool = pool(url, options).await?;
        Ok(Self { pool, head: Head::at(Position::START), sealed: options.sealed, wait })
    }

    /// Events with what is personal in them, where its key is still there.
    async fn opened(&self, mut events: Vec<Recorded>) -> Result<Vec<Recorded>, PortError> {
        if !self.sealed {
            let keys = self.personal_keys(Wanted::of(&events)).await?;
            open_all(&mut events, &keys);
        }
        Ok(events)
    }
}

#[async_trait]
impl EventReader for SqliteReader {
    async fn head(&self) -> Result<Position, PortError> {
        let head: Option<i64> = sqlx::query_scalar("SELECT max(position) FROM events")
            .fetch_one(&self.pool)
            .await
            .map_err(unavailable)?;
        to_position(head.unwrap_or(0))
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, PortError> {
        let rows = sqlx::query(select_events!(
            "events e WHERE e.position > ?1 ORDER BY e.position LIMIT ?2"
        ))
        .bind(from_position(after))
        .bind(from_limit(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        self.opened(decode_all::<i64, _>(&rows)?).await
    }

    async fn read_key(
        &self,
        key: StreamKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, PortError> {
        let rows = sqlx::query(select_events!(
            "events e WHERE e.stream_key = ?1 AND e.position > ?2 ORDER BY e.position LIMIT ?3"
        ))
        .bind(key.0)
        .bind(from_position(after))
        .bind(from_limit(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        self.opened(decode_all::<i64, _>(&rows)?).await
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Recorded>, PortError> {
        let streams: BTreeSet<&StreamId> = streams.iter().collect();
        let list: Vec<(&str, &str)> =
            streams.iter().map(|stream| (stream.kind.as_str(), stream.id.as_str())).collect();
        // CROSS JOIN keeps this order: one look-up per stream
        let rows = sqlx::query(select_events!(
            "json_each(?1) AS s CROSS JOIN events e
             WHERE e.aggregate_type = s.value ->> 0 AND e.aggregate_id = s.value ->> 1
             ORDER BY e.position"
        ))
        .bind(json(&list)?)
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        self.opened(decode_all::<i64, _>(&rows)?).await
    }

    async fn key_head(&self, key: StreamKey) -> Result<Position, PortError> {
        let head =
            sqlx::query_scalar("SELECT last_position FROM stream_heads WHERE stream_key = ?1")
                .bind(key.0)
                .fetch_optional(&self.pool)
                .await
                .map_err(unavailable)?;
        to_position(head.unwrap_or(0))
    }

    async fn wait(&self, after: Position) {
        // either end of the wait lets the caller look
        let _ = tokio::time::timeout(self.wait, self.head.past(after)).await;
    }

    async fn outcomes(
        &self,
        commands: &[CommandId],
    ) -> Result<BTreeMap<CommandId, StoredOutcome>, PortError> {
        let commands: Vec<String> =
            commands.iter().map(|command| command.0.simple().to_string()).collect();
        let rows: Vec<(Uuid, String, i64)> = sqlx::query_as(
            "SELECT command_id, outcome, position FROM inbox
             WHERE command_id IN (SELECT unhex(value) FROM json_each(?1))",
        )
        .bind(json(&commands)?)
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        rows.into_iter().map(decode_outcome).collect()
    }
}

/// A list as the one argument that SQLite takes for it.
pub(super) fn json<T: serde::Serialize>(list: &T) -> Result<String, PortError> {
    serde_json::to_string(list).map_err(|error| PortError::unavailable("a list", error))
}
