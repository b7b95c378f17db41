//! A log of commands with members that keep their offsets as a store would.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use commands::log::kafka::{
    GroupProtocol, KafkaCommandConsumer, KafkaCommandLog, ProducerSettings,
};
use commands::log::topics::{Topics, ensure_topics};
use commands::log::{MemoryCommandLog, partition_of};
use domain::actor::Actor;
use domain::broadcast::BroadcastCommand;
use domain::command::{Command, CommandRecord};
use domain::envelope::Source;
use domain::ids::{CommandId, CorrelationId, SellerId, StreamKey};
use domain::ports::{
    AppendError, CommandConsumer, CommandLog, ConsumerEvent, Delivered, PortError,
};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use uuid::Uuid;

use crate::support::required;

/// How long anything here may take.
pub const LIMIT: Duration = Duration::from_mins(1);

/// A log under test and how its group is joined.
#[async_trait]
pub trait Rig: Send + Sync {
    fn log(&self) -> Arc<dyn CommandLog>;
    fn topic(&self) -> &str;
    async fn join(&self) -> Box<dyn CommandConsumer>;
}

pub struct InProcess(pub Arc<MemoryCommandLog>);

impl InProcess {
    pub fn new(partitions: i32, depth: usize) -> Self {
        Self(MemoryCommandLog::new("commands", partitions, depth))
    }
}

#[async_trait]
impl Rig for InProcess {
    fn log(&self) -> Arc<dyn CommandLog> {
        self.0.clone()
    }
    fn topic(&self) -> &'static str {
        "commands"
    }
    async fn join(&self) -> Box<dyn CommandConsumer> {
        Box::new(self.0.consumer())
    }
}

pub struct OnKafka {
    pub brokers: String,
    pub topics: Topics,
    pub group: String,
    pub protocol: GroupProtocol,
    log: Arc<KafkaCommandLog>,
}

impl OnKafka {
    /// Fresh topics on the shared Kafka.
    pub async fn new(partitions: i32, protocol: GroupProtocol) -> Self {
        Self::on(required("ONAIR_KAFKA"), partitions, protocol).await
    }

    pub async fn on(brokers: String, partitions: i32, protocol: GroupProtocol) -> Self {
        let prefix = format!("t{}-", Uuid::new_v4().simple());
        let topics = Topics::prefixed(&prefix);
        ensure_topics(&brokers, &topics, partitions, 1).await.expect("creates the topics");
        let log = KafkaCommandLog::connect(&brokers, &topics.commands, ProducerSettings::default());
        let log = Arc::new(log.expect("valid settings"));
        Self { brokers, topics, group: format!("{prefix}writer"), protocol, log }
    }
}

#[async_trait]
impl Rig for OnKafka {
    fn log(&self) -> Arc<dyn CommandLog> {
        self.log.clone()
    }
    fn topic(&self) -> &str {
        &self.topics.commands
    }
    async fn join(&self) -> Box<dyn CommandConsumer> {
        let joined = KafkaCommandConsumer::join(
            &self.brokers,
            &self.topics.commands,
            &self.group,
            self.protocol,
        );
        Box::new(joined.expect("valid settings"))
    }
}

/// The next undecided offset of each partition, as the store keeps it.
pub type Offsets = BTreeMap<i32, i64>;

/// A member of the group: starts what it is given at the stored offset.
pub struct Member {
    pub consumer: Box<dyn CommandConsumer>,
    pub owned: BTreeSet<i32>,
    pub seen: Vec<Delivered>,
}

impl Member {
    pub async fn join(rig: &dyn Rig) -> Self {
        Self { consumer: rig.join().await, owned: BTreeSet::new(), seen: vec![] }
    }

    /// One call, and what a writer does with its answer; `decide` says whether a record commits.
    pub async fn step(
        &mut self,
        offsets: &mut Offsets,
        decide: impl Fn(&Delivered) -> bool,
    ) -> Result<(), PortError> {
        for event in self.consumer.next(100).await? {
            match event {
                ConsumerEvent::Assigned { topic, partition, low, high } => {
                    assert!(low <= high);
                    assert!(self.owned.insert(partition), "assigned twice");
                    let offset = offsets.get(&partition).copied().unwrap_or(low);
                    self.consumer.start_at(&topic, partition, offset).await?;
                }
                ConsumerEvent::Revoked { partition, .. } => {
                    self.owned.remove(&partition);
                }
                ConsumerEvent::Record(delivered) => {
                    let Source { topic, partition, offset } = delivered.source.clone();
                    assert!(self.owned.contains(&partition), "a record of somebody else");
                    if decide(&delivered) {
                        offsets.insert(partition, offset + 1);
                        self.consumer.committed(&topic, partition, offset + 1).await;
                    }
                    self.seen.push(delivered);
                }
            }
        }
        Ok(())
    }

    /// Goes on until `done`, deciding everything.
    pub async fn until(&mut self, offsets: &mut Offsets, done: impl Fn(&Self) -> bool) {
        let reading = async {
            while !done(self) {
                self.step(offsets, |_| true).await.expect("reads");
            }
        };
        let read = tokio::time::timeout(LIMIT, reading).await;
        assert!(read.is_ok(), "not in time: saw {}, owns {:?}", self.seen.len(), self.owned);
    }

    pub fn commands(&self) -> Vec<CommandId> {
        self.seen.iter().map(|delivered| parse(delivered).command_id).collect()
    }
}

pub fn parse(delivered: &Delivered) -> CommandRecord {
    serde_json::from_slice(&delivered.value).expect("a record")
}

/// Command `number` of a key; the number is its id.
pub fn record(key: StreamKey, number: u128) -> CommandRecord {
    CommandRecord {
        command_id: CommandId(Uuid::from_u128(number)),
        seller: SellerId::try_new("acme").expect("valid"),
        key,
        correlation: CorrelationId(Uuid::from_u128(number)),
        causation: None,
        traceparent: None,
        actor: Actor::system(),
        issued_at: DateTime::UNIX_EPOCH,
        command: Command::Broadcast { command: BroadcastCommand::StartBroadcast },
    }
}

pub fn key(number: u128) -> StreamKey {
    StreamKey(Uuid::from_u128(number))
}

/// A key of each partition.
pub fn key_of_each(partitions: i32) -> Vec<StreamKey> {
    let lands = |candidate: &StreamKey| partition_of(candidate.to_string().as_bytes(), partitions);
    (0..partitions)
        .map(|partition| (0..10_000).map(key).find(|k| lands(k) == partition).expect("some key"))
        .collect()
}

/// Appends all, in order per key, and gives every answer.
pub async fn append_all(
    log: &dyn CommandLog,
    records: &[CommandRecord],
) -> Vec<(CommandId, Result<Source, AppendError>)> {
    let appends: FuturesUnordered<_> =
        records.iter().map(async |record| (record.command_id, log.append(record).await)).collect();
    appends.collect().await
}
