//! Events on Kafka: CloudEvents 1.0 binary mode.
