//! Rows into an empty database.

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::Position;
use domain::row::StoredRow;
use sqlx::{Connection, Executor, PgConnection};
use uuid::Uuid;

use super::super::OpenError;
use super::super::import::{Derived, RowSink};
use super::super::numbers::{from_position, signed};
use super::connect::migrate;

/// A connection, in a transaction.
pub(in super::super) struct PostgresSink(PgConnection);

impl PostgresSink {
    /// Migrates a database and takes the lock of positions, so that no writer comes in between.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        migrate(url).await?;
        let mut connection = PgConnection::connect(url).await?;
        connection.execute("BEGIN").await?;
        connection.execute("SELECT es_lock_positions()").await?;
        Ok(Self(connection))
    }
}

/// Texts of a column; PostgreSQL has none that are not UTF-8.
fn texts(rows: &[StoredRow], of: impl Fn(&StoredRow) -> &[u8]) -> Result<Vec<String>, sqlx::Error> {
    rows.iter()
        .map(|row| {
            String::from_utf8(of(row).to_vec()).map_err(|error| {
                let position = row.position;
                sqlx::Error::Encode(format!("position {position}: {error}").into())
            })
        })
        .collect()
}

#[async_trait]
impl RowSink for PostgresSink {
    async fn head(&mut self) -> Result<Position, sqlx::Error> {
        let head: i64 = sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM events")
            .fetch_one(&mut self.0)
            .await?;
        Ok(Position(u64::try_from(head).unwrap_or(0)))
    }

    async fn insert(&mut self, rows: &[StoredRow]) -> Result<(), sqlx::Error> {
        let times = rows.iter().map(|row| Timestamp::from_timestamp_micros(row.recorded_at));
        let times: Option<Vec<Timestamp>> = times.collect();
        let times = times.ok_or_else(|| sqlx::Error::Encode("a time is out of range".into()))?;
        let ids = |of: fn(&StoredRow) -> Uuid| rows.iter().map(of).collect::<Vec<_>>();
        let numbers = |of: fn(&StoredRow) -> i64| rows.iter().map(of).collect::<Vec<_>>();
        sqlx::query(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version,
                                 payload, metadata, position, event_id, stream_key, prev,
                                 recorded_at)
             SELECT e.type, e.id, e.sequence, e.event_type, e.version, e.payload::json,
                    e.metadata::json, e.position, e.event_id, e.key, e.prev, e.at
               FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[],
                           $6::text[], $7::text[], $8::bigint[], $9::uuid[], $10::uuid[],
                           $11::bigint[], $12::timestamptz[])
                    AS e(type, id, sequence, event_type, version, payload, metadata, position,
                         event_id, key, prev, at)",
        )
        .bind(texts(rows, |row| &row.aggregate_type)?)
        .bind(texts(rows, |row| &row.aggregate_id)?)
        .bind(numbers(|row| signed(row.sequence)))
        .bind(texts(rows, |row| &row.event_type)?)
        .bind(texts(rows, |row| &row.event_version)?)
        .bind(texts(rows, |row| &row.payload)?)
        .bind(texts(rows, |row| &row.metadata)?)
        .bind(numbers(|row| from_position(row.position)))
        .bind(ids(|row| row.event_id))
        .bind(ids(|row| row.stream_key))
        .bind(numbers(|row| from_position(row.prev)))
        .bind(times)
        .execute(&mut self.0)
        .await
        .map(|_| ())
    }

    async fn keys(&mut self, first: Position, keys: &[u8]) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO personal_keys (first_position, keys) VALUES ($1, $2)")
            .bind(from_position(first))
            .bind(keys)
            .execute(&mut self.0)
            .await
            .map(|_| ())
    }

    async fn derive(&mut self, derived: Option<&Derived>) -> Result<(), sqlx::Error> {
        self.0
            .execute(
                "INSERT INTO stream_heads (stream_key, last_position)
                 SELECT stream_key, max(position) FROM events GROUP BY stream_key",
            )
            .await?;
        let Some(derived) = derived else { return Ok(()) };
        for ((spotlight, sku), row) in &derived.ledger {
            sqlx::query(
                "INSERT INTO stock_ledger (spotlight_id, sku, lim, held, confirmed)
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(spotlight.0)
            .bind(sku.as_str())
            .bind(row.limit)
            .bind(row.held)
            .bind(row.confirmed)
            .execute(&mut self.0)
            .await?;
        }
        for ((spotlight, viewer), units) in &derived.units {
            sqlx::query(
                "INSERT INTO viewer_units (spotlight_id, viewer_ref, units, lim)
                 VALUES ($1, $2, $3, $4)",
            )
            .bind(spotlight.0)
            .bind(viewer.as_str())
            .bind(units)
            .bind(derived.limits.get(spotlight).map(|limit| i64::from(*limit)))
            .execute(&mut self.0)
            .await?;
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), sqlx::Error> {
        self.0.execute("COMMIT").await?;
        self.0.close().await
    }
}
