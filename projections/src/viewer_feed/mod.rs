//! What viewers see: events folded into room states and personal streams, and the bus that carries
//! them to the sockets.

pub mod chat;
mod limits;
mod memory_bus;
mod merge;
mod queue;
mod redis_bus;
mod room;
mod run;
pub mod shape;

pub use limits::{
    CHAT_KEPT, CHAT_MESSAGES_MAX, FEED_KEPT, FeedLimits, STREAM_MESSAGES_MAX,
    SUBSCRIBER_MESSAGES_MAX, VIEWER_COUNT, VIEWERS_COUNTED_MAX,
};
pub use memory_bus::MemoryFeedBus;
pub use merge::{add_patch, merge_patch};
pub use redis_bus::RedisFeedBus;
pub use room::RoomPart;
pub use run::{CONSUMER, ViewerFeed, run};
