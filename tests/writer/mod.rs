//! The heart: writer, intake and process over the in-memory adapters, through the windows in which
//! something may be lost.

mod batches;
mod demand;
mod gateway;
mod hosts;
mod orders;
mod payments;
mod ports;
mod providers;
mod real;
mod restarts;
mod retries;
mod rig;
mod sagas;
mod waitlist;
mod withdrawals;
