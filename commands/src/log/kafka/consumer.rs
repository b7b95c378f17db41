//! Reading commands from Kafka, as one member of the group of writers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::envelope::Source;
use domain::ports::{CommandConsumer, ConsumerEvent, Delivered, PortError};
use futures::FutureExt;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::spawn_blocking;

use super::context::{Change, Fault, Group, GroupContext, PartitionName, Verdict};
use super::watch;

/// The group of the writers.
pub const WRITER_GROUP: &str = "onair-writer";
/// How long a writer may take between two calls before the group gives its partitions to others.
const POLL_INTERVAL_MAX: Duration = Duration::from_mins(1);
/// How long an answer about a partition may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a partition may take to be moved to an offset.
const SEEK_TIMEOUT: Duration = Duration::from_secs(10);
const SEEK_PAUSE: Duration = Duration::from_millis(20);
/// How often the advisory offsets are committed, per partition.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// How long leaving the group may take before nobody waits for it any more.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a member that died keeps its partitions, where the classic protocol says so; what
/// brokers allow at least by default.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// How the group agrees on who owns what. The default is the classic one: measured on Kafka 4.3 with
/// its own settings, moving two of four partitions to a new member and back takes 8 s with it and
/// 17 s with the newer one, whose timeouts only the broker can shorten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupProtocol {
    /// KIP-848, by the broker (Kafka 4.0 or newer). A member that died is noticed after the
    /// broker's `group.consumer.session.timeout.ms`, 45 s by default.
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

/// Which member of which group.
#[derive(Debug, Clone)]
struct Membership {
    brokers: String,
    topic: String,
    group: String,
    protocol: GroupProtocol,
}

/// One member of the group of writers. It joins anew by itself where it is stuck;
/// [`PortError::Corrupt`] comes again at every call: the log is not the one that the store knows.
pub struct KafkaCommandConsumer {
    membership: Membership,
    group: Arc<Group>,
    consumer: Option<Arc<StreamConsumer<GroupContext>>>,
    /// Asks about partitions on connections of its own: on the consumer's, an answer waits behind
    /// the fetches that wait for records.
    edges: Arc<BaseConsumer>,
    commits: BTreeMap<PartitionName, Instant>,
    /// What came after records that are already on their way to the writer.
    deferred: Option<PortError>,
    /// Dropping the first ends the second.
    watch: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl KafkaCommandConsumer {
    /// Joins the group `group` (see [`WRITER_GROUP`]) on the commands topic.
    ///
    /// # Errors
    /// Settings that librdkafka does not accept.
    pub fn join(
        brokers: &str,
        topic: &str,
        group: &str,
        protocol: GroupProtocol,
    ) -> Result<Self, PortError> {
        let (brokers, topic, group) = (brokers.to_owned(), topic.to_owned(), group.to_owned());
        Self::enter(Membership { brokers, topic, group, protocol }, Group::default())
    }

    fn enter(membership: Membership, group: Group) -> Result<Self, PortError> {
        let shared = Arc::new(group);
        let consumer = create(&membership, &shared)
            .and_then(|consumer| {
                consumer.subscribe(&[&membership.topic]).map(|()| Arc::new(consumer))
            })
            .map_err(|error| PortError::unavailable("Kafka", error))?;
        let edges: BaseConsumer = super::client(&membership.brokers, "onair-writer-edges")
            .create()
            .map_err(|error| PortError::unavailable("Kafka", error))?;
        let (stop, ended) = sync_channel(0);
        let (watched, seen) = (Arc::downgrade(&consumer), Arc::clone(&shared));
        let watch = thread::Builder::new()
            .name("kafka-watch".to_owned())
            .spawn(move || watch::run(&watched, &seen, &ended))
            .map_err(|error| PortError::unavailable("a thread", error))?;
        Ok(Self {
            membership,
            group: shared,
            consumer: Some(consumer),
            edges: Arc::new(edges),
            commits: BTreeMap::new(),
            deferred: None,
            watch: Some((stop, watch)),
        })
    }

    /// Leaves the group, so that others get the partitions at once; waits for it, and not for ever.
    pub async fn leave(mut self) {
        let Some(close) = self.close() else { return };
        let left = spawn_blocking(close);
        if tokio::time::timeout(LEAVE_TIMEOUT, left).await.is_err() {
            tracing::warn!("leaving the group of writers takes too long; it is left behind");
        }
    }

    fn consumer(&self) -> Result<Arc<StreamConsumer<GroupContext>>, PortError> {
        self.consumer.clone().ok_or(PortError::Closed)
    }

    /// What closes the consumer, for a thread that may block.
    fn close(&mut self) -> Option<impl FnOnce() + Send + use<>> {
        let (consumer, watch) = (self.consumer.take()?, self.watch.take());
        Some(move || {
            if let Some((stop, watch)) = watch {
                drop(stop);
                // it may hold the consumer; a panic of it changes nothing here
                let _ended = watch.join();
            }
            drop(consumer);
        })
    }

    /// Drops what is stuck and joins as a new member; what it owned counts as revoked.
    fn join_again(&mut self, why: &str) -> Result<(), PortError> {
        tracing::error!(why, "the command consumer joins its group anew");
        let next = Self::enter(self.membership.clone(), self.group.successor())?;
        // the old one closes on a thread of its own
        *self = next;
        Ok(())
    }

    /// The oldest change that was not reported. It counts as reported only once nothing can fail or
    /// be cancelled any more.
    async fn change(&self) -> Result<Option<ConsumerEvent>, PortError> {
        let Some(change) = self.group.next_change() else { return Ok(None) };
        let event = match change {
            Change::Revoked((topic, partition)) => ConsumerEvent::Revoked { topic, partition },
            Change::Assigned(name) => {
                let (low, high) = watermarks(Arc::clone(&self.edges), name.clone()).await?;
                let (topic, partition) = name;
                ConsumerEvent::Assigned { topic, partition, low, high }
            }
        };
        self.group.reported();
        Ok(Some(event))
    }

    fn receive(
        &self,
        received: Result<BorrowedMessage<'_>, KafkaError>,
        out: &mut Vec<ConsumerEvent>,
    ) -> Result<(), PortError> {
        let message = match received {
            Ok(message) => message,
            Err(error) => return self.judge_error(error),
        };
        let name = (message.topic().to_owned(), message.partition());
        if self.group.judge(&name, message.offset())? == Verdict::Deliver {
            let (topic, partition) = name;
            out.push(ConsumerEvent::Record(Delivered {
                source: Source { topic, partition, offset: message.offset() },
                value: message.payload().unwrap_or_default().to_vec(),
            }));
        }
        Ok(())
    }

    fn judge_error(&self, error: KafkaError) -> Result<(), PortError> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                let fault = Fault::Corrupt(format!("an offset is not in the log: {error}"));
                let answer = fault.error();
                self.group.fail(fault);
                Err(answer)
            }
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Err(PortError::unavailable("the commands topic", error))
            }
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                self.group.fail(Fault::Stuck("the consumer failed for good"));
                Err(PortError::unavailable("the command log", error))
            }
            _ => {
                // librdkafka tries again by itself
                tracing::warn!(%error, "reading commands is held up");
                Ok(())
            }
        }
    }
}

fn create(
    membership: &Membership,
    shared: &Arc<Group>,
) -> KafkaResult<StreamConsumer<GroupContext>> {
    let mut config = super::client(&membership.brokers, "onair-writer");
    config
        .set("group.id", &membership.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("max.poll.interval.ms", POLL_INTERVAL_MAX.as_millis().to_string())
        // the broker answers as soon as there is anything
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", "500")
        .set("queued.max.messages.kbytes", "65536");
    match membership.protocol {
        GroupProtocol::Consumer => config.set("group.protocol", "consumer"),
        GroupProtocol::Classic { session } => config
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", session.as_millis().to_string())
            .set("heartbeat.interval.ms", (session.as_millis() / 3).to_string()),
    };
    config.create_with_context(GroupContext(Arc::clone(shared)))
}

async fn watermarks(
    edges: Arc<BaseConsumer>,
    (topic, partition): PartitionName,
) -> Result<(i64, i64), PortError> {
    spawn_blocking(move || edges.fetch_watermarks(&topic, partition, ANSWER_TIMEOUT))
        .await
        .map_err(|_| PortError::Closed)?
        .map_err(|error| PortError::unavailable("the command log", error))
}

/// Checks that the log holds the offset, then moves the partition there and lets it flow.
fn seek(
    consumer: &StreamConsumer<GroupContext>,
    edges: &BaseConsumer,
    group: &Group,
    name: &PartitionName,
    offset: i64,
) -> Result<(), PortError> {
    let Some(owned) = group.owned(name) else { return Ok(()) };
    let (topic, partition) = name;
    let unavailable = |error| PortError::unavailable("the command log", error);
    let (low, high) =
        edges.fetch_watermarks(topic, *partition, ANSWER_TIMEOUT).map_err(unavailable)?;
    if offset < low || offset > high {
        let edge = if offset < low { "starts after" } else { "ends before" };
        return Err(PortError::corrupt(
            "the command log",
            format!(
                "{topic}/{partition} {edge} the stored offset {offset}: it has {low} to {high}"
            ),
        ));
    }
    group.hold(name);
    let mut here = TopicPartitionList::new();
    here.add_partition_offset(topic, *partition, Offset::Offset(offset)).map_err(unavailable)?;
    consumer.pause(&here).map_err(unavailable)?;
    let deadline = Instant::now() + SEEK_TIMEOUT;
    // just after an assignment the partition cannot be moved yet
    while let Err(error) = moved(consumer, &here) {
        if Instant::now() >= deadline {
            return Err(unavailable(error));
        }
        thread::sleep(SEEK_PAUSE);
    }
    if group.started(name, owned.generation, offset) {
        consumer.resume(&here).map_err(unavailable)?;
    }
    Ok(())
}

fn moved(consumer: &StreamConsumer<GroupContext>, here: &TopicPartitionList) -> KafkaResult<()> {
    let moved = consumer.seek_partitions(here.clone(), ANSWER_TIMEOUT)?;
    moved.elements().iter().try_for_each(TopicPartitionListElem::error)
}

#[async_trait]
impl CommandConsumer for KafkaCommandConsumer {
    async fn next(&mut self, max: usize) -> Result<Vec<ConsumerEvent>, PortError> {
        let mut out = Vec::new();
        while out.is_empty() {
            match self.group.fault() {
                Some(Fault::Stuck(why)) => self.join_again(why)?,
                Some(fault @ Fault::Corrupt(_)) => return Err(fault.error()),
                None => {}
            }
            let consumer = self.consumer()?;
            if let Some(error) = self.deferred.take() {
                return Err(error);
            }
            if let Some(change) = self.change().await? {
                return Ok(vec![change]);
            }
            self.group.waits(watch::now());
            tokio::select! {
                biased;
                () = self.group.changed.notified() => {}
                received = consumer.recv() => self.receive(received, &mut out)?,
            }
            while out.len() < max
                && let Some(received) = consumer.recv().now_or_never()
            {
                if let Err(error) = self.receive(received, &mut out) {
                    self.deferred = Some(error);
                    break;
                }
            }
        }
        self.group.works();
        Ok(out)
    }

    async fn start_at(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), PortError> {
        let (consumer, group) = (self.consumer()?, Arc::clone(&self.group));
        let edges = Arc::clone(&self.edges);
        let name = (topic.to_owned(), partition);
        spawn_blocking(move || seek(&consumer, &edges, &group, &name, offset))
            .await
            .map_err(|_| PortError::Closed)?
    }

    async fn committed(&mut self, topic: &str, partition: i32, next_offset: i64) {
        let name = (topic.to_owned(), partition);
        let recent = self.commits.get(&name).is_some_and(|at| at.elapsed() < COMMIT_INTERVAL);
        let Some(consumer) = self.consumer.as_ref().filter(|_| !recent) else { return };
        let mut offsets = TopicPartitionList::new();
        let committed = offsets
            .add_partition_offset(topic, partition, Offset::Offset(next_offset))
            .and_then(|()| consumer.commit(&offsets, CommitMode::Async));
        if let Err(error) = committed {
            tracing::debug!(%error, "the group's offsets, which are advisory, were not committed");
        }
        self.commits.insert(name, Instant::now());
    }
}

impl Drop for KafkaCommandConsumer {
    /// librdkafka may take long to close a consumer: that is never the writer's thread.
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
