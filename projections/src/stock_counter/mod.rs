//! The stock gate: in memory and on Redis, and the projection that keeps it.
