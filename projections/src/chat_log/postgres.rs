//! The chat log on `PostgreSQL`.

use async_trait::async_trait;
use domain::Timestamp;
use domain::ids::BroadcastId;
use domain::ports::{ChatLog, ChatRecord, Page, PortError};
use sqlx::PgPool;
use uuid::Uuid;

use super::{NAME, key};
use crate::read_model::{
    Cursor, column_limit, decode, encode, micros, page_limit, page_of_rows, unreachable_as,
};

/// The chat log on `PostgreSQL`; its table comes with the migrations.
#[derive(Debug, Clone)]
pub struct PostgresChatLog {
    pool: PgPool,
}

impl PostgresChatLog {
    /// The chat log of a migrated database.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl ChatLog for PostgresChatLog {
    async fn append(&self, records: &[ChatRecord]) -> Result<(), PortError> {
        let views: Vec<String> =
            records.iter().map(|record| encode(NAME, record)).collect::<Result<_, _>>()?;
        sqlx::query(
            "INSERT INTO chat_log (id, broadcast, sent_us, view)
             SELECT id, broadcast, sent_us, view::json
             FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::text[])
                 AS new (id, broadcast, sent_us, view)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(records.iter().map(|record| record.id).collect::<Vec<_>>())
        .bind(records.iter().map(|record| record.broadcast.0).collect::<Vec<_>>())
        .bind(records.iter().map(|record| micros(record.sent_at)).collect::<Vec<_>>())
        .bind(views)
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
            sqlx::query_scalar("SELECT view::text FROM chat_log WHERE id = $1 AND broadcast = $2")
                .bind(id)
                .bind(broadcast.0)
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
            "SELECT view::text FROM chat_log WHERE broadcast = $1 AND (sent_us, id) > ($2, $3)
             ORDER BY sent_us, id LIMIT $4",
        )
        .bind(broadcast.0)
        .bind(after.micros)
        .bind(after.id)
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
