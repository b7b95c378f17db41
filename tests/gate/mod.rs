//! The stock gate: one conformance suite on every adapter, the Redis scripts against the state
//! machine, and what happens when Redis loses something.

mod adapters;
mod keeping;
mod keys;
mod losses;
mod model;
mod story;
mod suite;
mod suite_apply;
mod world;
