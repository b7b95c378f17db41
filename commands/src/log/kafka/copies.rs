//! Topics that are copies of what the store has, for those outside.

use std::time::Duration;

use domain::ports::PortError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};

/// How long a record may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A producer of one such topic. The same record may come twice.
pub(crate) struct Copies {
    topic: String,
    producer: FutureProducer,
}

impl Copies {
    /// A producer; `client` is its name in the brokers' logs.
    pub(crate) fn connect(brokers: &str, client: &str, topic: &str) -> Result<Self, PortError> {
        let producer = super::producer(brokers, client)
            .set("message.timeout.ms", TIMEOUT.as_millis().to_string())
            .create()
            .map_err(|error| PortError::unavailable("Kafka", error))?;
        Ok(Self { topic: topic.to_owned(), producer })
    }

    /// Appends a record, and waits until it stands.
    pub(crate) async fn put(
        &self,
        key: &str,
        value: &[u8],
        headers: OwnedHeaders,
    ) -> Result<(), PortError> {
        let record = FutureRecord::to(&self.topic).key(key).payload(value).headers(headers);
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
