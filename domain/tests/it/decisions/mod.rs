//! Given what happened, when somebody asks, then this follows.

mod broadcast;
mod chat;
mod ending;
mod payment;
mod place;
mod reservation;
mod spotlight;
