//! From the store to Kafka, by position.
