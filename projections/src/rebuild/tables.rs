//! What a database can do with the slots of a read model.

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::ports::PortError;

use super::model::{Model, Table};
use super::{PostgresTables, SqliteTables};
use crate::read_model::{Slot, open_pool, open_sqlite};

/// How far the tables of each slot are; `None` where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// What serves.
    pub live: Position,
    /// What is built aside.
    pub shadow: Option<Position>,
    /// What served before.
    pub previous: Option<Position>,
}

impl Slots {
    /// How far a slot is.
    pub const fn of(&self, slot: Slot) -> Option<Position> {
        match slot {
            Slot::Live => Some(self.live),
            Slot::Shadow => self.shadow,
            Slot::Previous => self.previous,
        }
    }
}

/// Whether two slots came to one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aligned {
    /// The slot stands where the live tables do, or further where they are late.
    At(Position),
    /// It is behind by more than the events that were given.
    Behind {
        /// Where the slot is.
        at: Position,
        /// Where the live tables are.
        live: Position,
    },
}

/// The tables of one read model in one database.
#[async_trait]
pub trait Tables: Send + Sync {
    /// Which read model.
    fn model(&self) -> Model;
    /// How far each slot is.
    ///
    /// # Errors
    /// The database cannot be reached.
    async fn slots(&self) -> Result<Slots, PortError>;
    /// Makes empty shadow tables, or finds those of an earlier run; what another fold wrote is
    /// thrown away. Returns where they are.
    ///
    /// # Errors
    /// The database cannot be reached.
    async fn prepare(&self) -> Result<Position, PortError>;
    /// Throws the tables of a slot away; the live ones stay whatever is said.
    ///
    /// # Errors
    /// The database cannot be reached.
    async fn discard(&self, slot: Slot) -> Result<(), PortError>;
    /// Applies events to a slot, in a transaction of their own.
    ///
    /// # Errors
    /// The database cannot be reached, or an event is missing.
    async fn apply(&self, slot: Slot, events: &[Recorded]) -> Result<Position, PortError>;
    /// While the live tables stand still: applies to the slot those of the events that the live
    /// tables have, and then, with `swap`, puts it in their place; they become the previous ones.
    ///
    /// # Errors
    /// The database cannot be reached; nothing has changed.
    async fn align(
        &self,
        slot: Slot,
        events: &[Recorded],
        swap: bool,
    ) -> Result<Aligned, PortError>;
    /// All slots as they are at one moment.
    ///
    /// # Errors
    /// The database cannot be reached.
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, PortError>;
}

/// The tables as they were at one moment, whatever is written meanwhile.
#[async_trait]
pub trait Snapshot: Send {
    /// How far each slot is.
    ///
    /// # Errors
    /// The database cannot be reached.
    async fn slots(&mut self) -> Result<Slots, PortError>;
    /// Rows with a key after `after` (all where it is absent), by key: key and columns as text.
    ///
    /// # Errors
    /// The database cannot be reached.
    async fn rows(
        &mut self,
        slot: Slot,
        table: &Table,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<(String, String)>, PortError>;
}

/// Opens the tables of a read model: `sqlite://FILE` or `postgres://…`.
///
/// # Errors
/// Another kind of address, or the database cannot be reached.
pub async fn open(database: &str, model: Model) -> Result<Box<dyn Tables>, PortError> {
    if database.starts_with("sqlite:") {
        let pool = open_sqlite(database).await?;
        return Ok(Box::new(SqliteTables::new(pool, model)));
    }
    Ok(Box::new(PostgresTables::new(open_pool(database).await?, model)))
}

/// The events up to a position, of a page that may go on.
pub(super) fn up_to(events: &[Recorded], end: Position) -> &[Recorded] {
    let known = events.partition_point(|event| event.position <= end);
    events.get(..known).unwrap_or(events)
}

/// The name that the incoming tables have in the middle of a swap.
pub(super) const INCOMING: &str = "_incoming";

/// The statements that put the tables of a slot in the place of the live ones.
pub(super) fn renames(model: Model, slot: Slot) -> Vec<String> {
    let mut statements = vec![];
    for table in model.tables() {
        let (live, from) = (table.name, slot.of(table.name));
        let (previous, incoming) = (Slot::Previous.of(live), format!("{live}{INCOMING}"));
        statements.push(format!("ALTER TABLE {from} RENAME TO {incoming}"));
        statements.push(format!("DROP TABLE IF EXISTS {previous}"));
        statements.push(format!("ALTER TABLE {live} RENAME TO {previous}"));
        statements.push(format!("ALTER TABLE {incoming} RENAME TO {live}"));
    }
    statements
}
