//! The feed: what viewers see, on the bus and on the sockets.

mod bus;
mod fold;
mod harness;
mod log;
mod loss;
mod sdk;
mod sockets;
mod stage;
