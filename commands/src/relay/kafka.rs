//! Events onto Kafka.

use std::sync::Arc;

use async_trait::async_trait;
use domain::cloudevents;
use domain::envelope::Recorded;
use domain::ports::{EventPublisher, PortError};
use parking_lot::Mutex;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};

use crate::log::kafka;

/// Publishes events in `CloudEvents` binary mode, keyed so that every event of a key is in one
/// partition, in order.
pub struct KafkaEventPublisher {
    brokers: String,
    topic: String,
    producer: Mutex<Arc<FutureProducer>>,
}

impl KafkaEventPublisher {
    /// A producer of the events topic.
    ///
    /// # Errors
    /// Settings that librdkafka does not accept.
    pub fn connect(brokers: &str, topic: &str) -> Result<Self, PortError> {
        Ok(Self {
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            producer: Mutex::new(Arc::new(create(brokers)?)),
        })
    }

    fn send(
        &self,
        producer: &FutureProducer,
        recorded: &Recorded,
    ) -> Result<DeliveryFuture, PortError> {
        let message = cloudevents::encode(recorded)
            .map_err(|error| PortError::corrupt("the event store", error))?;
        let mut headers = OwnedHeaders::new_with_capacity(message.headers.len());
        for (key, value) in &message.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let record = FutureRecord::to(&self.topic)
            .key(&message.key)
            .payload(&message.payload)
            .timestamp(recorded.recorded_at.timestamp_millis())
            .headers(headers);
        producer.send_result(record).map_err(|(error, _)| unavailable(error))
    }

    async fn try_publish(
        &self,
        producer: &FutureProducer,
        events: &[Recorded],
    ) -> Result<(), PortError> {
        let mut deliveries = Vec::with_capacity(events.len());
        for recorded in events {
            deliveries.push(self.send(producer, recorded)?);
        }
        for delivery in deliveries {
            match delivery.await {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => return Err(unavailable(error)),
                Err(_) => return Err(unavailable(KafkaError::Canceled)),
            }
        }
        Ok(())
    }

    /// Dropping the old producer throws away what it still holds: nothing old is sent behind what
    /// the relay sends again from its checkpoint.
    fn rebuild(&self) {
        match create(&self.brokers) {
            Ok(producer) => *self.producer.lock() = Arc::new(producer),
            Err(error) => tracing::error!(%error, "the event producer cannot be made anew"),
        }
    }
}

/// Never times a record out: a timed-out record is a hole that the guarantees of idempotence do not
/// cover. What cannot be sent waits, and the relay with it.
fn create(brokers: &str) -> Result<FutureProducer, PortError> {
    kafka::producer(brokers, "onair-relay")
        .set("message.timeout.ms", "0")
        .set("linger.ms", "0")
        .set("compression.type", "lz4")
        .set("enable.gapless.guarantee", "true")
        .create()
        .map_err(unavailable)
}

fn unavailable(error: KafkaError) -> PortError {
    PortError::unavailable("the events topic", error)
}

#[async_trait]
impl EventPublisher for KafkaEventPublisher {
    async fn publish(&self, events: &[Recorded]) -> Result<(), PortError> {
        let producer = Arc::clone(&self.producer.lock());
        let published = self.try_publish(&producer, events).await;
        if published.is_err() {
            self.rebuild();
            // the last handle of the old one; closing it may take half a second
            tokio::task::spawn_blocking(move || drop(producer)).await.ok();
        }
        published
    }
}
