//! The command log: in process and on Kafka.
