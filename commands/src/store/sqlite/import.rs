//! Rows into an empty file.

use async_trait::async_trait;
use domain::envelope::Position;
use domain::row::StoredRow;
use sqlx::{Executor, QueryBuilder, Sqlite};

use super::super::OpenError;
use super::super::import::{Derived, RowSink};
use super::super::numbers::{from_position, signed};
use super::connect::{Owned, own};

/// Rows of one INSERT, as of the writer.
const ROWS_PER_INSERT: usize = 200;

/// The owner's connection, in a transaction.
pub(in super::super) struct SqliteSink(Owned);

impl SqliteSink {
    /// Takes a file over, which it makes where there is none.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let mut owned = own(url).await?;
        owned.connection.execute("BEGIN IMMEDIATE").await?;
        Ok(Self(owned))
    }
}

#[async_trait]
impl RowSink for SqliteSink {
    async fn head(&mut self) -> Result<Position, sqlx::Error> {
        let head: i64 = sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM events")
            .fetch_one(&mut self.0.connection)
            .await?;
        Ok(Position(u64::try_from(head).unwrap_or(0)))
    }

    async fn insert(&mut self, rows: &[StoredRow]) -> Result<(), sqlx::Error> {
        for rows in rows.chunks(ROWS_PER_INSERT) {
            let mut insert: QueryBuilder<'_, Sqlite> = QueryBuilder::new(
                "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type,
                 event_version, payload, metadata, position, event_id, stream_key, prev,
                 recorded_at) ",
            );
            insert.push_values(rows, |mut values, row| {
                // a text that is no UTF-8 stays what it was
                for text in [&row.aggregate_type, &row.aggregate_id] {
                    values.push("CAST(").push_bind_unseparated(text).push_unseparated(" AS TEXT)");
                }
                values.push_bind(signed(row.sequence));
                for text in [&row.event_type, &row.event_version, &row.payload, &row.metadata] {
                    values.push("CAST(").push_bind_unseparated(text).push_unseparated(" AS TEXT)");
                }
                values
                    .push_bind(from_position(row.position))
                    .push_bind(row.event_id)
                    .push_bind(row.stream_key)
                    .push_bind(from_position(row.prev))
                    .push_bind(row.recorded_at);
            });
            let full = rows.len() == ROWS_PER_INSERT;
            insert.build().persistent(full).execute(&mut self.0.connection).await?;
        }
        Ok(())
    }

    async fn keys(&mut self, first: Position, keys: &[u8]) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO personal_keys (first_position, keys) VALUES ($1, $2)")
            .bind(from_position(first))
            .bind(keys)
            .execute(&mut self.0.connection)
            .await
            .map(|_| ())
    }

    async fn derive(&mut self, derived: Option<&Derived>) -> Result<(), sqlx::Error> {
        let connection = &mut self.0.connection;
        connection
            .execute(
                "INSERT INTO stream_heads (stream_key, last_position)
                 SELECT stream_key, max(position) FROM events GROUP BY stream_key",
            )
            .await?;
        let Some(derived) = derived else { return Ok(()) };
        for ((spotlight, sku), row) in &derived.ledger {
            sqlx::query(
                "INSERT INTO stock_ledger (spotlight_id, sku, lim, held, confirmed)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .bind(spotlight.0)
            .bind(sku.as_str())
            .bind(row.limit)
            .bind(row.held)
            .bind(row.confirmed)
            .execute(&mut *connection)
            .await?;
        }
        for ((spotlight, viewer), units) in &derived.units {
            sqlx::query(
                "INSERT INTO viewer_units (spotlight_id, viewer_ref, units, lim)
                 VALUES (?1, ?2, ?3, ?4)",
            )
            .bind(spotlight.0)
            .bind(viewer.as_str())
            .bind(units)
            .bind(derived.limits.get(spotlight).map(|limit| i64::from(*limit)))
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), sqlx::Error> {
        self.0.connection.execute("COMMIT").await.map(|_| ())
    }
}
