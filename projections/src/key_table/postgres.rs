//! The table on `PostgreSQL`.

use std::marker::PhantomData;

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::ids::SpotlightId;
use domain::ports::PortError;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{Columns, Fold, KeyTable, ROWS_MAX, folded, identity, touched};
use crate::read_model::{Identity, Slot, after_checkpoint, decode, postgres, unreachable_as};

/// A table on `PostgreSQL`; it comes with the migrations.
pub struct PostgresTable<F: Fold> {
    pool: PgPool,
    identity: Identity,
    table: String,
    fold: PhantomData<F>,
}

impl<F: Fold> PostgresTable<F> {
    /// The table of a migrated database.
    pub fn new(pool: PgPool) -> Self {
        Self::in_slot(pool, Slot::Live)
    }

    /// The same, of rows in a slot.
    pub fn in_slot(pool: PgPool, slot: Slot) -> Self {
        let identity = identity::<F>().in_slot(slot);
        Self { pool, identity, table: slot.of(F::NAME), fold: PhantomData }
    }

    /// Applies events in a transaction; returns the checkpoint that it will have.
    ///
    /// # Errors
    /// As of [`KeyTable::apply`].
    pub(crate) async fn apply_in(
        &self,
        transaction: &mut PgConnection,
        events: &[Recorded],
    ) -> Result<Position, PortError> {
        let from = postgres::lock(&mut *transaction, &self.identity).await?;
        let new = after_checkpoint(F::NAME, from, events)?;
        let Some(last) = new.last() else { return Ok(from) };
        let keys: Vec<Uuid> = touched::<F>(new).into_iter().collect();
        if !keys.is_empty() {
            let read: Vec<(Uuid, String)> = sqlx::query_as(&format!(
                "SELECT id, view::text FROM {} WHERE id = ANY($1)",
                self.table
            ))
            .bind(keys)
            .fetch_all(&mut *transaction)
            .await
            .map_err(unreachable_as(F::NAME))?;
            self.save(&mut *transaction, &folded::<F>(&read, new)?).await?;
        }
        postgres::advance(&mut *transaction, &self.identity, from, last.position).await?;
        Ok(last.position)
    }

    async fn save(
        &self,
        transaction: &mut PgConnection,
        rows: &[Columns],
    ) -> Result<(), PortError> {
        sqlx::query(&format!(
            "INSERT INTO {} (id, spotlight, place, view)
             SELECT id, spotlight, place, view::json
             FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::text[])
                 AS new (id, spotlight, place, view)
             ON CONFLICT (id) DO UPDATE SET place = EXCLUDED.place, view = EXCLUDED.view",
            self.table
        ))
        .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.spotlight).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.place).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.view.as_str()).collect::<Vec<_>>())
        .execute(transaction)
        .await
        .map(drop)
        .map_err(unreachable_as(F::NAME))
    }
}

#[async_trait]
impl<F: Fold> KeyTable<F> for PostgresTable<F> {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        postgres::checkpoint(&self.pool, &self.identity).await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        let mut transaction = self.pool.begin().await.map_err(unreachable_as(F::NAME))?;
        let last = self.apply_in(&mut transaction, events).await?;
        transaction.commit().await.map_err(unreachable_as(F::NAME))?;
        Ok(last)
    }

    async fn row(&self, key: Uuid) -> Result<Option<F::Row>, PortError> {
        let view: Option<String> =
            sqlx::query_scalar(&format!("SELECT view::text FROM {} WHERE id = $1", self.table))
                .bind(key)
                .fetch_optional(&self.pool)
                .await
                .map_err(unreachable_as(F::NAME))?;
        view.map(|view| decode(F::NAME, &view)).transpose()
    }

    async fn rows(&self, spotlight: SpotlightId) -> Result<Vec<F::Row>, PortError> {
        let views: Vec<String> = sqlx::query_scalar(&format!(
            "SELECT view::text FROM {} WHERE spotlight = $1 ORDER BY id LIMIT $2",
            self.table
        ))
        .bind(spotlight.0)
        .bind(ROWS_MAX)
        .fetch_all(&self.pool)
        .await
        .map_err(unreachable_as(F::NAME))?;
        views.iter().map(|view| decode(F::NAME, view)).collect()
    }

    async fn in_line(&self, spotlight: SpotlightId, up_to: Position) -> Result<u64, PortError> {
        let count: i64 = sqlx::query_scalar(&format!(
            "SELECT count(*) FROM {} WHERE spotlight = $1 AND place <= $2",
            self.table
        ))
        .bind(spotlight.0)
        .bind(i64::try_from(up_to.0).unwrap_or(i64::MAX))
        .fetch_one(&self.pool)
        .await
        .map_err(unreachable_as(F::NAME))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
