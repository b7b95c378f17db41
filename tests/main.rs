//! Every test that crosses a crate, as one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::similar_names,
    missing_docs,
    reason = "tests panic, and take time and ids where they need them"
)]

mod api;
mod arrows;
mod books;
mod feed;
mod flow;
mod gate;
mod hooks;
mod logs;
mod metrics;
mod sim;
mod store;
mod support;
mod writer;
