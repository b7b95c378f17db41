//! The store on PostgreSQL: the table of postgres-es and our columns.

mod columns;
mod connect;
mod import;
mod keys;
mod listener;
mod reader;
mod rows;
mod seal;
mod session;

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::{Position, Recorded, Source};
use domain::event::StreamId;
use domain::ids::{CommandId, SpotlightId, StreamKey, ViewerRef};
use domain::ledger::Ledger;
use domain::ports::{
    Batch, Claim, EventReader, EventStore, ParkedCommand, PortError, StoreError, StoredOutcome,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use connect::{migrate, refuse_read_only};
pub(super) use import::PostgresSink;
pub(super) use keys::PostgresShredder;
pub use reader::PostgresReader;
pub(super) use seal::PostgresSealSink;

use self::connect::unavailable;
use self::session::PostgresSession;
use super::encoded::Encoded;
use super::numbers::{from_limit, from_position, signed, to_position, unsigned};
use super::stored::{PARKED_COLUMNS, StoredParked, decode_claim, decode_ledger, decode_units};
use super::writer::Writer;
use super::{LEASE_SECONDS, OpenError, StoreOptions};

/// The store on PostgreSQL.
pub struct PostgresStore {
    reader: PostgresReader,
    writer: Writer,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl PostgresStore {
    /// Connects, with one connection for the writer, one that listens, and a pool for all else.
    ///
    /// # Errors
    /// The server cannot be reached, or the schema lacks a migration.
    pub async fn connect(url: &str, options: &StoreOptions) -> Result<Self, OpenError> {
        let reader = PostgresReader::connect(url, options).await?;
        let session = PostgresSession::connect(url).await?;
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let writer = Writer::start(session, reader.head.clone(), [&tasks, &options.tasks]);
        let hearing = listener::listen(url.to_owned(), reader.clone(), stop.clone());
        tasks.spawn(options.tasks.track_future(hearing));
        Ok(Self { reader, writer, tasks, stop: stop.drop_guard() })
    }

    /// Waits until batches in flight have been decided and every connection is closed.
    pub async fn close(self) {
        let Self { reader, writer, tasks, stop } = self;
        drop((writer, stop));
        tasks.close();
        tasks.wait().await;
        reader.pool.close().await;
    }
}

#[async_trait]
impl EventReader for PostgresStore {
    async fn head(&self) -> Result<Position, PortError> {
        self.reader.head().await
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, PortError> {
        self.reader.read(after, limit).await
    }

    async fn read_key(
        &self,
        key: StreamKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, PortError> {
        self.reader.read_key(key, after, limit).await
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Recorded>, PortError> {
        self.reader.load(streams).await
    }

    async fn key_head(&self, key: StreamKey) -> Result<Position, PortError> {
        self.reader.key_head(key).await
    }

    async fn wait(&self, after: Position) {
        self.reader.wait(after).await;
    }

    async fn outcomes(
        &self,
        commands: &[CommandId],
    ) -> Result<BTreeMap<CommandId, StoredOutcome>, PortError> {
        self.reader.outcomes(commands).await
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    async fn claim(&self, topic: &str, partition: i32, owner: &str) -> Result<Claim, PortError> {
        let row = sqlx::query_as(
            "INSERT INTO ingest_offsets AS o (topic, partition, epoch, owner) VALUES ($1, $2, 1, $3)
             ON CONFLICT (topic, partition) DO UPDATE SET epoch = o.epoch + 1, owner = EXCLUDED.owner
             RETURNING epoch, next_offset",
        )
        .bind(topic)
        .bind(partition)
        .bind(owner)
        .fetch_one(&self.reader.pool)
        .await
        .map_err(unavailable)?;
        decode_claim(row)
    }

    async fn position_of(&self, topic: &str, partition: i32) -> Result<Option<Claim>, PortError> {
        // FOR SHARE waits for a commit whose answer was lost and that is still under way
        let row = sqlx::query_as(
            "SELECT epoch, next_offset FROM ingest_offsets WHERE topic = $1 AND partition = $2
             FOR SHARE",
        )
        .bind(topic)
        .bind(partition)
        .fetch_optional(&self.reader.pool)
        .await
        .map_err(unavailable)?;
        row.map(decode_claim).transpose()
    }

    async fn ledger(&self, spotlight: SpotlightId) -> Result<Ledger, PortError> {
        let rows = sqlx::query_as(
            "SELECT sku, lim, held, confirmed FROM stock_ledger WHERE spotlight_id = $1",
        )
        .bind(spotlight.0)
        .fetch_all(&self.reader.pool)
        .await
        .map_err(unavailable)?;
        decode_ledger(rows)
    }

    async fn units(
        &self,
        spotlight: SpotlightId,
        viewers: &[ViewerRef],
    ) -> Result<BTreeMap<ViewerRef, i64>, PortError> {
        let viewers: Vec<&str> = viewers.iter().map(ViewerRef::as_str).collect();
        let rows = sqlx::query_as(
            "SELECT viewer_ref, units FROM viewer_units
             WHERE spotlight_id = $1 AND viewer_ref = ANY($2) AND units > 0",
        )
        .bind(spotlight.0)
        .bind(viewers)
        .fetch_all(&self.reader.pool)
        .await
        .map_err(unavailable)?;
        decode_units(rows)
    }

    async fn append(&self, batch: &Batch) -> Result<Position, StoreError> {
        self.writer.append(Encoded::of(batch)?).await
    }

    async fn parked_among(&self, sequences: &[String]) -> Result<Vec<String>, PortError> {
        sqlx::query_scalar(
            "SELECT DISTINCT sequence COLLATE \"C\" FROM parked
             WHERE sequence = ANY($1) AND NOT settled AND NOT released ORDER BY 1",
        )
        .bind(sequences)
        .fetch_all(&self.reader.pool)
        .await
        .map_err(unavailable)
    }

    async fn parked_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<ParkedCommand>, PortError> {
        let rows: Vec<StoredParked<Timestamp>> = sqlx::query_as(&format!(
            "SELECT {PARKED_COLUMNS} FROM parked
             WHERE NOT settled AND (deadline <= $1 OR action IN ('retry', 'discard'))
             ORDER BY deadline, topic COLLATE \"C\", partition, \"offset\" LIMIT $2",
        ))
        .bind(now)
        .bind(from_limit(limit))
        .fetch_all(&self.reader.pool)
        .await
        .map_err(unavailable)?;
        rows.into_iter().map(StoredParked::decode).collect()
    }

    async fn unpark(&self, source: &Source) -> Result<(), PortError> {
        sqlx::query(
            "UPDATE parked SET released = true
             WHERE topic = $1 AND partition = $2 AND \"offset\" = $3",
        )
        .bind(&source.topic)
        .bind(source.partition)
        .bind(source.offset)
        .execute(&self.reader.pool)
        .await
        .map(|_| ())
        .map_err(unavailable)
    }

    async fn settle_parked(&self, source: &Source) -> Result<(), PortError> {
        sqlx::query(
            "UPDATE parked SET settled = true
             WHERE topic = $1 AND partition = $2 AND \"offset\" = $3",
        )
        .bind(&source.topic)
        .bind(source.partition)
        .bind(source.offset)
        .execute(&self.reader.pool)
        .await
        .map(|_| ())
        .map_err(unavailable)
    }

    async fn lease(&self, role: &str, owner: &str) -> Result<Option<u64>, PortError> {
        let epoch: Option<i64> = sqlx::query_scalar(
            "INSERT INTO role_leases AS l (role, owner, epoch, expires_at)
             VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3::bigint))
             ON CONFLICT (role) DO UPDATE
                SET owner = EXCLUDED.owner, expires_at = EXCLUDED.expires_at,
                    epoch = l.epoch + CASE WHEN l.owner = EXCLUDED.owner THEN 0 ELSE 1 END
              WHERE l.owner = EXCLUDED.owner OR l.expires_at <= clock_timestamp()
             RETURNING epoch",
        )
        .bind(role)
        .bind(owner)
        .bind(LEASE_SECONDS)
        .fetch_optional(&self.reader.pool)
        .await
        .map_err(unavailable)?;
        epoch.map(|epoch| unsigned(epoch, "an epoch")).transpose()
    }

    async fn release(&self, role: &str, owner: &str) -> Result<(), PortError> {
        sqlx::query(
            "UPDATE role_leases SET expires_at = clock_timestamp() WHERE role = $1 AND owner = $2",
        )
        .bind(role)
        .bind(owner)
        .execute(&self.reader.pool)
        .await
        .map(|_| ())
        .map_err(unavailable)
    }

    async fn checkpoint(&self, role: &str) -> Result<Position, PortError> {
        let position = sqlx::query_scalar("SELECT position FROM role_leases WHERE role = $1")
            .bind(role)
            .fetch_optional(&self.reader.pool)
            .await
            .map_err(unavailable)?;
        to_position(position.unwrap_or(0))
    }

    async fn set_checkpoint(
        &self,
        role: &str,
        epoch: u64,
        position: Position,
    ) -> Result<(), StoreError> {
        let done =
            sqlx::query("UPDATE role_leases SET position = $3 WHERE role = $1 AND epoch = $2")
                .bind(role)
                .bind(signed(epoch))
                .bind(from_position(position))
                .execute(&self.reader.pool)
                .await
                .map_err(|error| StoreError::Unavailable(unavailable(error)))?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Fenced) }
    }
}
