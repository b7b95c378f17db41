//! The stock gate: in memory and on Redis, and the projection that keeps it.

mod accepted;
mod folded;
mod memory;
mod rebuild;
mod redis;
mod run;

pub use accepted::{ACCEPTED_ORDERS_MAX, MemoryAcceptedOrders};
pub use memory::{MemoryGate, SavedGates};
pub use rebuild::{
    APPLY_GRACE, DECISION_BOUND, Presence, REOPEN_GRACE, RebuildPorts, Rebuilder, UNKNOWN_FOR,
    UNKNOWN_MAX,
};
pub use redis::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT, RedisAcceptedOrders, RedisGate};
pub use run::{CONSUMER, run};

/// How long a spotlight's gate is kept after it closed with nothing pending and nothing held: as
/// long as a buyer may repeat an order and be told the same (7 days).
pub const RETAINED_AFTER_CLOSE: chrono::TimeDelta = chrono::TimeDelta::days(7);
