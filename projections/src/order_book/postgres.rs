//! The order book on `PostgreSQL`.

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::ids::OrderId;
use domain::ports::{OrderBook, OrderQuery, Page, PortError};
use domain::views::OrderView;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::NAME;
use super::rows::{Row, fold_rows, identity, key, list_statement, touched};
use crate::read_model::{
    Cursor, Identity, Slot, after_checkpoint, column_limit, decode, due_limit, micros, page_limit,
    page_of_rows, postgres, unreachable_as,
};

/// The order book on `PostgreSQL`; its tables come with the migrations.
#[derive(Debug, Clone)]
pub struct PostgresOrderBook {
    pool: PgPool,
    identity: Identity,
    slot: Slot,
}

impl PostgresOrderBook {
    /// The order book of a migrated database.
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
    /// As of [`OrderBook::apply`].
    pub(crate) async fn apply_in(
        &self,
        transaction: &mut PgConnection,
        events: &[Recorded],
    ) -> Result<Position, PortError> {
        let from = postgres::lock(&mut *transaction, &self.identity).await?;
        let new = after_checkpoint(NAME, from, events)?;
        let Some(last) = new.last() else { return Ok(from) };
        let orders = touched(new).into_iter().map(|order| order.0).collect();
        let known = load(&mut *transaction, self.slot, orders).await?;
        save(&mut *transaction, self.slot, fold_rows(known, new)?).await?;
        postgres::advance(&mut *transaction, &self.identity, from, last.position).await?;
        Ok(last.position)
    }
}

async fn load(
    transaction: &mut PgConnection,
    slot: Slot,
    orders: Vec<Uuid>,
) -> Result<Vec<OrderView>, PortError> {
    let rows: Vec<String> =
        sqlx::query_scalar(&slot.sql("SELECT view::text FROM order_book WHERE id = ANY($1)"))
            .bind(orders)
            .fetch_all(transaction)
            .await
            .map_err(unreachable_as(NAME))?;
    rows.iter().map(|row| decode(NAME, row)).collect()
}

async fn save(transaction: &mut PgConnection, slot: Slot, rows: Vec<Row>) -> Result<(), PortError> {
    fn column<'a, T>(rows: &'a [Row], of: impl Fn(&'a Row) -> T) -> Vec<T> {
        rows.iter().map(of).collect()
    }
    sqlx::query(&slot.sql(
        "INSERT INTO order_book (id, seller, viewer_ref, spotlight, broadcast, status,
             accepted_us, hold_us, payment_open, view)
         SELECT id, seller, viewer_ref, spotlight, broadcast, status,
             accepted_us, hold_us, payment_open, view::json
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::text[],
             $7::bigint[], $8::bigint[], $9::boolean[], $10::text[])
             AS new (id, seller, viewer_ref, spotlight, broadcast, status,
                 accepted_us, hold_us, payment_open, view)
         ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status, hold_us = EXCLUDED.hold_us,
             payment_open = EXCLUDED.payment_open, view = EXCLUDED.view",
    ))
    .bind(column(&rows, |row| row.id))
    .bind(column(&rows, |row| row.seller.as_str()))
    .bind(column(&rows, |row| row.viewer_ref.as_str()))
    .bind(column(&rows, |row| row.spotlight))
    .bind(column(&rows, |row| row.broadcast))
    .bind(column(&rows, |row| row.status))
    .bind(column(&rows, |row| row.accepted_us))
    .bind(column(&rows, |row| row.hold_us))
    .bind(column(&rows, |row| row.payment_open))
    .bind(column(&rows, |row| row.view.as_str()))
    .execute(transaction)
    .await
    .map_err(unreachable_as(NAME))?;
    Ok(())
}

#[async_trait]
impl OrderBook for PostgresOrderBook {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        postgres::checkpoint(&self.pool, &self.identity).await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        let mut transaction = self.pool.begin().await.map_err(unreachable_as(NAME))?;
        let last = self.apply_in(&mut transaction, events).await?;
        transaction.commit().await.map_err(unreachable_as(NAME))?;
        Ok(last)
    }

    async fn order(&self, order: OrderId) -> Result<Option<OrderView>, PortError> {
        let row: Option<String> =
            sqlx::query_scalar(&self.slot.sql("SELECT view::text FROM order_book WHERE id = $1"))
                .bind(order.0)
                .fetch_optional(&self.pool)
                .await
                .map_err(unreachable_as(NAME))?;
        row.map(|row| decode(NAME, &row)).transpose()
    }

    async fn orders(&self, query: &OrderQuery) -> Result<Page<OrderView>, PortError> {
        let cursor = Cursor::decode_optional(query.cursor.as_deref())?;
        let limit = page_limit(query.limit);
        let statement = list_statement("view::text", query, cursor.as_ref());
        let statement = self.slot.sql(&statement);
        let mut list = sqlx::query_scalar(&statement).bind(query.seller.as_str());
        if let Some(viewer) = &query.viewer {
            list = list.bind(viewer.as_str());
        }
        if let Some(spotlight) = query.spotlight {
            list = list.bind(spotlight.0);
        }
        if let Some(status) = query.status {
            list = list.bind(status.as_str());
        }
        if let Some(since) = query.since {
            list = list.bind(micros(since));
        }
        if let Some(cursor) = cursor {
            list = list.bind(cursor.micros).bind(cursor.id);
        }
        let rows: Vec<String> = list
            .bind(column_limit(limit + 1))
            .fetch_all(&self.pool)
            .await
            .map_err(unreachable_as(NAME))?;
        page_of_rows(NAME, &rows, limit, key)
    }

    async fn due_holds(&self, now: Timestamp, limit: usize) -> Result<Vec<OrderView>, PortError> {
        let rows: Vec<String> = sqlx::query_scalar(&self.slot.sql(
            "SELECT view::text FROM order_book WHERE hold_us <= $1 ORDER BY hold_us, id LIMIT $2",
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
            "SELECT view::text FROM order_book WHERE payment_open AND id > $1 ORDER BY id LIMIT $2",
        ))
        .bind(after)
        .bind(column_limit(due_limit(limit)))
        .fetch_all(&self.pool)
        .await
        .map_err(unreachable_as(NAME))?;
        rows.iter().map(|row| decode(NAME, row)).collect()
    }
}
