//! The sales board on `SQLite`.

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::ids::{BroadcastId, SellerId, SpotlightId};
use domain::ports::{Page, PortError, SalesBoard, SalesTotals};
use domain::views::{BroadcastView, SpotlightView};
use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::columns::{
    BroadcastColumns, SpotlightColumns, Touched, due_statement, identity, list_statement,
    read_rows, totals_of, write_rows,
};
use super::rows::Rows;
use super::{NAME, broadcast_key, spotlight_key};
use crate::read_model::{
    Cursor, Identity, Slot, after_checkpoint, column_limit, decode, due_limit, encode, micros,
    page_limit, page_of_rows, sqlite, unreachable_as,
};

/// The sales board in the event store's `SQLite` file; its tables come with the migrations.
#[derive(Debug, Clone)]
pub struct SqliteSalesBoard {
    pool: SqlitePool,
    identity: Identity,
    slot: Slot,
}

impl SqliteSalesBoard {
    /// The sales board of a migrated file, on a pool of [`crate::read_model::open_sqlite`].
    pub fn new(pool: SqlitePool) -> Self {
        Self::in_slot(pool, Slot::Live)
    }

    /// The same, of rows in a slot.
    pub fn in_slot(pool: SqlitePool, slot: Slot) -> Self {
        Self { pool, identity: identity().in_slot(slot), slot }
    }

    /// Applies events in a transaction; returns the checkpoint that it will have.
    ///
    /// # Errors
    /// As of [`SalesBoard::apply`].
    pub(crate) async fn apply_in(
        &self,
        transaction: &mut SqliteConnection,
        events: &[Recorded],
    ) -> Result<Position, PortError> {
        let from = sqlite::locked(&mut *transaction, &self.identity).await?;
        let new = after_checkpoint(NAME, from, events)?;
        let Some(last) = new.last() else { return Ok(from) };
        let mut rows = load(&mut *transaction, self.slot, &Touched::by(new)).await?;
        for recorded in new {
            rows.take_in(recorded);
        }
        save(&mut *transaction, self.slot, &rows).await?;
        sqlite::advance(&mut *transaction, &self.identity, from, last.position).await?;
        Ok(last.position)
    }

    async fn view(&self, statement: &str, id: Uuid) -> Result<Option<String>, PortError> {
        sqlx::query_scalar(&self.slot.sql(statement))
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(unreachable_as(NAME))
    }
}

async fn load(
    transaction: &mut SqliteConnection,
    slot: Slot,
    touched: &Touched,
) -> Result<Rows, PortError> {
    let mut broadcasts: Vec<String> = vec![];
    if !touched.broadcasts.is_empty() {
        broadcasts = sqlx::query_scalar(&slot.sql(
            "SELECT view FROM board_broadcasts WHERE id IN (SELECT value FROM json_each($1))",
        ))
        .bind(encode(NAME, &touched.broadcasts)?)
        .fetch_all(&mut *transaction)
        .await
        .map_err(unreachable_as(NAME))?;
    }
    let spotlights: Vec<(String, String)> = sqlx::query_as(&slot.sql(
        "SELECT view, totals FROM board_spotlights WHERE id IN (SELECT value FROM json_each($1))",
    ))
    .bind(encode(NAME, &touched.spotlights)?)
    .fetch_all(transaction)
    .await
    .map_err(unreachable_as(NAME))?;
    read_rows(&broadcasts, &spotlights)
}

async fn save_broadcasts(
    transaction: &mut SqliteConnection,
    slot: Slot,
    rows: &[BroadcastColumns],
) -> Result<(), PortError> {
    sqlx::query(&slot.sql("INSERT INTO board_broadcasts (id, seller, status, created_us, ended_us, view)
         SELECT value->>'id', value->>'seller', value->>'status', value->>'created_us',
             value->>'ended_us', value->>'view'
         FROM json_each($1) WHERE true
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, ended_us = excluded.ended_us, view = excluded.view"))
    .bind(encode(NAME, &rows)?)
    .execute(transaction)
    .await
    .map_err(unreachable_as(NAME))?;
    Ok(())
}

async fn save_spotlights(
    transaction: &mut SqliteConnection,
    slot: Slot,
    rows: &[SpotlightColumns],
) -> Result<(), PortError> {
    sqlx::query(&slot.sql(
        "INSERT INTO board_spotlights (id, broadcast, status, created_us, opens_us, closes_us,
             view, totals)
         SELECT value->>'id', value->>'broadcast', value->>'status', value->>'created_us',
             value->>'opens_us', value->>'closes_us', value->>'view', value->>'totals'
         FROM json_each($1) WHERE true
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, opens_us = excluded.opens_us,
             closes_us = excluded.closes_us, view = excluded.view, totals = excluded.totals",
    ))
    .bind(encode(NAME, &rows)?)
    .execute(transaction)
    .await
    .map_err(unreachable_as(NAME))?;
    Ok(())
}

async fn save(
    transaction: &mut SqliteConnection,
    slot: Slot,
    rows: &Rows,
) -> Result<(), PortError> {
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
impl SalesBoard for SqliteSalesBoard {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        sqlite::checkpoint(&self.pool, &self.identity).await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        let mut transaction = sqlite::begin(&self.pool, &self.identity).await?;
        let last = self.apply_in(&mut transaction, events).await?;
        transaction.commit().await.map_err(unreachable_as(NAME))?;
        Ok(last)
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<BroadcastView>, PortError> {
        let row = self.view("SELECT view FROM board_broadcasts WHERE id = $1", id.0).await?;
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
        let statement = list_statement("board_broadcasts", "view", "seller", cursor.is_some());
        let statement = self.slot.sql(&statement);
        let mut list = sqlx::query_scalar(&statement).bind(seller.as_str());
        if let Some(cursor) = cursor {
            list = list.bind(cursor.micros).bind(cursor.id.to_string());
        }
        let list = list.bind(column_limit(limit + 1));
        let rows: Vec<String> = list.fetch_all(&self.pool).await.map_err(unreachable_as(NAME))?;
        page_of_rows(NAME, &rows, limit, broadcast_key)
    }

    async fn spotlight(&self, id: SpotlightId) -> Result<Option<SpotlightView>, PortError> {
        let row = self.view("SELECT view FROM board_spotlights WHERE id = $1", id.0).await?;
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
        let statement = list_statement("board_spotlights", "view", "broadcast", cursor.is_some());
        let statement = self.slot.sql(&statement);
        let mut list = sqlx::query_scalar(&statement).bind(broadcast.to_string());
        if let Some(cursor) = cursor {
            list = list.bind(cursor.micros).bind(cursor.id.to_string());
        }
        let list = list.bind(column_limit(limit + 1));
        let rows: Vec<String> = list.fetch_all(&self.pool).await.map_err(unreachable_as(NAME))?;
        page_of_rows(NAME, &rows, limit, spotlight_key)
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<SpotlightView>, PortError> {
        let rows: Vec<String> = sqlx::query_scalar(&self.slot.sql(&due_statement("view")))
            .bind(micros(now))
            .bind(column_limit(due_limit(limit)))
            .fetch_all(&self.pool)
            .await
            .map_err(unreachable_as(NAME))?;
        rows.iter().map(|row| decode(NAME, row)).collect()
    }

    async fn withdrawing(&self, limit: usize) -> Result<Vec<SpotlightView>, PortError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT view FROM board_spotlights
             WHERE json_extract(view, '$.withdrawal.open') = 1 ORDER BY id LIMIT $1",
        )
        .bind(column_limit(due_limit(limit)))
        .fetch_all(&self.pool)
        .await
        .map_err(unreachable_as(NAME))?;
        rows.iter().map(|row| decode(NAME, row)).collect()
    }

    async fn totals(&self, broadcast: BroadcastId) -> Result<Option<SalesTotals>, PortError> {
        let rows: Vec<(String, Option<String>)> = sqlx::query_as(&self.slot.sql(
            "SELECT b.view, s.totals
             FROM board_broadcasts b LEFT JOIN board_spotlights s ON s.broadcast = b.id
             WHERE b.id = $1",
        ))
        .bind(broadcast.to_string())
        .fetch_all(&self.pool)
        .await
        .map_err(unreachable_as(NAME))?;
        totals_of(&rows)
    }
}
