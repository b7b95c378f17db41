//! The HTTP surface against a real server in this process.

mod bad_input;
mod cli;
mod limits;
mod orders;
mod restarts;
mod roles;
mod server;
mod shows;
mod webhooks;
