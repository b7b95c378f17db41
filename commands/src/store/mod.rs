//! The event store: in memory, on SQLite and on PostgreSQL.

mod changes;
mod encoded;
mod head;
mod import;
mod memory;
mod memory_state;
mod numbers;
mod open;
mod parked;
mod personal_keys;
mod postgres;
mod seal_log;
mod sealed;
mod shred;
mod sqlite;
mod stored;
mod writer;

pub use import::{IMPORT_PAGE_ROWS, ImportError, Imported, import};
pub use memory::MemoryStore;
pub use open::{
    AuditReaders, OpenError, READERS_DEFAULT, StoreOptions, migrate, open, open_audit, open_reader,
    open_seal_sink, open_shredder, refuse_read_only,
};
pub use parked::open_parked;
pub use postgres::{PostgresReader, PostgresStore};
pub use seal_log::{SealLogError, SealSink, SealedLog, seal_log, seal_on};
pub use shred::Shredder;
pub use sqlite::{SqliteReader, SqliteStore};

/// How long a role's lease lasts without being renewed, in seconds.
pub const LEASE_SECONDS: i64 = 5;

/// What errors call the store.
const STORE: &str = "the event store";
