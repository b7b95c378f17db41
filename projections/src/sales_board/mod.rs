//! The read model of broadcasts and spotlights.

mod columns;
mod fold;
mod memory;
mod postgres;
mod rows;
mod sqlite;

use domain::views::{BroadcastView, SpotlightView};

pub(crate) use columns::identity;
pub use fold::{
    broadcast_of, fold_broadcast, fold_spotlight, fold_totals, no_sales, spotlight_of, sum_totals,
};
pub use memory::MemorySalesBoard;
pub use postgres::PostgresSalesBoard;
pub use rows::{Rows, SpotlightRow, due_at, fold_row};
pub use sqlite::SqliteSalesBoard;

use crate::read_model::Cursor;

/// The read model's name in errors, checkpoints and metrics.
pub const NAME: &str = "sales_board";

const fn broadcast_key(view: &BroadcastView) -> Cursor {
    Cursor::new(view.created_at, view.id.0)
}

const fn spotlight_key(view: &SpotlightView) -> Cursor {
    Cursor::new(view.created_at, view.id.0)
}
