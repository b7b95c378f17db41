//! The store in one file, with one owner.

mod connect;
mod import;
mod keys;
mod reader;
mod rows;
mod seal;
mod session;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::{Position, Recorded, Source};
use domain::event::StreamId;
use domain::ids::{CommandId, SpotlightId, StreamKey, ViewerRef};
use domain::ledger::Ledger;
use domain::ports::{
    Batch, Claim, Clock, EventReader, EventStore, ParkedCommand, PortError, StoreError,
    StoredOutcome,
};
use sqlx::sqlite::SqlitePool;
use tokio_util::task::TaskTracker;

pub(super) use connect::BUSY;
pub use connect::migrate;
pub(super) use import::SqliteSink;
pub(super) use keys::SqliteShredder;
pub use reader::SqliteReader;
pub(super) use seal::SqliteSealSink;

use self::connect::unavailable;
use self::session::SqliteSession;
use super::encoded::Encoded;
use super::numbers::{from_limit, from_position, signed, to_position, unsigned};
use super::stored::{PARKED_COLUMNS, StoredParked, decode_claim, decode_ledger, decode_units};
use super::writer::Writer;
use super::{LEASE_SECONDS, OpenError, StoreOptions};

/// The store in one file.
pub struct SqliteStore {
    reader: SqliteReader,
    writer: Writer,
    /// Single statements that write: claims, leases, checkpoints.
    small: SqlitePool,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
}

impl SqliteStore {
    /// Opens a file, which it makes where there is none, and becomes its owner.
    ///
    /// # Errors
    /// Another process owns the file, or it cannot be opened or migrated.
    pub async fn open(url: &str, options: &StoreOptions) -> Result<Self, OpenError> {
        let owned = connect::own(url).await?;
        let small = connect::small(url).await?;
        let reader = SqliteReader::of_owner(url, options).await?;
        let clock = options.clock.clone();
        let tasks = TaskTracker::new();
        let session = SqliteSession { owned, clock: clock.clone() };
        let writer = Writer::start(session, reader.head.clone(), [&tasks, &options.tasks]);
        Ok(Self { reader, writer, small, clock, tasks })
    }

    /// Opens a file for reading only, also while its owner runs.
    ///
    /// # Errors
    /// There is no such file, or its schema lacks a migration.
    pub async fn open_read_only(
        url: &str,
        options: &StoreOptions,
    ) -> Result<SqliteReader, OpenError> {
        SqliteReader::open(url, options).await
    }

    /// Waits until batches in flight have been decided and the file is free for another owner.
    pub async fn close(self) {
        let Self { reader, writer, small, tasks, .. } = self;
        drop(writer);
        reader.pool.close().await;
        small.close().await;
        tasks.close();
        tasks.wait().await;
    }
}

#[async_trait]
impl EventReader for SqliteStore {
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
impl EventStore for SqliteStore {
    async fn claim(&self, topic: &str, partition: i32, owner: &str) -> Result<Claim, PortError> {
        let row = sqlx::query_as(
            "INSERT INTO ingest_offsets AS o (topic, partition, epoch, owner) VALUES (?1, ?2, 1, ?3)
             ON CONFLICT (topic, partition) DO UPDATE SET epoch = o.epoch + 1, owner = excluded.owner
             RETURNING epoch, next_offset",
        )
        .bind(topic)
        .bind(partition)
        .bind(owner)
        .fetch_one(&self.small)
        .await
        .map_err(unavailable)?;
        decode_claim(row)
    }

    async fn position_of(&self, topic: &str, partition: i32) -> Result<Option<Claim>, PortError> {
        let row = sqlx::query_as(
            "SELECT epoch, next_offset FROM ingest_offsets WHERE topic = ?1 AND partition = ?2",
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
            "SELECT sku, lim, held, confirmed FROM stock_ledger WHERE spotlight_id = ?1",
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
        let rows = sqlx::query_as(
            "SELECT viewer_ref, units FROM viewer_units
             WHERE spotlight_id = ?1 AND viewer_ref IN (SELECT value FROM json_each(?2))
               AND units > 0",
        )
        .bind(spotlight.0)
        .bind(reader::json(&viewers)?)
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
            "SELECT DISTINCT sequence FROM parked
             WHERE sequence IN (SELECT value FROM json_each(?1)) AND settled = 0 AND released = 0
             ORDER BY sequence",
        )
        .bind(reader::json(&sequences)?)
        .fetch_all(&self.reader.pool)
        .await
        .map_err(unavailable)
    }

    async fn parked_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<ParkedCommand>, PortError> {
        let rows: Vec<StoredParked<i64>> = sqlx::query_as(&format!(
            "SELECT {PARKED_COLUMNS} FROM parked
             WHERE settled = 0 AND (deadline <= $1 OR action IN ('retry', 'discard'))
             ORDER BY deadline, topic, partition, \"offset\" LIMIT $2",
        ))
        .bind(now.timestamp_micros())
        .bind(from_limit(limit))
        .fetch_all(&self.reader.pool)
        .await
        .map_err(unavailable)?;
        rows.into_iter().map(StoredParked::decode).collect()
    }

    async fn unpark(&self, source: &Source) -> Result<(), PortError> {
        sqlx::query(
            "UPDATE parked SET released = 1
             WHERE topic = ?1 AND partition = ?2 AND \"offset\" = ?3",
        )
        .bind(&source.topic)
        .bind(source.partition)
        .bind(source.offset)
        .execute(&self.small)
        .await
        .map(|_| ())
        .map_err(unavailable)
    }

    async fn settle_parked(&self, source: &Source) -> Result<(), PortError> {
        sqlx::query(
            "UPDATE parked SET settled = 1 WHERE topic = ?1 AND partition = ?2 AND \"offset\" = ?3",
        )
        .bind(&source.topic)
        .bind(source.partition)
        .bind(source.offset)
        .execute(&self.small)
        .await
        .map(|_| ())
        .map_err(unavailable)
    }

    async fn lease(&self, role: &str, owner: &str) -> Result<Option<u64>, PortError> {
        let now = self.clock.now();
        let expires_at = now + chrono::Duration::seconds(LEASE_SECONDS);
        let epoch: Option<i64> = sqlx::query_scalar(
            "INSERT INTO role_leases AS l (role, owner, epoch, expires_at) VALUES (?1, ?2, 1, ?3)
             ON CONFLICT (role) DO UPDATE
                SET owner = excluded.owner, expires_at = excluded.expires_at,
                    epoch = l.epoch + (l.owner <> excluded.owner)
              WHERE l.owner = excluded.owner OR l.expires_at <= ?4
             RETURNING epoch",
        )
        .bind(role)
        .bind(owner)
        .bind(expires_at.timestamp_micros())
        .bind(now.timestamp_micros())
        .fetch_optional(&self.small)
        .await
        .map_err(unavailable)?;
        epoch.map(|epoch| unsigned(epoch, "an epoch")).transpose()
    }

    async fn release(&self, role: &str, owner: &str) -> Result<(), PortError> {
        sqlx::query("UPDATE role_leases SET expires_at = ?3 WHERE role = ?1 AND owner = ?2")
            .bind(role)
            .bind(owner)
            .bind(self.clock.now().timestamp_micros())
            .execute(&self.small)
            .await
            .map(|_| ())
            .map_err(unavailable)
    }

    async fn checkpoint(&self, role: &str) -> Result<Position, PortError> {
        let position = sqlx::query_scalar("SELECT position FROM role_leases WHERE role = ?1")
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
            sqlx::query("UPDATE role_leases SET position = ?3 WHERE role = ?1 AND epoch = ?2")
                .bind(role)
                .bind(signed(epoch))
                .bind(from_position(position))
                .execute(&self.small)
                .await
                .map_err(|error| StoreError::Unavailable(unavailable(error)))?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Fenced) }
    }
}
