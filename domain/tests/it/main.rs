//! What the pure core promises: every decision, every invariant, and both under random orders.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    missing_docs,
    reason = "tests panic, and read better with owned lists"
)]

mod aggregates;
mod decisions;
mod fixtures;
mod invariants;
mod properties;
mod record;
mod schema;
mod support;
