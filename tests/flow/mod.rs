//! Flows on real servers.

mod cuts;
mod embedded;
mod faults;
mod host;
mod money;
mod repairs;
mod rush;
mod shredding;
