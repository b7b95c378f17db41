//! Seller webhooks: the book on both databases, and a shop that is told about its orders.

mod book;
mod receiver;
mod routes;
mod shop;
