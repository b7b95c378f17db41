//! The stock gate: one conformance suite on every adapter, the Redis scripts against the state
//! machine, and what happens when Redis loses something.

#![expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "tests panic, and name the port that they want of an adapter"
)]

mod adapters;
mod keeping;
mod keys;
mod losses;
mod model;
mod story;
mod suite;
mod suite_apply;
mod suite_narrow;
mod suite_waitlist;
mod world;
