//! Flows on real servers.

mod rush;
