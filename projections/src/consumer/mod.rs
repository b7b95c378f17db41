//! Events to projections: from the store by position, or from Kafka.
