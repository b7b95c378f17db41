//! Events to projections: from the store by position, or from Kafka.

pub mod by_position;
mod kafka;
mod keyed;
mod store;

pub use self::kafka::{GroupProtocol, KafkaEventLog};
pub use self::keyed::{KeyedRunner, KeyedTarget, run_keyed};
pub use self::store::StoreEventLog;
