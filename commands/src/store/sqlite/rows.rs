//! Reading the log on SQLite as its bytes.

use async_trait::async_trait;
use domain::envelope::Position;
use domain::ports::{PortError, RowReader};
use domain::row::StoredRow;
use domain::seal::{KeyRecord, Seal, SealedBlock};

use super::super::numbers::{from_limit, from_position, signed, to_position};
use super::super::sealed::{decode_block, decode_key, decode_seal, raw_all};
use super::connect::unavailable;
use super::reader::SqliteReader;

#[async_trait]
impl RowReader for SqliteReader {
    async fn rows(&self, after: Position, limit: usize) -> Result<Vec<StoredRow>, PortError> {
        // as bytes: a damaged text need not be UTF-8
        let rows = sqlx::query(
            "SELECT position, prev, event_id, CAST(aggregate_type AS BLOB),
                    CAST(aggregate_id AS BLOB), sequence, stream_key, recorded_at,
                    CAST(event_type AS BLOB), CAST(event_version AS BLOB),
                    CAST(payload AS BLOB), CAST(metadata AS BLOB)
             FROM events WHERE position > ?1 ORDER BY position LIMIT ?2",
        )
        .bind(from_position(after))
        .bind(from_limit(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        raw_all(&rows)
    }

    async fn last_row(&self) -> Result<Position, PortError> {
        let head: Option<i64> = sqlx::query_scalar("SELECT max(position) FROM events")
            .fetch_one(&self.pool)
            .await
            .map_err(unavailable)?;
        to_position(head.unwrap_or(0))
    }

    async fn seals(&self, after: u64, limit: usize) -> Result<Vec<Seal>, PortError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT number, seal FROM seals WHERE number > ?1 ORDER BY number LIMIT ?2",
        )
        .bind(signed(after))
        .bind(from_limit(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        rows.into_iter().map(decode_seal).collect()
    }

    async fn block(&self, number: u64) -> Result<Option<SealedBlock>, PortError> {
        let row: Option<(i64, String, Vec<u8>)> =
            sqlx::query_as("SELECT number, seal, row_hash FROM seals WHERE number = ?1")
                .bind(signed(number))
                .fetch_optional(&self.pool)
                .await
                .map_err(unavailable)?;
        row.map(decode_block).transpose()
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, PortError> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT key_id, public_key, first_seal FROM seal_keys ORDER BY first_seal, key_id",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        rows.into_iter().map(decode_key).collect()
    }
}
