//! Flows on real servers.

mod embedded;
mod faults;
mod host;
mod repairs;
mod rush;
