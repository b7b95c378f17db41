//! Reading the log on PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::event::StreamId;
use domain::ids::{CommandId, StreamKey};
use domain::personal_key::open_all;
use domain::ports::{EventReader, PortError, StoredOutcome};
use sqlx::postgres::PgPool;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::super::head::Head;
use super::super::numbers::{from_limit, from_position, to_position};
use super::super::personal_keys::Wanted;
use super::super::stored::{decode_all, decode_outcome};
use super::super::{OpenError, StoreOptions};
use super::connect::{pool, unavailable};
use super::listener::listen;

/// How long a wait lasts at most where appends of other processes are not heard of.
const WAIT_POLL: Duration = Duration::from_millis(5);
/// How long it lasts at most where they are: every batch of every process is.
const WAIT_LISTENING: Duration = Duration::from_millis(250);

macro_rules! select_events {
    ($from:literal) => {
        concat!(
            "SELECT e.position, e.prev, e.event_id, e.aggregate_type, e.aggregate_id, e.sequence, ",
            "e.stream_key, e.recorded_at, e.event_type, e.event_version, ",
            "e.payload::text AS payload, e.metadata::text AS metadata FROM ",
            $from
        )
    };
}

/// Reads the log on PostgreSQL; a clone shares its connections.
#[derive(Clone)]
pub struct PostgresReader {
    pub(super) pool: PgPool,
    pub(super) head: Head,
    sealed: bool,
    /// Whether appends of other processes are heard of.
    pub(super) listening: Arc<AtomicBool>,
    /// Ends the task that hears of them, with the last reader that has it.
    _hearing: Option<Arc<DropGuard>>,
}

impl PostgresReader {
    /// Connects.
    ///
    /// # Errors
    /// The server cannot be reached, or the schema lacks a migration.
    pub async fn connect(url: &str, options: &StoreOptions) -> Result<Self, OpenError> {
        let pool = pool(url, options).await?;
        Ok(Self {
            pool,
            head: Head::at(Position::START),
            sealed: options.sealed,
            listening: Arc::default(),
            _hearing: None,
        })
    }

    /// As [`PostgresReader::connect`], with one connection more that hears of appends: whoever only
    /// reads does not poll either.
    ///
    /// # Errors
    /// As of [`PostgresReader::connect`].
    pub async fn listening(url: &str, options: &StoreOptions) -> Result<Self, OpenError> {
        let reader = Self::connect(url, options).await?;
        let stop = CancellationToken::new();
        let hearing = listen(url.to_owned(), reader.clone(), stop.clone());
        options.tasks.spawn(hearing);
        Ok(Self { _hearing: Some(Arc::new(stop.drop_guard())), ..reader })
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
impl EventReader for PostgresReader {
    async fn head(&self) -> Result<Position, PortError> {
        let head: Option<i64> = sqlx::query_scalar("SELECT max(position) FROM events")
            .fetch_one(&self.pool)
            .await
            .map_err(unavailable)?;
        to_position(head.unwrap_or(0))
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, PortError> {
        let rows = sqlx::query(select_events!(
            "events e WHERE e.position > $1 ORDER BY e.position LIMIT $2"
        ))
        .bind(from_position(after))
        .bind(from_limit(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        self.opened(decode_all::<Timestamp, _>(&rows)?).await
    }

    async fn read_key(
        &self,
        key: StreamKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, PortError> {
        let rows = sqlx::query(select_events!(
            "events e WHERE e.stream_key = $1 AND e.position > $2 ORDER BY e.position LIMIT $3"
        ))
        .bind(key.0)
        .bind(from_position(after))
        .bind(from_limit(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        self.opened(decode_all::<Timestamp, _>(&rows)?).await
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Recorded>, PortError> {
        let streams: BTreeSet<&StreamId> = streams.iter().collect();
        let kinds: Vec<&str> = streams.iter().map(|stream| stream.kind.as_str()).collect();
        let ids: Vec<&str> = streams.iter().map(|stream| stream.id.as_str()).collect();
        // LATERAL: one look-up per stream, also where the planner thinks that the table is small
        let rows = sqlx::query(select_events!(
            "unnest($1::text[], $2::text[]) AS s(kind, id) CROSS JOIN LATERAL (
                 SELECT * FROM events WHERE aggregate_type = s.kind AND aggregate_id = s.id OFFSET 0
             ) AS e ORDER BY e.position"
        ))
        .bind(kinds)
        .bind(ids)
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        self.opened(decode_all::<Timestamp, _>(&rows)?).await
    }

    async fn key_head(&self, key: StreamKey) -> Result<Position, PortError> {
        let head =
            sqlx::query_scalar("SELECT last_position FROM stream_heads WHERE stream_key = $1")
                .bind(key.0)
                .fetch_optional(&self.pool)
                .await
                .map_err(unavailable)?;
        to_position(head.unwrap_or(0))
    }

    async fn wait(&self, after: Position) {
        let listening = self.listening.load(Ordering::Relaxed);
        let bound = if listening { WAIT_LISTENING } else { WAIT_POLL };
        // either end of the wait lets the caller look
        let _ = tokio::time::timeout(bound, self.head.past(after)).await;
    }

    async fn outcomes(
        &self,
        commands: &[CommandId],
    ) -> Result<BTreeMap<CommandId, StoredOutcome>, PortError> {
        let commands: Vec<Uuid> = commands.iter().map(|command| command.0).collect();
        let rows: Vec<(Uuid, String, i64)> = sqlx::query_as(
            "SELECT command_id, outcome::text, position FROM inbox WHERE command_id = ANY($1)",
        )
        .bind(commands)
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        rows.into_iter().map(decode_outcome).collect()
    }
}
