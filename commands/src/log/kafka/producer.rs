//! Appending commands to Kafka.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use domain::command::CommandRecord;
use domain::envelope::Source;
use domain::ports::{AppendError, CommandLog, PortError};
use metrics::{Counter, Histogram, counter, gauge, histogram};
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;

use super::breaker::Breaker;
use crate::log::RECORD_MAX_BYTES;
use crate::metrics::{
    COMMAND_APPEND_SECONDS, COMMAND_LOG_DOWN, COMMANDS_APPENDED_TOTAL, COMMANDS_REFUSED_TOTAL,
    COMMANDS_UNACKNOWLEDGED_TOTAL,
};

/// How long a record may wait for its acknowledgement; after that its fate is unknown, and the
/// buyer is told so while still looking at the screen.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(4);
/// Records that wait in the producer; one more is refused. At 50,000 orders/s a fifth of a second.
pub const PRODUCER_QUEUE_DEPTH: u32 = 10_000;
/// How often the cluster is asked whether every partition has a leader.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// How long that answer may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How records travel to the brokers.
#[derive(Debug, Clone)]
pub struct ProducerSettings {
    /// How long a record waits for company. None by default: measured, 1 ms makes a lone append ten
    /// times slower (1.5 ms against 0.15 ms).
    pub linger: Duration,
    /// Requests in flight per broker, 1 to 5. What comes meanwhile travels together in the next one:
    /// measured, 2 and no linger acknowledge as many records as a linger of 1 ms (22,000 to
    /// 29,000/s in a debug build), and more than 5 do (13,000 to 20,000/s).
    pub in_flight: u8,
    /// `none`, `lz4`, `gzip`; a command is some hundred bytes, so compressing saves little.
    pub compression: String,
    /// [`DELIVERY_TIMEOUT`].
    pub delivery_timeout: Duration,
    /// [`PRODUCER_QUEUE_DEPTH`].
    pub queue_depth: u32,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            linger: Duration::ZERO,
            in_flight: 2,
            compression: "none".to_owned(),
            delivery_timeout: DELIVERY_TIMEOUT,
            queue_depth: PRODUCER_QUEUE_DEPTH,
        }
    }
}

/// The command log on Kafka.
pub struct KafkaCommandLog {
    shared: Arc<Shared>,
    /// Dropped with the log, which ends the probe.
    _probe: SyncSender<()>,
}

type CommandProducer = FutureProducer<Connection>;

/// Tells the breaker when the last connection is lost, long before a delivery times out.
struct Connection(Arc<Breaker>);

impl ClientContext for Connection {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka");
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.0.disconnected();
        }
    }
}

struct Shared {
    brokers: String,
    topic: String,
    settings: ProducerSettings,
    producer: ArcSwap<CommandProducer>,
    rebuilding: Mutex<()>,
    breaker: Arc<Breaker>,
    said_down: AtomicBool,
    /// Looked up once, when the recorder stands.
    appended: OnceLock<(Counter, Histogram)>,
}

impl KafkaCommandLog {
    /// A producer of the commands topic. Returns at once; a cluster that cannot be reached is
    /// noticed by the probe, within about 3 s.
    ///
    /// # Errors
    /// Settings that librdkafka does not accept, or no thread for the probe.
    pub fn connect(
        brokers: &str,
        topic: &str,
        settings: ProducerSettings,
    ) -> Result<Self, PortError> {
        let breaker = Arc::new(Breaker::default());
        let producer = ArcSwap::from_pointee(create(brokers, &settings, &breaker)?);
        let shared = Arc::new(Shared {
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            settings,
            producer,
            rebuilding: Mutex::new(()),
            breaker,
            said_down: AtomicBool::new(false),
            appended: OnceLock::new(),
        });
        let (probe, ended) = sync_channel::<()>(0);
        let probed = Arc::clone(&shared);
        thread::Builder::new()
            .name("kafka-probe".to_owned())
            .spawn(move || {
                while ended.recv_timeout(PROBE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    probed.probe();
                }
            })
            .map_err(|error| PortError::unavailable("a thread", error))?;
        Ok(Self { shared, _probe: probe })
    }

    /// Whether the breaker is open, without taking its one try: for `/readyz`.
    pub fn is_open(&self) -> bool {
        self.shared.breaker.is_open()
    }
}

fn create(
    brokers: &str,
    settings: &ProducerSettings,
    breaker: &Arc<Breaker>,
) -> Result<CommandProducer, PortError> {
    super::producer(brokers, "onair-intake")
        .set("linger.ms", settings.linger.as_millis().to_string())
        .set("max.in.flight.requests.per.connection", settings.in_flight.to_string())
        .set("compression.type", &settings.compression)
        .set("message.timeout.ms", settings.delivery_timeout.as_millis().to_string())
        .set("queue.buffering.max.messages", settings.queue_depth.to_string())
        .set("message.max.bytes", (RECORD_MAX_BYTES + 10_000).to_string())
        .create_with_context(Connection(Arc::clone(breaker)))
        .map_err(|error| PortError::unavailable("Kafka", error))
}

impl Shared {
    fn probe(&self) {
        let producer = self.producer.load_full();
        let found = producer.client().fetch_metadata(Some(&self.topic), PROBE_TIMEOUT);
        let led = found.is_ok_and(|metadata| {
            let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            let mut leaders = partitions.map(MetadataPartition::leader).peekable();
            leaders.peek().is_some() && leaders.all(|leader| leader >= 0)
        });
        self.breaker.probed(led, Instant::now());
        self.say();
    }

    fn failed(&self, producer: &Arc<CommandProducer>) {
        self.breaker.failed(Instant::now());
        self.say();
        if let Some((code, reason)) = producer.client().fatal_error() {
            self.rebuild(producer, code, &reason);
        }
    }

    /// A fatal error of an idempotent producer is for good; the records in it stay unknown.
    fn rebuild(&self, broken: &Arc<CommandProducer>, code: RDKafkaErrorCode, reason: &str) {
        let _one_at_a_time = self.rebuilding.lock();
        if !Arc::ptr_eq(&self.producer.load(), broken) {
            return;
        }
        tracing::error!(%code, reason, "the command producer failed for good and is made anew");
        match create(&self.brokers, &self.settings, &self.breaker) {
            Ok(producer) => self.producer.store(Arc::new(producer)),
            Err(error) => tracing::error!(%error, "the command producer cannot be made anew"),
        }
    }

    fn say(&self) {
        let open = self.breaker.is_open();
        if self.said_down.swap(open, Ordering::Relaxed) != open {
            gauge!(COMMAND_LOG_DOWN).set(if open { 1.0 } else { 0.0 });
            if open {
                tracing::error!(topic = self.topic, "the command log is down: orders are refused");
            } else {
                tracing::info!(topic = self.topic, "the command log is up");
            }
        }
    }
}

#[async_trait]
impl CommandLog for KafkaCommandLog {
    fn is_down(&self) -> bool {
        !self.shared.breaker.allows(Instant::now())
    }

    async fn append(&self, record: &CommandRecord) -> Result<Source, AppendError> {
        let json = record.to_json().map_err(|error| refused(error.to_string()))?;
        self.append_json(record, json).await
    }

    async fn append_json(
        &self,
        record: &CommandRecord,
        json: String,
    ) -> Result<Source, AppendError> {
        let shared = &self.shared;
        if json.len() > RECORD_MAX_BYTES {
            return Err(refused("the record is too large".to_owned()));
        }
        let key = record.key.to_string();
        let started = Instant::now();
        let producer = shared.producer.load_full();
        let message = FutureRecord::to(&shared.topic).key(&key).payload(&json);
        let delivery = match producer.send_result(message) {
            Ok(delivery) => delivery,
            Err((error, _)) => {
                if is_fatal(&error) {
                    shared.failed(&producer);
                }
                // nothing was queued: this is certain
                return Err(refused(error.to_string()));
            }
        };
        match delivery.await {
            Ok(Ok(stood)) => {
                shared.breaker.acknowledged(Instant::now());
                let (appended, seconds) = shared.appended.get_or_init(|| {
                    (counter!(COMMANDS_APPENDED_TOTAL), histogram!(COMMAND_APPEND_SECONDS))
                });
                appended.increment(1);
                seconds.record(started.elapsed().as_secs_f64());
                Ok(Source {
                    topic: shared.topic.clone(),
                    partition: stood.partition,
                    offset: stood.offset,
                })
            }
            Ok(Err((error, _))) => Err(unknown(shared, &producer, &error)),
            Err(_) => Err(unknown(shared, &producer, &KafkaError::Canceled)),
        }
    }
}

fn refused(why: String) -> AppendError {
    counter!(COMMANDS_REFUSED_TOTAL).increment(1);
    AppendError::Refused(why)
}

/// No error after the record was queued says that it is not in the log (design rule 7).
fn unknown(shared: &Shared, producer: &Arc<CommandProducer>, error: &KafkaError) -> AppendError {
    counter!(COMMANDS_UNACKNOWLEDGED_TOTAL).increment(1);
    shared.failed(producer);
    AppendError::Unknown(error.to_string())
}

fn is_fatal(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal)
}
