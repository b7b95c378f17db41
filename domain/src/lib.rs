//! The pure core of onair: what an order, a reservation, a spotlight and a broadcast are, and what
//! may happen to them.
//!
//! Nothing here reads a clock, draws a random number or does I/O: time and ids arrive in the
//! commands, so the same log always gives the same decisions (design rule 8).

pub mod actor;
pub mod admission;
pub mod broadcast;
pub mod cloudevents;
pub mod command;
pub mod decision;
pub mod demand;
pub mod desk;
pub mod envelope;
pub mod event;
mod event_personal;
pub mod fingerprint;
pub mod gate;
pub mod ids;
pub mod invariants;
pub mod ledger;
pub mod limits;
pub mod line;
pub mod merkle;
pub mod money;
pub mod offer;
pub mod order;
pub mod payment;
pub mod personal;
pub mod personal_key;
pub mod ports;
pub mod quantity;
pub mod repair;
pub mod reservation;
pub mod rfc3339;
pub mod row;
pub mod seal;
pub mod shredding;
pub mod spotlight;
pub mod upcast;
pub mod views;
pub mod waitlist;

/// A point in time, always UTC.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
