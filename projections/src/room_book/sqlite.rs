//! The room book on `SQLite`.

use async_trait::async_trait;
use domain::ids::BroadcastId;
use domain::ports::{PortError, RoomBook, RoomTotals};
use sqlx::SqlitePool;

use super::{NAME, Row, row_of, totals_of};
use crate::read_model::unreachable_as;

/// The room book on `SQLite`; its table comes with the migrations.
#[derive(Debug, Clone)]
pub struct SqliteRoomBook {
    pool: SqlitePool,
}

impl SqliteRoomBook {
    /// The room book of a migrated database.
    pub const fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl RoomBook for SqliteRoomBook {
    async fn totals(&self, broadcast: BroadcastId) -> Result<RoomTotals, PortError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT likes, viewers_peak, viewers_distinct FROM rooms WHERE broadcast = $1",
        )
        .bind(broadcast.to_string())
        .fetch_optional(&self.pool)
        .await
        .map_err(unreachable_as(NAME))?;
        row.map_or_else(|| Ok(RoomTotals::default()), totals_of)
    }

    async fn keep(&self, broadcast: BroadcastId, totals: RoomTotals) -> Result<(), PortError> {
        let (likes, peak, distinct) = row_of(totals);
        sqlx::query(
            "INSERT INTO rooms (broadcast, likes, viewers_peak, viewers_distinct)
             VALUES ($1, $2, $3, $4) ON CONFLICT (broadcast) DO UPDATE SET
                 likes = max(rooms.likes, excluded.likes),
                 viewers_peak = max(rooms.viewers_peak, excluded.viewers_peak),
                 viewers_distinct = max(rooms.viewers_distinct, excluded.viewers_distinct)",
        )
        .bind(broadcast.to_string())
        .bind(likes)
        .bind(peak)
        .bind(distinct)
        .execute(&self.pool)
        .await
        .map_err(unreachable_as(NAME))?;
        Ok(())
    }
}
