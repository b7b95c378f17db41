//! The feed: what viewers see.

mod bus;
mod harness;
mod loss;
