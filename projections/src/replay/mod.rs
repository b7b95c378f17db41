//! What the log proves.
//!
//! [`verify`] reads the log once, in pages, with memory for what is open only, and checks the
//! invariants of [`domain::invariants`] at every position; where a gate or an order book is at hand,
//! it compares them with the fold of the log as well. Nothing here can write, and no provider can be
//! called.

mod gate_check;
mod orders_check;
mod render;
mod report;
mod verify;

pub use render::render_human;
pub use report::{Head, InvariantReport, Report, Verdict};
pub use verify::{PAGE_EVENTS, Progress, VIOLATIONS_KEPT_MAX, VerifyOptions, verify};
