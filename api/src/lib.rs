//! The outside of onair: HTTP, sockets, configuration, command line, and the composition root.

pub mod asyncapi;
pub mod audit;
pub mod auth;
pub mod bench;
#[cfg(test)]
mod bless;
pub mod broadcaster;
pub mod cli;
pub mod compose;
pub mod config;
pub mod demo;
pub mod extract;
pub mod links;
pub mod live;
pub mod metrics;
pub mod openapi;
pub mod ops;
pub mod ordering;
pub mod pages;
pub mod parked;
pub mod payments;
pub mod problem;
pub mod responses;
pub mod server;
pub mod sim;
pub mod state;
pub mod webhooks;
pub mod wire;
