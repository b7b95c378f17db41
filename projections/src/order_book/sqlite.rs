//! The order book on `SQLite`.

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::ids::OrderId;
use domain::ports::{OrderBook, OrderQuery, Page, PortError};
use domain::views::OrderView;
use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::NAME;
use super::rows::{Row, fold_rows, identity, key, list_statement, touched};
use crate::read_model::{
    Cursor, Identity, Slot, after_checkpoint, column_limit, decode, due_limit, encode, micros,
    page_limit, page_of_rows, sqlite, unreachable_as,
};

/// The order book in the event store's `SQLite` file; its tables come with the migrations.
#[derive(Debug, Clone)]
pub struct SqliteOrderBook {
    pool: SqlitePool,
    identity: Identity,
    slot: Slot,
}

impl SqliteOrderBook {
    /// The order book of a migrated file, on a pool of [`crate::read_model::open_sqlite`].
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
    /// As of [`OrderBook::apply`].
    pub(crate) async fn apply_in(
        &self,
        transaction: &mut SqliteConnection,
        events: &[Recorded],
    ) -> Result<Position, PortError> {
        let from = sqlite::locked(&mut *transaction, &self.identity).await?;
        let new = after_checkpoint(NAME, from, events)?;
        let Some(last) = new.last() else { return Ok(from) };
        let orders: Vec<OrderId> = touched(new).into_iter().collect();
        let known = load(&mut *transaction, self.slot, &orders).await?;
        save(&mut *transaction, self.slot, fold_rows(known, new)?).await?;
        sqlite::advance(&mut *transaction, &self.identity, from, last.position).await?;
        Ok(last.position)
    }
}

async fn load(
    transaction: &mut SqliteConnection,
    slot: Slot,
    orders: &[OrderId],
) -> Result<Vec<OrderView>, PortError> {
    let rows: Vec<String> = sqlx::query_scalar(
        &slot.sql("SELECT view FROM order_book WHERE id IN (SELECT value FROM json_each($1))"),
    )
    .bind(encode(NAME, &orders)?)
    .fetch_all(transaction)
    .await
    .map_err(unreachable_as(NAME))?;
    rows.iter().map(|row| decode(NAME, row)).collect()
}

async fn save(
    transaction: &mut SqliteConnection,
    slot: Slot,
    rows: Vec<Row>,
) -> Result<(), PortError> {
    sqlx::query(&slot.sql(
        "INSERT INTO order_book (id, seller, viewer_ref, spotlight, broadcast, status,
             accepted_us, hold_us, payment_open, view)
         SELECT value->>'id', value->>'seller', value->>'viewer_ref', value->>'spotlight',
             value->>'broadcast', value->>'status', value->>'accepted_us', value->>'hold_us',
             value->>'payment_open', value->>'view'
         FROM json_each($1) WHERE true
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, hold_us = excluded.hold_us,
             payment_open = excluded.payment_open, view = excluded.view",
    ))
    .bind(encode(NAME, &rows)?)
    .execute(transaction)
    .await
    .map_err(unreachable_as(NAME))?;
    Ok(())
}

#[async_trait]
impl OrderBook for SqliteOrderBook {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        sqlite::checkpoint(&self.pool, &self.identity).await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        let mut transaction = sqlite::begin(&self.pool, &self.identity).await?;
        let last = self.apply_in(&mut transaction, events).await?;
        transaction.commit().await.map_err(unreachable_as(NAME))?;
        Ok(last)
    }

    async fn order(&self, order: OrderId) -> Result<Option<OrderView>, PortError> {
        let row: Option<String> =
            sqlx::query_scalar(&self.slot.sql("SELECT view FROM order_book WHERE id = $1"))
                .bind(order.to_string())
                .fetch_optional(&self.pool)
                .await
                .map_err(unreachable_as(NAME))?;
        row.map(|row| decode(NAME, &row)).transpose()
    }

    async fn orders(&self, query: &OrderQuery) -> Result<Page<OrderView>, PortError> {
        let cursor = Cursor::decode_optional(query.cursor.as_deref())?;
        let limit = page_limit(query.limit);
        let statement = list_statement("view", query, cursor.as_ref());
        let statement = self.slot.sql(&statement);
        let mut list = sqlx::query_scalar(&statement).bind(query.seller.as_str());
        if let Some(viewer) = &query.viewer {
            list = list.bind(viewer.as_str());
        }
        if let Some(spotlight) = query.spotlight {
            list = list.bind(spotlight.to_string());
        }
        if let Some(status) = query.status {
            list = list.bind(status.as_str());
        }
        if let Some(since) = query.since {
            list = list.bind(micros(since));
        }
        if let Some(cursor) = cursor {
            list = list.bind(cursor.micros).bind(cursor.id.to_string());
        }
        let rows: Vec<String> = list
            .bind(column_limit(limit + 1))
            .fetch_all(&self.pool)
            .await
            .map_err(unreachable_as(NAME))?;
        page_of_rows(NAME, &rows, limit, key)
    }

    async fn due_holds(&self, now: Timestamp, limit: usize) -> Result<Vec<OrderView>, PortError> {
        let rows: Vec<String> =
            sqlx::query_scalar(&self.slot.sql(
                "SELECT view FROM order_book WHERE hold_us <= $1 ORDER BY hold_us, id LIMIT $2",
            ))
            .bind(micros(now))
            .bind(column_limit(due_limit(limit)))
            .fetch_all(&self.pool)
            .await
            .map_err(unreachable_as(NAME))?;
        rows.iter().map(|row| decode(NAME, row)).collect()
    }

    async fn open_payments(
        &self,
        after: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<OrderView>, PortError> {
        // the nil id is the least one, and is no order's
        let after = after.map_or(Uuid::nil(), |order| order.0);
        let rows: Vec<String> = sqlx::query_scalar(&self.slot.sql(
            "SELECT view FROM order_book WHERE payment_open AND id > $1 ORDER BY id LIMIT $2",
        ))
        .bind(after.to_string())
        .bind(column_limit(due_limit(limit)))
        .fetch_all(&self.pool)
        .await
        .map_err(unreachable_as(NAME))?;
        rows.iter().map(|row| decode(NAME, row)).collect()
    }
}
