//! What the read models share: which events are new, pages of a list, and the checkpoint beside
//! the rows.

mod batch;
mod checkpoint;
mod open;
mod paging;
pub(crate) mod postgres;
pub(crate) mod sqlite;

pub use batch::after_checkpoint;
pub(crate) use checkpoint::{Identity, decode, encode, unreachable_as};
pub use open::{CONNECTIONS_MAX, ReadModels, open};
pub use paging::{Cursor, DUE_ITEMS_MAX, PAGE_ITEMS_MAX, due_limit, micros, page_limit, page_of};
pub(crate) use paging::{column_limit, page_of_rows};
pub use sqlite::open as open_sqlite;
