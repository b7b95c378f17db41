//! The chat log on `SQLite`.

use async_trait::async_trait;
use domain::Timestamp;
use domain::ids::BroadcastId;
use domain::ports::{ChatLog, ChatRecord, Page, PortError};
use serde_json::json;
use sqlx::SqlitePool;
use uuid::Uuid;

use super::{NAME, key};
use crate::read_model::{
    Cursor, column_limit, decode, encode, micros, page_limit, page_of_rows, unreachable_as,
};

/// The chat log in the event store's `SQLite` file; its table comes with the migrations.
#[derive(Debug, Clone)]
pub struct SqliteChatLog {
    pool: SqlitePool,
}

impl SqliteChatLog {
    /// The chat log of a migrated file, on a pool of [`crate::read_model::open_sqlite`].
    pub const fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl ChatLog for SqliteChatLog {
    async fn append(&self, records: &[ChatRecord]) -> Result<(), PortError> {
        let row = |record: &ChatRecord| {
            let sent = micros(record.sent_at);
            let view = encode(NAME, record)?;
            Ok(json!({"id": record.id, "broadcast": record.broadcast, "sent": sent, "view": view}))
        };
        let rows = records.iter().map(row).collect::<Result<Vec<_>, PortError>>()?;
        sqlx::query(
            "INSERT INTO chat_log (id, broadcast, sent_us, view)
             SELECT value->>'id', value->>'broadcast', value->>'sent', value->>'view'
             FROM json_each($1) WHERE true ON CONFLICT (id) DO NOTHING",
        )
        .bind(encode(NAME, &rows)?)
        .execute(&self.pool)
        .await
        .map_err(unreachable_as(NAME))?;
        Ok(())
    }

    async fn message(
        &self,
        broadcast: BroadcastId,
        id: Uuid,
    ) -> Result<Option<ChatRecord>, PortError> {
        let row: Option<String> =
            sqlx::query_scalar("SELECT view FROM chat_log WHERE id = $1 AND broadcast = $2")
                .bind(id.to_string())
                .bind(broadcast.to_string())
                .fetch_optional(&self.pool)
                .await
                .map_err(unreachable_as(NAME))?;
        row.map(|row| decode(NAME, &row)).transpose()
    }

    async fn page(
        &self,
        broadcast: BroadcastId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<ChatRecord>, PortError> {
        let after = Cursor::decode_optional(cursor)?;
        let after = after.unwrap_or(Cursor { micros: i64::MIN, id: Uuid::nil() });
        let limit = page_limit(limit);
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT view FROM chat_log WHERE broadcast = $1 AND (sent_us, id) > ($2, $3)
             ORDER BY sent_us, id LIMIT $4",
        )
        .bind(broadcast.to_string())
        .bind(after.micros)
        .bind(after.id.to_string())
        .bind(column_limit(limit + 1))
        .fetch_all(&self.pool)
        .await
        .map_err(unreachable_as(NAME))?;
        page_of_rows(NAME, &rows, limit, key)
    }

    async fn forget_before(&self, time: Timestamp) -> Result<u64, PortError> {
        let forgotten = sqlx::query("DELETE FROM chat_log WHERE sent_us < $1")
            .bind(micros(time))
            .execute(&self.pool)
            .await
            .map_err(unreachable_as(NAME))?;
        Ok(forgotten.rows_affected())
    }
}
