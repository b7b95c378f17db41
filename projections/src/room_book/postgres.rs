//! The room book on `PostgreSQL`.

use async_trait::async_trait;
use domain::ids::BroadcastId;
use domain::ports::{PortError, RoomBook, RoomTotals};
use sqlx::PgPool;

use super::{NAME, Row, row_of, totals_of};
use crate::read_model::unreachable_as;

/// The room book on `PostgreSQL`; its table comes with the migrations.
#[derive(Debug, Clone)]
pub struct PostgresRoomBook {
    pool: PgPool,
}

impl PostgresRoomBook {
    /// The room book of a migrated database.
    pub const fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl RoomBook for PostgresRoomBook {
    async fn totals(&self, broadcast: BroadcastId) -> Result<RoomTotals, PortError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT likes, viewers_peak, viewers_distinct FROM rooms WHERE broadcast = $1",
        )
        .bind(broadcast.0)
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
                 likes = greatest(rooms.likes, excluded.likes),
                 viewers_peak = greatest(rooms.viewers_peak, excluded.viewers_peak),
                 viewers_distinct = greatest(rooms.viewers_distinct, excluded.viewers_distinct)",
        )
        .bind(broadcast.0)
        .bind(likes)
        .bind(peak)
        .bind(distinct)
        .execute(&self.pool)
        .await
        .map_err(unreachable_as(NAME))?;
        Ok(())
    }
}
