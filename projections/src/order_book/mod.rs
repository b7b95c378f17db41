//! The read model of orders.

mod fold;
mod memory;

pub use fold::{fold, hold_to_expire, order_of, payment_is_open};
pub use memory::MemoryOrderBook;

/// The read model's name in errors, checkpoints and metrics.
pub const NAME: &str = "order_book";
