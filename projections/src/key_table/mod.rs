//! Read models of one small table: a JSON view per key of a spotlight, folded from the log.
//!
//! What differs between them is a [`Fold`]; where the rows are is one of three [`KeyTable`]s.

mod memory;
mod postgres;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::ids::SpotlightId;
use domain::ports::PortError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub use memory::MemoryTable;
pub use postgres::PostgresTable;
pub use sqlite::SqliteTable;

use crate::consumer::by_position::PositionProjection;
use crate::read_model::{Identity, decode, encode};

/// Rows of one spotlight that are read at once.
pub const ROWS_MAX: i64 = 10_000;

/// The fold of a table.
pub trait Fold: Send + Sync + 'static {
    /// The read model's name, which is its table's.
    const NAME: &'static str;
    /// The version of the fold.
    const VERSION: i32;
    /// The events that it takes in.
    const EVENTS: &'static [&'static str];
    /// A row.
    type Row: Clone + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The row that an event may change.
    fn key(recorded: &Recorded) -> Option<Uuid>;
    /// Takes an event into its row.
    fn fold(row: Option<Self::Row>, recorded: &Recorded) -> Option<Self::Row>;
    /// The spotlight of a row.
    fn spotlight(row: &Self::Row) -> SpotlightId;
    /// Where the row stands among those of its spotlight that are in a line.
    fn place(row: &Self::Row) -> Option<Position>;
}

/// Who writes the rows of a fold.
pub(crate) fn identity<F: Fold>() -> Identity {
    Identity::new(F::NAME, F::VERSION, F::EVENTS)
}

/// Rows by key.
#[async_trait]
pub trait KeyTable<F: Fold>: Send + Sync {
    /// The position that all events up to are applied.
    ///
    /// # Errors
    /// The rows cannot be reached.
    async fn checkpoint(&self) -> Result<Position, PortError>;
    /// Applies events; those up to the checkpoint are skipped. Returns the checkpoint.
    ///
    /// # Errors
    /// The rows cannot be reached, or an event is missing; nothing was applied.
    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError>;
    /// One row.
    ///
    /// # Errors
    /// The rows cannot be reached.
    async fn row(&self, key: Uuid) -> Result<Option<F::Row>, PortError>;
    /// The rows of a spotlight by key, at most [`ROWS_MAX`].
    ///
    /// # Errors
    /// The rows cannot be reached.
    async fn rows(&self, spotlight: SpotlightId) -> Result<Vec<F::Row>, PortError>;
    /// How many rows of a spotlight are in the line up to a place.
    ///
    /// # Errors
    /// The rows cannot be reached.
    async fn in_line(&self, spotlight: SpotlightId, up_to: Position) -> Result<u64, PortError>;
}

/// A table as a projection that follows the store.
pub struct Projected<F: Fold>(pub Arc<dyn KeyTable<F>>);

#[async_trait]
impl<F: Fold> PositionProjection for Projected<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    async fn checkpoint(&self) -> Result<Position, PortError> {
        self.0.checkpoint().await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        self.0.apply(events).await
    }
}

/// A row as both databases have it.
#[derive(Debug, Serialize)]
struct Columns {
    id: Uuid,
    spotlight: Uuid,
    place: Option<i64>,
    view: String,
}

/// The keys that a batch may change.
fn touched<F: Fold>(events: &[Recorded]) -> BTreeSet<Uuid> {
    events.iter().filter_map(F::key).collect()
}

/// Folds a batch into the rows that it touches, as they were read and as they are to be written.
fn folded<F: Fold>(
    read: &[(Uuid, String)],
    events: &[Recorded],
) -> Result<Vec<Columns>, PortError> {
    let mut rows: BTreeMap<Uuid, F::Row> = BTreeMap::new();
    for (id, view) in read {
        rows.insert(*id, decode(F::NAME, view)?);
    }
    for recorded in events {
        take_in::<F>(&mut rows, recorded);
    }
    let columns = |(id, row): (Uuid, F::Row)| {
        Ok(Columns {
            id,
            spotlight: F::spotlight(&row).0,
            place: F::place(&row).map(|place| i64::try_from(place.0).unwrap_or(i64::MAX)),
            view: encode(F::NAME, &row)?,
        })
    };
    rows.into_iter().map(columns).collect()
}

fn take_in<F: Fold>(rows: &mut BTreeMap<Uuid, F::Row>, recorded: &Recorded) {
    if let Some(key) = F::key(recorded)
        && let Some(row) = F::fold(rows.remove(&key), recorded)
    {
        rows.insert(key, row);
    }
}
