//! The read model of orders.

mod before;
mod fold;
mod memory;
mod postgres;
mod rows;
mod sqlite;

pub use before::order_before;
pub use fold::{fold, hold_to_expire, order_of, payment_is_open};
pub use memory::MemoryOrderBook;
pub use postgres::PostgresOrderBook;
pub(crate) use rows::identity;
pub use sqlite::SqliteOrderBook;

/// The read model's name in errors, checkpoints and metrics.
pub const NAME: &str = "order_book";
