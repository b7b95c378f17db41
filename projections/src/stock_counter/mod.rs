//! The stock gate: in memory and on Redis, and the projection that keeps it.

mod accepted;
mod memory;
mod redis;

pub use accepted::{ACCEPTED_ORDERS_MAX, MemoryAcceptedOrders};
pub use memory::{MemoryGate, SavedGates};
pub use redis::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT, RedisAcceptedOrders, RedisGate};

/// How long a spotlight's gate is kept after it closed with nothing pending and nothing held: as
/// long as a buyer may repeat an order and be told the same (7 days).
pub const RETAINED_AFTER_CLOSE: chrono::TimeDelta = chrono::TimeDelta::days(7);
