//! The log of events of the cluster profile: Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use domain::cloudevents;
use domain::envelope::{Position, Recorded};
use domain::ports::{EventLog, EventSubscription, PortError};
use futures::FutureExt;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};

/// How often the group's offsets are committed: what a restart may repeat.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// How long a member that died keeps its partitions, where the classic protocol says so.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// How a group of consumers agrees on who reads what; the default is the classic protocol, which
/// notices sooner that a member died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupProtocol {
    /// KIP-848, by the broker (Kafka 4.0 or newer).
    Consumer,
    /// The older one, cooperative; a member that died is noticed after this time.
    Classic {
        /// `session.timeout.ms`.
        session: Duration,
    },
}

impl Default for GroupProtocol {
    fn default() -> Self {
        Self::Classic { session: SESSION_TIMEOUT }
    }
}

/// Events from Kafka; each consumer's name is a group of its own.
#[derive(Debug, Clone)]
pub struct KafkaEventLog {
    brokers: String,
    topic: String,
    group_prefix: String,
    protocol: GroupProtocol,
}

impl KafkaEventLog {
    /// The log of the events topic. Groups are named `{group_prefix}{consumer}`; `onair-` by
    /// convention.
    pub fn new(
        brokers: impl Into<String>,
        topic: impl Into<String>,
        group_prefix: impl Into<String>,
        protocol: GroupProtocol,
    ) -> Self {
        Self {
            brokers: brokers.into(),
            topic: topic.into(),
            group_prefix: group_prefix.into(),
            protocol,
        }
    }

    fn config(&self, consumer: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", format!("onair-{consumer}"))
            .set("group.id", format!("{}{consumer}", self.group_prefix))
            // only what was applied is committed, by `done`
            .set("enable.auto.commit", "true")
            .set("enable.auto.offset.store", "false")
            .set("auto.commit.interval.ms", COMMIT_INTERVAL.as_millis().to_string())
            .set("auto.offset.reset", "earliest")
            .set("fetch.min.bytes", "1")
            .set("queued.max.messages.kbytes", "65536")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set_log_level(RDKafkaLogLevel::Warning);
        match self.protocol {
            GroupProtocol::Consumer => config.set("group.protocol", "consumer"),
            GroupProtocol::Classic { session } => config
                .set("group.protocol", "classic")
                .set("partition.assignment.strategy", "cooperative-sticky")
                .set("session.timeout.ms", session.as_millis().to_string())
                .set("heartbeat.interval.ms", (session.as_millis() / 3).to_string()),
        };
        config
    }
}

#[async_trait]
impl EventLog for KafkaEventLog {
    async fn subscribe(
        &self,
        consumer: &str,
        _after: Position,
    ) -> Result<Box<dyn EventSubscription>, PortError> {
        let stream: StreamConsumer = self.config(consumer).create().map_err(unavailable)?;
        stream.subscribe(&[&self.topic]).map_err(unavailable)?;
        Ok(Box::new(KafkaSubscription {
            consumer: Some(Arc::new(stream)),
            returned: BTreeMap::new(),
            unreadable: None,
        }))
    }
}

fn unavailable(error: KafkaError) -> PortError {
    PortError::unavailable("the events topic", error)
}

struct KafkaSubscription {
    consumer: Option<Arc<StreamConsumer>>,
    /// By topic and partition, the offset of the last event that was returned.
    returned: BTreeMap<(String, i32), i64>,
    /// What could not be decoded; never passed over.
    unreadable: Option<String>,
}

impl KafkaSubscription {
    fn receive(
        &mut self,
        received: Result<BorrowedMessage<'_>, KafkaError>,
        out: &mut Vec<Recorded>,
    ) {
        match received {
            Ok(message) => {
                let place = (message.topic().to_owned(), message.partition());
                match decode(&message) {
                    Ok(recorded) => {
                        out.push(recorded);
                        self.returned.insert(place, message.offset());
                    }
                    Err(why) => {
                        let (topic, partition) = place;
                        let offset = message.offset();
                        self.unreadable = Some(format!("{topic}/{partition}@{offset}: {why}"));
                    }
                }
            }
            // librdkafka tries again by itself
            Err(error) => tracing::warn!(%error, "reading events is held up"),
        }
    }
}

fn decode(message: &BorrowedMessage<'_>) -> Result<Recorded, String> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned);
    let mut headers = BTreeMap::new();
    for header in message.headers().into_iter().flat_map(Headers::iter) {
        // a header of somebody else need not be text
        if let Ok(value) = text(header.value.unwrap_or_default()) {
            headers.insert(header.key.to_owned(), value);
        }
    }
    let payload = text(message.payload().unwrap_or_default()).map_err(|error| error.to_string())?;
    cloudevents::decode(&headers, &payload).map_err(|error| error.to_string())
}

#[async_trait]
impl EventSubscription for KafkaSubscription {
    async fn next(&mut self, max: usize) -> Result<Vec<Recorded>, PortError> {
        let consumer = self.consumer.clone().ok_or(PortError::Closed)?;
        let mut out = Vec::new();
        while out.is_empty() {
            if let Some(why) = &self.unreadable {
                return Err(PortError::corrupt("the events topic", why));
            }
            let received = consumer.recv().await;
            self.receive(received, &mut out);
            while out.len() < max
                && self.unreadable.is_none()
                && let Some(received) = consumer.recv().now_or_never()
            {
                self.receive(received, &mut out);
            }
        }
        Ok(out)
    }

    async fn done(&mut self) -> Result<(), PortError> {
        let consumer = self.consumer.as_ref().ok_or(PortError::Closed)?;
        for ((topic, partition), offset) in std::mem::take(&mut self.returned) {
            if let Err(error) = consumer.store_offset(&topic, partition, offset) {
                // it went to another member, who starts where the group stands
                tracing::debug!(%error, topic, partition, "an offset was not stored");
            }
        }
        Ok(())
    }
}

impl Drop for KafkaSubscription {
    /// librdkafka may take long to close a consumer: that is never the projection's thread.
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            let closing =
                thread::Builder::new().name("kafka-close".to_owned()).spawn(move || drop(consumer));
            if let Err(error) = closing {
                tracing::error!(%error, "a consumer was closed on the spot");
            }
        }
    }
}
