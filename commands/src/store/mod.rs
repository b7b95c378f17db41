//! The event store: in memory, on SQLite and on PostgreSQL.
