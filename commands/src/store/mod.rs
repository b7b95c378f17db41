//! The event store: in memory, on SQLite and on PostgreSQL.

mod changes;
mod head;
mod memory;
mod memory_state;

pub use memory::MemoryStore;

/// How long a role's lease lasts without being renewed, in seconds.
pub const LEASE_SECONDS: i64 = 5;
