//! api

pub mod live;
