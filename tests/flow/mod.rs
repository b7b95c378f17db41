//! Flows on real servers.

mod cuts;
mod embedded;
mod faults;
mod host;
mod repairs;
mod rush;
mod shredding;
