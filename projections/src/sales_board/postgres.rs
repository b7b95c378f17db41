//! The sales board on `PostgreSQL`.

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::ids::{BroadcastId, SellerId, SpotlightId};
use domain::ports::{Page, PortError, SalesBoard, SalesTotals};
use domain::views::{BroadcastView, SpotlightView};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::columns::{
    BroadcastColumns, SpotlightColumns, Touched, due_statement, identity, list_statement,
    read_rows, totals_of, write_rows,
};
use super::rows::Rows;
use super::{NAME, broadcast_key, spotlight_key};
use crate::read_model::{
    Cursor, Identity, Slot, after_checkpoint, column_limit, decode, due_limit, micros, page_limit,
    page_of_rows, postgres, unreachable_as,
};

/// The sales board on `PostgreSQL`; its tables come with the migrations.
#[derive(Debug, Clone)]
pub struct PostgresSalesBoard {
    pool: PgPool,
    identity: Identity,
    slot: Slot,
}

impl PostgresSalesBoard {
    /// The sales board of a migrated database.
    pub fn new(pool: PgPool) -> Self {
        Self::in_slot(pool, Slot::Live)
    }

    /// The same, of rows in a slot.
    pub fn in_slot(pool: PgPool, slot: Slot) -> Self {
        Self { pool, identity: identity().in_slot(slot), slot }
    }

    /// Applies events in a transaction; returns the checkpoint that it will have.
    ///
    /// # Errors
    /// As of [`SalesBoard::apply`].
    pub(crate) async fn apply_in(
        &self,
        transaction: &mut PgConnection,
        events: &[Recorded],
    ) -> Result<Position, PortError> {
        let from = postgres::lock(&mut *transaction, &self.identity).await?;
        let new = after_checkpoint(NAME, from, events)?;
        let Some(last) = new.last() else { return Ok(from) };
        let mut rows = load(&mut *transaction, self.slot, Touched::by(new)).await?;
        for recorded in new {
            rows.take_in(recorded);
        }
        save(&mut *transaction, self.slot, &rows).await?;
        postgres::advance(&mut *transaction, &self.identity, from, last.position).await?;
        Ok(last.position)
    }

    async fn view(&self, statement: &str, id: Uuid) -> Result<Option<String>, PortError> {
        sqlx::query_scalar(&self.slot.sql(statement))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(unreachable_as(NAME))
    }
}

async fn load(
    transaction: &mut PgConnection,
    slot: Slot,
    touched: Touched,
) -> Result<Rows, PortError> {
    let ids: Vec<Uuid> = touched.broadcasts.into_iter().map(|id| id.0).collect();
    let mut broadcasts: Vec<String> = vec![];
    if !ids.is_empty() {
        broadcasts = sqlx::query_scalar(
            &slot.sql("SELECT view::text FROM board_broadcasts WHERE id = ANY($1)"),
        )
        .bind(ids)
        .fetch_all(&mut *transaction)
        .await
        .map_err(unreachable_as(NAME))?;
    }
    let ids: Vec<Uuid> = touched.spotlights.into_iter().map(|id| id.0).collect();
    let spotlights: Vec<(String, String)> = sqlx::query_as(
        &slot.sql("SELECT view::text, totals::text FROM board_spotlights WHERE id = ANY($1)"),
    )
    .bind(ids)
    .fetch_all(transaction)
    .await
    .map_err(unreachable_as(NAME))?;
    read_rows(&broadcasts, &spotlights)
}

fn column<'a, R, T>(rows: &'a [R], of: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

async fn save_broadcasts(
    transaction: &mut PgConnection,
    slot: Slot,
    rows: &[BroadcastColumns],
) -> Result<(), PortError> {
    sqlx::query(&slot.sql(
        "INSERT INTO board_broadcasts (id, seller, status, created_us, ended_us, view)
         SELECT id, seller, status, created_us, ended_us, view::json
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
             AS new (id, seller, status, created_us, ended_us, view)
         ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status, ended_us = EXCLUDED.ended_us,
             view = EXCLUDED.view",
    ))
    .bind(column(rows, |row| row.id))
    .bind(column(rows, |row| row.seller.as_str()))
    .bind(column(rows, |row| row.status))
    .bind(column(rows, |row| row.created_us))
    .bind(column(rows, |row| row.ended_us))
    .bind(column(rows, |row| row.view.as_str()))
    .execute(transaction)
    .await
    .map_err(unreachable_as(NAME))?;
    Ok(())
}

async fn save_spotlights(
    transaction: &mut PgConnection,
    slot: Slot,
    rows: &[SpotlightColumns],
) -> Result<(), PortError> {
    sqlx::query(&slot.sql(
        "INSERT INTO board_spotlights (id, broadcast, status, created_us, opens_us, closes_us,
             view, totals)
         SELECT id, broadcast, status, created_us, opens_us, closes_us, view::json, totals::json
         FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[],
             $6::bigint[], $7::text[], $8::text[])
             AS new (id, broadcast, status, created_us, opens_us, closes_us, view, totals)
         ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status, opens_us = EXCLUDED.opens_us,
             closes_us = EXCLUDED.closes_us, view = EXCLUDED.view, totals = EXCLUDED.totals",
    ))
    .bind(column(rows, |row| row.id))
    .bind(column(rows, |row| row.broadcast))
    .bind(column(rows, |row| row.status))
    .bind(column(rows, |row| row.created_us))
    .bind(column(rows, |row| row.opens_us))
    .bind(column(rows, |row| row.closes_us))
    .bind(column(rows, |row| row.view.as_str()))
    .bind(column(rows, |row| row.totals.as_str()))
    .execute(transaction)
    .await
    .map_err(unreachable_as(NAME))?;
    Ok(())
}

async fn save(transaction: &mut PgConnection, slot: Slot, rows: &Rows) -> Result<(), PortError> {
    let (broadcasts, spotlights) = write_rows(rows)?;
    if !broadcasts.is_empty() {
        save_broadcasts(transaction, slot, &broadcasts).await?;
    }
    if !spotlights.is_empty() {
        save_spotlights(transaction, slot, &spotlights).await?;
    }
    Ok(())
}

#[async_trait]
impl SalesBoard for PostgresSalesBoard {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        postgres::checkpoint(&self.pool, &self.identity).await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        let mut transaction = self.pool.begin().await.map_err(unreachable_as(NAME))?;
        let last = self.apply_in(&mut transaction, events).await?;
        transaction.commit().await.map_err(unreachable_as(NAME))?;
        Ok(last)
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<BroadcastView>, PortError> {
        let row = self.view("SELECT view::text FROM board_broadcasts WHERE id = $1", id.0).await?;
        row.map(|row| decode(NAME, &row)).transpose()
    }

    async fn broadcasts(
        &self,
        seller: &SellerId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<BroadcastView>, PortError> {
        let cursor = Cursor::decode_optional(cursor)?;
        let limit = page_limit(limit);
        let statement =
            list_statement("board_broadcasts", "view::text", "seller", cursor.is_some());
        let statement = self.slot.sql(&statement);
        let mut list = sqlx::query_scalar(&statement).bind(seller.as_str());
        if let Some(cursor) = cursor {
            list = list.bind(cursor.micros).bind(cursor.id);
        }
        let list = list.bind(column_limit(limit + 1));
        let rows: Vec<String> = list.fetch_all(&self.pool).await.map_err(unreachable_as(NAME))?;
        page_of_rows(NAME, &rows, limit, broadcast_key)
    }

    async fn spotlight(&self, id: SpotlightId) -> Result<Option<SpotlightView>, PortError> {
        let row = self.view("SELECT view::text FROM board_spotlights WHERE id = $1", id.0).await?;
        row.map(|row| decode(NAME, &row)).transpose()
    }

    async fn spotlights(
        &self,
        broadcast: BroadcastId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<SpotlightView>, PortError> {
        let cursor = Cursor::decode_optional(cursor)?;
        let limit = page_limit(limit);
        let statement =
            list_statement("board_spotlights", "view::text", "broadcast", cursor.is_some());
        let statement = self.slot.sql(&statement);
        let mut list = sqlx::query_scalar(&statement).bind(broadcast.0);
        if let Some(cursor) = cursor {
            list = list.bind(cursor.micros).bind(cursor.id);
        }
        let list = list.bind(column_limit(limit + 1));
        let rows: Vec<String> = list.fetch_all(&self.pool).await.map_err(unreachable_as(NAME))?;
        page_of_rows(NAME, &rows, limit, spotlight_key)
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<SpotlightView>, PortError> {
        let rows: Vec<String> = sqlx::query_scalar(&self.slot.sql(&due_statement("view::text")))
            .bind(micros(now))
            .bind(column_limit(due_limit(limit)))
            .fetch_all(&self.pool)
            .await
            .map_err(unreachable_as(NAME))?;
        rows.iter().map(|row| decode(NAME, row)).collect()
    }

    async fn withdrawing(&self, limit: usize) -> Result<Vec<SpotlightView>, PortError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT view::text FROM board_spotlights
             WHERE (view->'withdrawal'->>'open') = 'true' ORDER BY id LIMIT $1",
        )
        .bind(column_limit(due_limit(limit)))
        .fetch_all(&self.pool)
        .await
        .map_err(unreachable_as(NAME))?;
        rows.iter().map(|row| decode(NAME, row)).collect()
    }

    async fn totals(&self, broadcast: BroadcastId) -> Result<Option<SalesTotals>, PortError> {
        let rows: Vec<(String, Option<String>)> = sqlx::query_as(&self.slot.sql(
            "SELECT b.view::text, s.totals::text
             FROM board_broadcasts b LEFT JOIN board_spotlights s ON s.broadcast = b.id
             WHERE b.id = $1",
        ))
        .bind(broadcast.0)
        .fetch_all(&self.pool)
        .await
        .map_err(unreachable_as(NAME))?;
        totals_of(&rows)
    }
}
