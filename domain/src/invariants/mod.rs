//! The invariants of the log.
