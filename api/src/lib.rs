//! The outside of onair: HTTP, sockets, configuration, command line, and the composition root.

pub mod auth;
#[cfg(test)]
mod bless;
pub mod broadcaster;
pub mod config;
pub mod extract;
pub mod intake;
pub mod metrics;
pub mod openapi;
pub mod ops;
pub mod ordering;
pub mod problem;
pub mod responses;
pub mod server;
pub mod state;
pub mod wire;
