//! The logs of commands and of events: what every adapter promises, in process and on Kafka.
#![expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::disallowed_methods,
    reason = "tests panic, count small, and want fresh names"
)]

mod command_log;
pub mod event_log;
mod kafka;
mod outage;
mod relay;
mod rig;
