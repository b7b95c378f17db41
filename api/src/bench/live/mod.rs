//! Benchmarks of the sockets: thousands of viewers in this process, the server in another.

mod crowd;
mod fanout;
mod frames;
mod idle;
mod opened;
mod publisher;
mod screen;
mod server;
mod storm;

pub(super) use fanout::run as fanout;
pub(super) use idle::run as idle;
pub(super) use screen::run as screen;
