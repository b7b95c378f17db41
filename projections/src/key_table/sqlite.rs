//! The table on `SQLite`.

use std::marker::PhantomData;

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::ids::SpotlightId;
use domain::ports::PortError;
use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::{Columns, Fold, KeyTable, ROWS_MAX, folded, identity, touched};
use crate::read_model::{Identity, Slot, after_checkpoint, decode, encode, sqlite, unreachable_as};

/// A table in the event store's `SQLite` file; it comes with the migrations.
pub struct SqliteTable<F: Fold> {
    pool: SqlitePool,
    identity: Identity,
    table: String,
    fold: PhantomData<F>,
}

impl<F: Fold> SqliteTable<F> {
    /// The table of a migrated file, on a pool of [`crate::read_model::open_sqlite`].
    pub fn new(pool: SqlitePool) -> Self {
        Self::in_slot(pool, Slot::Live)
    }

    /// The same, of rows in a slot.
    pub fn in_slot(pool: SqlitePool, slot: Slot) -> Self {
        let identity = identity::<F>().in_slot(slot);
        Self { pool, identity, table: slot.of(F::NAME), fold: PhantomData }
    }

    /// Applies events in a transaction; returns the checkpoint that it will have.
    ///
    /// # Errors
    /// As of [`KeyTable::apply`].
    pub(crate) async fn apply_in(
        &self,
        transaction: &mut SqliteConnection,
        events: &[Recorded],
    ) -> Result<Position, PortError> {
        let from = sqlite::locked(&mut *transaction, &self.identity).await?;
        let new = after_checkpoint(F::NAME, from, events)?;
        let Some(last) = new.last() else { return Ok(from) };
        let keys = touched::<F>(new);
        if !keys.is_empty() {
            let read: Vec<(String, String)> = sqlx::query_as(&format!(
                "SELECT id, view FROM {} WHERE id IN (SELECT value FROM json_each($1))",
                self.table
            ))
            .bind(encode(F::NAME, &keys)?)
            .fetch_all(&mut *transaction)
            .await
            .map_err(unreachable_as(F::NAME))?;
            let read: Vec<(Uuid, String)> = read
                .into_iter()
                .map(|(id, view)| Ok((key(F::NAME, &id)?, view)))
                .collect::<Result<_, PortError>>()?;
            self.save(&mut *transaction, &folded::<F>(&read, new)?).await?;
        }
        sqlite::advance(&mut *transaction, &self.identity, from, last.position).await?;
        Ok(last.position)
    }

    async fn save(
        &self,
        transaction: &mut SqliteConnection,
        rows: &[Columns],
    ) -> Result<(), PortError> {
        sqlx::query(&format!(
            "INSERT INTO {} (id, spotlight, place, view)
             SELECT value->>'id', value->>'spotlight', value->>'place', value->>'view'
             FROM json_each($1) WHERE true
             ON CONFLICT (id) DO UPDATE SET place = excluded.place, view = excluded.view",
            self.table
        ))
        .bind(encode(F::NAME, &rows)?)
        .execute(transaction)
        .await
        .map(drop)
        .map_err(unreachable_as(F::NAME))
    }
}

fn key(name: &'static str, text: &str) -> Result<Uuid, PortError> {
    text.parse().map_err(|error| PortError::corrupt(name, error))
}

#[async_trait]
impl<F: Fold> KeyTable<F> for SqliteTable<F> {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        sqlite::checkpoint(&self.pool, &self.identity).await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        let mut transaction = sqlite::begin(&self.pool, &self.identity).await?;
        let last = self.apply_in(&mut transaction, events).await?;
        transaction.commit().await.map_err(unreachable_as(F::NAME))?;
        Ok(last)
    }

    async fn row(&self, key: Uuid) -> Result<Option<F::Row>, PortError> {
        let view: Option<String> =
            sqlx::query_scalar(&format!("SELECT view FROM {} WHERE id = $1", self.table))
                .bind(key.to_string())
                .fetch_optional(&self.pool)
                .await
                .map_err(unreachable_as(F::NAME))?;
        view.map(|view| decode(F::NAME, &view)).transpose()
    }

    async fn rows(&self, spotlight: SpotlightId) -> Result<Vec<F::Row>, PortError> {
        let views: Vec<String> = sqlx::query_scalar(&format!(
            "SELECT view FROM {} WHERE spotlight = $1 ORDER BY id LIMIT $2",
            self.table
        ))
        .bind(spotlight.to_string())
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
        .bind(spotlight.to_string())
        .bind(i64::try_from(up_to.0).unwrap_or(i64::MAX))
        .fetch_one(&self.pool)
        .await
        .map_err(unreachable_as(F::NAME))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
