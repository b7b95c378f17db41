//! Every test that crosses a crate, as one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests panic")]

mod api;
mod arrows;
mod books;
mod feed;
mod flow;
mod gate;
mod logs;
mod sim;
mod store;
mod support;
mod writer;
