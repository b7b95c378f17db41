//! The stock gate: one conformance suite on every adapter, the Redis scripts against the state
//! machine, and what happens when Redis loses something.

mod adapters;
mod model;
mod story;
mod suite;
mod suite_apply;
