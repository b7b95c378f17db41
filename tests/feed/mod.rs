//! The feed: what viewers see, on the bus and on the sockets.
#![expect(clippy::indexing_slicing, reason = "tests panic")]

mod bus;
mod calls;
pub mod client;
mod conformance;
mod contract;
mod fallback;
mod fold;
mod harness;
mod hostile;
mod log;
mod loss;
mod moderation;
mod role;
mod sdk;
mod silent;
mod sockets;
mod stage;
mod storm;
mod totals;
mod waiting;
