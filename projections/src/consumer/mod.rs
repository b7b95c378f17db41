//! Events to projections: from the store by position, or from Kafka.

pub mod by_position;
