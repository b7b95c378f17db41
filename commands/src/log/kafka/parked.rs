//! The topic of parked commands, for people and tools outside to look at.

use std::time::Duration;

use async_trait::async_trait;
use domain::ports::{ParkedCommand, PortError};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::writer::ParkedPublisher;

const PARKED_TIMEOUT: Duration = Duration::from_secs(10);

/// Publishes commands that were put aside. The store stays their authority: the topic is a copy, and
/// a copy may come twice.
pub struct KafkaParkedPublisher {
    topic: String,
    producer: FutureProducer,
}

impl KafkaParkedPublisher {
    /// A producer of the topic of parked commands.
    ///
    /// # Errors
    /// Settings that librdkafka does not accept.
    pub fn connect(brokers: &str, topic: &str) -> Result<Self, PortError> {
        let producer = super::producer(brokers, "onair-parked")
            .set("message.timeout.ms", PARKED_TIMEOUT.as_millis().to_string())
            .create()
            .map_err(|error| PortError::unavailable("Kafka", error))?;
        Ok(Self { topic: topic.to_owned(), producer })
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
        let record = FutureRecord::to(&self.topic)
            .key(&parked.sequence)
            .payload(&parked.value)
            .headers(headers);
        let delivery = self
            .producer
            .send_result(record)
            .map_err(|(error, _)| PortError::unavailable("Kafka", error))?;
        match delivery.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, _))) => Err(PortError::unavailable("Kafka", error)),
            Err(_) => Err(PortError::Closed),
        }
    }
}
