//! The half of onair that reads the log: stock counter, order book, sales board, viewer feed and
//! the replay.

pub mod chat_log;
pub mod consumer;
pub mod metrics;
pub mod order_book;
pub mod purge;
pub mod read_model;
pub mod rebuild;
pub mod replay;
pub mod sales_board;
pub mod stock_counter;
pub mod viewer_feed;
pub mod webhooks;
