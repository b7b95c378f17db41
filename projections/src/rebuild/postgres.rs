//! The slots of a read model on `PostgreSQL`.

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::ports::PortError;
use sqlx::{Acquire, PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::model::{Model, Table};
use super::tables::{Aligned, Slots, Snapshot, Tables, renames, up_to};
use crate::key_table::PostgresTable;
use crate::order_book::PostgresOrderBook;
use crate::read_model::postgres::first;
use crate::read_model::{Identity, Slot, Stored, from_column, unreachable_as};
use crate::sales_board::PostgresSalesBoard;
use crate::unmet_demand::DemandFold;
use crate::waitlist::WaitlistFold;

/// How long a change of tables waits for readers of them; others wait behind it meanwhile.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";
/// How often a change of tables asks for them.
const LOCK_ATTEMPTS_MAX: usize = 20;
/// What lets those go on that waited behind an attempt.
const LOCK_PAUSE: &str = "SELECT pg_sleep(0.2)";
/// Why an attempt failed that may be repeated: `deadlock_detected`, `lock_not_available`
/// (PostgreSQL, appendix A).
const GAVE_WAY: [&str; 2] = ["40P01", "55P03"];

/// The tables of a read model on `PostgreSQL`.
#[derive(Debug, Clone)]
pub struct PostgresTables {
    pool: PgPool,
    model: Model,
}

impl PostgresTables {
    /// Those of a migrated database.
    pub const fn new(pool: PgPool, model: Model) -> Self {
        Self { pool, model }
    }

    fn identity(&self, slot: Slot) -> Identity {
        self.model.identity().in_slot(slot)
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, PortError> {
        self.pool.begin().await.map_err(self.lost())
    }

    async fn apply_in(
        &self,
        transaction: &mut PgConnection,
        slot: Slot,
        events: &[Recorded],
    ) -> Result<Position, PortError> {
        let pool = self.pool.clone();
        match self.model {
            Model::OrderBook => {
                PostgresOrderBook::in_slot(pool, slot).apply_in(transaction, events).await
            }
            Model::SalesBoard => {
                PostgresSalesBoard::in_slot(pool, slot).apply_in(transaction, events).await
            }
            Model::Waitlist => {
                let table = PostgresTable::<WaitlistFold>::in_slot(pool, slot);
                table.apply_in(transaction, events).await
            }
            Model::UnmetDemand => {
                let table = PostgresTable::<DemandFold>::in_slot(pool, slot);
                table.apply_in(transaction, events).await
            }
        }
    }

    fn lost(&self) -> impl Fn(sqlx::Error) -> PortError + Copy + use<> {
        unreachable_as(self.model.name())
    }

    async fn execute(&self, on: &mut PgConnection, statement: &str) -> Result<(), PortError> {
        sqlx::query(statement).execute(on).await.map(drop).map_err(self.lost())
    }

    async fn stored(&self, on: &mut PgConnection, slot: Slot) -> Result<Option<Stored>, PortError> {
        stored(on, &self.identity(slot)).await
    }

    async fn drop_slot(&self, on: &mut PgConnection, slot: Slot) -> Result<(), PortError> {
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
        on: &mut PgConnection,
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
    async fn copy_shape(&self, on: &mut PgConnection, live: &str) -> Result<(), PortError> {
        let shadow = Slot::Shadow.of(live);
        self.execute(on, &format!("CREATE TABLE {shadow} (LIKE {live} INCLUDING ALL)")).await
    }

    /// Waits until nobody reads the live tables and lets nobody begin. A statement that names the
    /// tables in another order may hold what this waits for and the reverse: one of the two is
    /// refused then, and what was applied in the transaction so far must not be lost by it.
    async fn lock_tables(&self, on: &mut PgConnection) -> Result<(), PortError> {
        let names: Vec<&str> = self.model.tables().iter().map(|table| table.name).collect();
        let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.join(", "));
        for _ in 1..LOCK_ATTEMPTS_MAX {
            match self.try_lock(on, &lock).await {
                Err(error) if gave_way(&error) => self.execute(on, LOCK_PAUSE).await?,
                other => return other.map_err(self.lost()),
            }
        }
        self.try_lock(on, &lock).await.map_err(self.lost())
    }

    async fn try_lock(&self, on: &mut PgConnection, lock: &str) -> Result<(), sqlx::Error> {
        let mut attempt = on.begin().await?;
        sqlx::query(LOCK_TIMEOUT).execute(&mut *attempt).await?;
        sqlx::query(lock).execute(&mut *attempt).await?;
        attempt.commit().await
    }

    /// Puts a slot in the place of the live tables.
    async fn replace(&self, on: &mut PgConnection, slot: Slot) -> Result<(), PortError> {
        self.lock_tables(on).await?;
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

fn gave_way(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| GAVE_WAY.contains(&code.as_ref()))
}

async fn stored(on: &mut PgConnection, identity: &Identity) -> Result<Option<Stored>, PortError> {
    sqlx::query_as(
        "SELECT position, version, fingerprint FROM projection_checkpoint WHERE name = $1",
    )
    .bind(&identity.row)
    .fetch_optional(on)
    .await
    .map_err(unreachable_as(identity.name))
}

async fn slots(on: &mut PgConnection, model: Model) -> Result<Slots, PortError> {
    let mut found = [None; 3];
    for (place, slot) in found.iter_mut().zip([Slot::Live, Slot::Shadow, Slot::Previous]) {
        let row = stored(on, &model.identity().in_slot(slot)).await?;
        *place = row.map(|(position, ..)| from_column(position)).transpose()?;
    }
    let [live, shadow, previous] = found;
    Ok(Slots { live: live.unwrap_or_default(), shadow, previous })
}

#[async_trait]
impl Tables for PostgresTables {
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
        // as the projector does: whoever applies events waits until this commits
        sqlx::query("SELECT position FROM projection_checkpoint WHERE name = $1 FOR UPDATE")
            .bind(self.identity(Slot::Live).row)
            .execute(&mut *transaction)
            .await
            .map_err(self.lost())?;
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
        const MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let transaction = self.pool.begin_with(MOMENT).await.map_err(self.lost())?;
        let mut snapshot = Moment { transaction, model: self.model };
        // the moment is that of the first read
        snapshot.slots().await?;
        Ok(Box::new(snapshot))
    }
}

struct Moment {
    transaction: Transaction<'static, Postgres>,
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
            "SELECT id::text, json_build_array({columns})::text FROM {name}
             WHERE id > $1 ORDER BY id LIMIT $2"
        );
        // the nil id is the least one, and is no row's
        let after = after.map_or(Ok(Uuid::nil()), Uuid::parse_str);
        sqlx::query_as(&statement)
            .bind(after.map_err(|error| PortError::corrupt(self.model.name(), error))?)
            .bind(limit)
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(unreachable_as(self.model.name()))
    }
}
