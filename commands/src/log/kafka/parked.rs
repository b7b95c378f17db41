//! The topic of parked commands, for people and tools outside to look at.

use async_trait::async_trait;
use domain::ports::{ParkedCommand, PortError};
use rdkafka::message::{Header, OwnedHeaders};

use super::copies::Copies;
use crate::writer::ParkedPublisher;

/// Publishes commands that were put aside. The store stays their authority: the topic is a copy, and
/// a copy may come twice.
pub struct KafkaParkedPublisher(Copies);

impl KafkaParkedPublisher {
    /// A producer of the topic of parked commands.
    ///
    /// # Errors
    /// Settings that librdkafka does not accept.
    pub fn connect(brokers: &str, topic: &str) -> Result<Self, PortError> {
        Copies::connect(brokers, "onair-parked", topic).map(Self)
    }
}

#[async_trait]
impl ParkedPublisher for KafkaParkedPublisher {
    /// The key is the sequence; where the command stood and why it was parked are headers.
    async fn publish(&self, parked: &ParkedCommand) -> Result<(), PortError> {
        let (partition, offset) =
            (parked.source.partition.to_string(), parked.source.offset.to_string());
        let (parked_at, deadline) = (parked.parked_at.to_rfc3339(), parked.deadline.to_rfc3339());
        let fields = [
            ("topic", parked.source.topic.as_str()),
            ("partition", &partition),
            ("offset", &offset),
            ("error", &parked.error),
            ("parked_at", &parked_at),
            ("deadline", &deadline),
        ];
        let mut headers = OwnedHeaders::new_with_capacity(fields.len());
        for (key, value) in fields {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        self.0.put(&parked.sequence, &parked.value, headers).await
    }
}
