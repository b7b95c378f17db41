//! The HTTP surface against a real server in this process.

mod audit;
mod bad_input;
mod chat;
mod cli;
mod contract;
mod keys;
mod limits;
mod orders;
mod parked;
mod payments_http;
mod payments_stripe;
mod presses;
mod restarts;
mod roles;
pub mod server;
mod shows;
mod standstill;
mod stripe_double;
mod waitlist;
mod webhooks;
mod withdrawals;
