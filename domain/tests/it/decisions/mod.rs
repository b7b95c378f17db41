//! Given what happened, when somebody asks, then this follows.

mod abandoned;
mod broadcast;
mod chat;
mod demand;
mod ending;
mod late;
mod payment;
mod place;
mod refund;
mod reservation;
mod spotlight;
mod waitlist;
mod withdraw;
