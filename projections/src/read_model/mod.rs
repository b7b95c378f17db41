//! What the read models share: which events are new, pages of a list, and the checkpoint beside
//! the rows.

mod batch;
mod checkpoint;
mod open;
mod paging;
pub(crate) mod postgres;
mod slot;
pub(crate) mod sqlite;

pub use batch::after_checkpoint;
pub(crate) use checkpoint::{Identity, Stored, decode, encode, from_column, unreachable_as};
pub(crate) use open::open_pool;
pub use open::{CONNECTIONS_MAX, ReadModels, open};
pub use paging::{Cursor, DUE_ITEMS_MAX, PAGE_ITEMS_MAX, due_limit, micros, page_limit, page_of};
pub(crate) use paging::{column_limit, page_of_rows};
pub use slot::Slot;
pub use sqlite::open as open_sqlite;
