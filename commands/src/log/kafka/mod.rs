//! The command log of the cluster profile: Kafka.

mod breaker;
mod consumer;
mod context;
mod copies;
mod parked;
mod producer;
mod scan;
mod watch;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

pub use self::breaker::{FAILURES_MAX, OPEN_FOR};
pub use self::consumer::{GroupProtocol, KafkaCommandConsumer, SESSION_TIMEOUT, WRITER_GROUP};
pub(crate) use self::copies::Copies;
pub use self::parked::KafkaParkedPublisher;
pub use self::producer::{
    DELIVERY_TIMEOUT, KafkaCommandLog, PRODUCER_QUEUE_DEPTH, ProducerSettings,
};
pub use self::scan::{MISSING_KEPT_MAX, SCANNED_POSITIONS_MAX, ScannedEvents, scan_events};
pub use self::watch::{LAG_INTERVAL, STALLED_AFTER};

/// What every client of the cluster has in common.
pub(crate) fn client(brokers: &str, name: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", name)
        // down for seconds, not for minutes: the buyers wait
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.connection.setup.timeout.ms", "3000")
        .set("topic.metadata.refresh.interval.ms", "30000")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// What every producer has in common: nothing is acknowledged before it is on all in-sync replicas,
/// nothing is duplicated or reordered by a retry, and Java clients find the same partition.
pub(crate) fn producer(brokers: &str, name: &str) -> ClientConfig {
    let mut config = client(brokers, name);
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random");
    config
}
