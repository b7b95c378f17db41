//! Read models built again beside the ones that serve.
//!
//! [`build`] folds the log into the shadow tables of a read model, [`compare`] holds them against
//! the live ones at one position, [`swap`] puts them in their place while the server runs, and
//! [`roll_back`] takes that back. Nothing here can write an event, and no provider can be called.

mod build;
mod compare;
mod model;
mod postgres;
mod replace;
mod sqlite;
mod tables;

pub use build::{
    BuildOptions, Built, EVENTS_PER_SECOND_MAX, JOBS_MAX, PAGE_EVENTS, build, read_ahead,
};
pub use compare::{Compared, DIFFERENCES_KEPT_MAX, Difference, DifferenceKind, Side, compare};
pub use model::Model;
pub use postgres::PostgresTables;
pub use replace::{Swapped, roll_back, swap};
pub use sqlite::SqliteTables;
pub use tables::{Aligned, Slots, Snapshot, Tables, open};

/// Why a read model was not built, compared or swapped; what serves is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is nothing in that slot.
    #[error("{model} has no {slot} tables: {advice}")]
    Missing {
        /// The read model.
        model: &'static str,
        /// The slot.
        slot: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// The two sides never stood at one position.
    #[error("{model}: the live tables stand at {live}, the others at {other}, and do not meet")]
    Apart {
        /// The read model.
        model: &'static str,
        /// Where the live tables are.
        live: domain::envelope::Position,
        /// Where the other ones are.
        other: domain::envelope::Position,
    },
    /// It was told to stop; it goes on from there when it is called again.
    #[error("stopped at position {0}: the same command goes on from there")]
    Stopped(domain::envelope::Position),
    /// The store or the tables cannot be reached, or an event does not decode.
    #[error(transparent)]
    Port(#[from] domain::ports::PortError),
}
