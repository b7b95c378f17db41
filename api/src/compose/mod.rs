//! The composition root: adapters behind the ports, and the roles that run on them.

mod adapters;
mod app;
mod bounded;
mod checks;
mod cluster;
mod embedded;
mod error;
mod observe;
mod parts;
mod roles;
mod running;

pub use cluster::FEED_PREFIX;
pub use error::StartError;
pub use observe::metrics_handle;
pub use running::{Running, Stopped, start};
