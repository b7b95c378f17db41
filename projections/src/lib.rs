//! The half of onair that reads the log: stock counter, order book, sales board, viewer feed and
//! the replay.

pub mod chat_log;
pub mod consumer;
pub mod key_table;
pub mod metrics;
pub mod order_book;
pub mod purge;
pub mod read_model;
pub mod rebuild;
pub mod replay;
pub mod room_book;
pub mod sales_board;
pub mod stock_counter;
pub mod unmet_demand;
pub mod viewer_feed;
pub mod waitlist;
pub mod webhooks;
