//! The slots of a read model on `SQLite`.

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::ports::PortError;
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::model::{Model, Table};
use super::tables::{Aligned, Slots, Snapshot, Tables, renames, up_to};
use crate::key_table::SqliteTable;
use crate::order_book::SqliteOrderBook;
use crate::read_model::sqlite::first;
use crate::read_model::{Identity, Slot, Stored, from_column, unreachable_as};
use crate::sales_board::SqliteSalesBoard;
use crate::unmet_demand::DemandFold;
use crate::waitlist::WaitlistFold;

/// What follows the name of an index in its copies.
const COPY: &str = "__";

/// The tables of a read model on `SQLite`.
#[derive(Debug, Clone)]
pub struct SqliteTables {
    pool: SqlitePool,
    model: Model,
}

impl SqliteTables {
    /// Those of a migrated database, on a pool of [`crate::read_model::open_sqlite`].
    pub const fn new(pool: SqlitePool, model: Model) -> Self {
        Self { pool, model }
    }

    fn identity(&self, slot: Slot) -> Identity {
        self.model.identity().in_slot(slot)
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, PortError> {
        // it waits for the file's one writer, and nothing moves until it commits
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(self.lost())
    }

    async fn apply_in(
        &self,
        transaction: &mut SqliteConnection,
        slot: Slot,
        events: &[Recorded],
    ) -> Result<Position, PortError> {
        let pool = self.pool.clone();
        match self.model {
            Model::OrderBook => {
                SqliteOrderBook::in_slot(pool, slot).apply_in(transaction, events).await
            }
            Model::SalesBoard => {
                SqliteSalesBoard::in_slot(pool, slot).apply_in(transaction, events).await
            }
            Model::Waitlist => {
                let table = SqliteTable::<WaitlistFold>::in_slot(pool, slot);
                table.apply_in(transaction, events).await
            }
            Model::UnmetDemand => {
                let table = SqliteTable::<DemandFold>::in_slot(pool, slot);
                table.apply_in(transaction, events).await
            }
        }
    }

    fn lost(&self) -> impl Fn(sqlx::Error) -> PortError + Copy + use<> {
        unreachable_as(self.model.name())
    }

    async fn execute(&self, on: &mut SqliteConnection, statement: &str) -> Result<(), PortError> {
        sqlx::query(statement).execute(on).await.map(drop).map_err(self.lost())
    }

    async fn stored(
        &self,
        on: &mut SqliteConnection,
        slot: Slot,
    ) -> Result<Option<Stored>, PortError> {
        stored(on, &self.identity(slot)).await
    }

    async fn drop_slot(&self, on: &mut SqliteConnection, slot: Slot) -> Result<(), PortError> {
        for table in self.model.tables() {
            self.execute(on, &format!("DROP TABLE IF EXISTS {}", slot.of(table.name))).await?;
        }
        sqlx::query("DELETE FROM projection_checkpoint WHERE name = $1")
            .bind(self.identity(slot).row)
            .execute(on)
            .await
            .map(drop)
            .map_err(self.lost())
    }

    async fn put(
        &self,
        on: &mut SqliteConnection,
        slot: Slot,
        stored: &Stored,
    ) -> Result<(), PortError> {
        let (position, version, fingerprint) = stored;
        sqlx::query(
            "INSERT INTO projection_checkpoint (name, version, position, fingerprint)
             VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO UPDATE SET
                 version = excluded.version, position = excluded.position,
                 fingerprint = excluded.fingerprint",
        )
        .bind(self.identity(slot).row)
        .bind(version)
        .bind(position)
        .bind(fingerprint)
        .execute(on)
        .await
        .map(drop)
        .map_err(self.lost())
    }

    /// Makes an empty table for the shadow of a live one, with the indices that the live one has.
    async fn copy_shape(&self, on: &mut SqliteConnection, live: &str) -> Result<(), PortError> {
        let parts: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = $1 AND sql IS NOT NULL
             ORDER BY type = 'table' DESC, name",
        )
        .bind(live)
        .fetch_all(&mut *on)
        .await
        .map_err(self.lost())?;
        for (kind, name, sql) in parts {
            let statement = if kind == "table" {
                sql.replacen(live, &Slot::Shadow.of(live), 1)
            } else {
                self.index(on, (&name, &sql), live).await?
            };
            self.execute(on, &statement).await?;
        }
        Ok(())
    }

    /// The statement of an index over a shadow table: `CREATE [UNIQUE] INDEX name ON table …`, under
    /// a name that is free, because a swap renames tables and not indices.
    async fn index(
        &self,
        on: &mut SqliteConnection,
        (name, sql): (&str, &str),
        live: &str,
    ) -> Result<String, PortError> {
        let base = name.split_once(COPY).map_or(name, |(base, _)| base);
        let taken: Vec<String> =
            sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'index'")
                .fetch_all(on)
                .await
                .map_err(self.lost())?;
        let free = (0..=taken.len())
            .map(|number| format!("{base}{COPY}{number}"))
            .find(|name| !taken.contains(name));
        let begin = if sql.starts_with("CREATE UNIQUE") { "CREATE UNIQUE" } else { "CREATE" };
        let parts = sql.split_once(" ON ").zip(free);
        let Some(((_, rest), free)) = parts else {
            return Err(PortError::corrupt(self.model.name(), format!("the index {name}: {sql}")));
        };
        let rest = rest.replacen(live, &Slot::Shadow.of(live), 1);
        Ok(format!("{begin} INDEX {free} ON {rest}"))
    }

    /// Puts a slot in the place of the live tables.
    async fn replace(&self, on: &mut SqliteConnection, slot: Slot) -> Result<(), PortError> {
        let live = self.stored(on, Slot::Live).await?;
        let new = self.stored(on, slot).await?;
        for statement in renames(self.model, slot) {
            self.execute(on, &statement).await?;
        }
        let gone = || PortError::corrupt(self.model.name(), "a slot has no checkpoint");
        self.put(on, Slot::Live, &new.ok_or_else(gone)?).await?;
        self.put(on, Slot::Previous, &live.ok_or_else(gone)?).await?;
        if slot == Slot::Shadow {
            sqlx::query("DELETE FROM projection_checkpoint WHERE name = $1")
                .bind(self.identity(slot).row)
                .execute(on)
                .await
                .map_err(self.lost())?;
        }
        Ok(())
    }
}

async fn stored(
    on: &mut SqliteConnection,
    identity: &Identity,
) -> Result<Option<Stored>, PortError> {
    sqlx::query_as(
        "SELECT position, version, fingerprint FROM projection_checkpoint WHERE name = $1",
    )
    .bind(&identity.row)
    .fetch_optional(on)
    .await
    .map_err(unreachable_as(identity.name))
}

async fn slots(on: &mut SqliteConnection, model: Model) -> Result<Slots, PortError> {
    let mut found = [None; 3];
    for (place, slot) in found.iter_mut().zip([Slot::Live, Slot::Shadow, Slot::Previous]) {
        let row = stored(on, &model.identity().in_slot(slot)).await?;
        *place = row.map(|(position, ..)| from_column(position)).transpose()?;
    }
    let [live, shadow, previous] = found;
    Ok(Slots { live: live.unwrap_or_default(), shadow, previous })
}

#[async_trait]
impl Tables for SqliteTables {
    fn model(&self) -> Model {
        self.model
    }

    async fn slots(&self) -> Result<Slots, PortError> {
        let mut connection = self.pool.acquire().await.map_err(self.lost())?;
        slots(&mut connection, self.model).await
    }

    async fn prepare(&self) -> Result<Position, PortError> {
        let mut transaction = self.begin().await?;
        let identity = self.identity(Slot::Shadow);
        if let Some(found) = self.stored(&mut transaction, Slot::Shadow).await?
            && let Ok(position) = identity.position_in(&found)
        {
            return Ok(position);
        }
        self.drop_slot(&mut transaction, Slot::Shadow).await?;
        for table in self.model.tables() {
            self.copy_shape(&mut transaction, table.name).await?;
        }
        let empty = (0, identity.version, identity.fingerprint.as_str().to_owned());
        self.put(&mut transaction, Slot::Shadow, &empty).await?;
        transaction.commit().await.map_err(self.lost())?;
        Ok(Position::START)
    }

    async fn discard(&self, slot: Slot) -> Result<(), PortError> {
        if slot == Slot::Live {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        self.drop_slot(&mut transaction, slot).await?;
        transaction.commit().await.map_err(self.lost())
    }

    async fn apply(&self, slot: Slot, events: &[Recorded]) -> Result<Position, PortError> {
        let mut transaction = self.begin().await?;
        let last = self.apply_in(&mut transaction, slot, events).await?;
        transaction.commit().await.map_err(self.lost())?;
        Ok(last)
    }

    async fn align(
        &self,
        slot: Slot,
        events: &[Recorded],
        swap: bool,
    ) -> Result<Aligned, PortError> {
        let mut transaction = self.begin().await?;
        // a store that was imported and never served has none
        first(&mut transaction, &self.identity(Slot::Live)).await?;
        let before = slots(&mut transaction, self.model).await?;
        let mut at = before.of(slot).unwrap_or_default();
        let missing = up_to(events, before.live);
        if at < before.live && !missing.is_empty() {
            at = self.apply_in(&mut transaction, slot, missing).await?;
        }
        if at < before.live {
            // what was applied is kept
            transaction.commit().await.map_err(self.lost())?;
            return Ok(Aligned::Behind { at, live: before.live });
        }
        if swap {
            self.replace(&mut transaction, slot).await?;
        }
        transaction.commit().await.map_err(self.lost())?;
        Ok(Aligned::At(at))
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, PortError> {
        let transaction = self.pool.begin().await.map_err(self.lost())?;
        let mut snapshot = Moment { transaction, model: self.model };
        // the moment is that of the first read
        snapshot.slots().await?;
        Ok(Box::new(snapshot))
    }
}

struct Moment {
    transaction: Transaction<'static, Sqlite>,
    model: Model,
}

#[async_trait]
impl Snapshot for Moment {
    async fn slots(&mut self) -> Result<Slots, PortError> {
        slots(&mut self.transaction, self.model).await
    }

    async fn rows(
        &mut self,
        slot: Slot,
        table: &Table,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<(String, String)>, PortError> {
        let (name, columns) = (slot.of(table.name), table.columns.join(", "));
        let statement = format!(
            "SELECT id, json_array({columns}) FROM {name} WHERE id > $1 ORDER BY id LIMIT $2"
        );
        sqlx::query_as(&statement)
            .bind(after.unwrap_or_default())
            .bind(limit)
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(unreachable_as(self.model.name()))
    }
}
