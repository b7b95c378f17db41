//! The topics: their names, how `onair migrate` makes them, and what `onair doctor` looks at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ports::PortError;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};

/// How long one administrative request may take.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the topics may take to be seen by the brokers after they were created.
const SEEN_ATTEMPTS: u32 = 50;
const SEEN_PAUSE: Duration = Duration::from_millis(100);

type Admin = AdminClient<DefaultClientContext>;

/// The names of the topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Commands; acknowledging one is the acceptance. Kept for ever (design rule 6).
    pub commands: String,
    /// Events, on their way to consumers.
    pub events: String,
    /// Commands that could not be processed.
    pub parked: String,
    /// Sealed heads of the log, for an outsider to keep.
    pub witness: String,
}

impl Default for Topics {
    fn default() -> Self {
        Self::prefixed("")
    }
}

impl Topics {
    /// The names with something in front of them, so that several instances share one cluster.
    pub fn prefixed(prefix: &str) -> Self {
        Self {
            commands: format!("{prefix}onair.commands.v1"),
            events: format!("{prefix}onair.events.v1"),
            parked: format!("{prefix}onair.commands.parked.v1"),
            witness: format!("{prefix}onair.witness.v1"),
        }
    }

    /// Every name.
    pub fn all(&self) -> [&str; 4] {
        [&self.commands, &self.events, &self.parked, &self.witness]
    }

    /// Only what the log proves later is kept for ever; events are a copy of the store.
    const fn kept_for_ever(&self) -> [&String; 3] {
        [&self.commands, &self.parked, &self.witness]
    }
}

/// Why the topics are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// The cluster cannot be reached, or refused.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A topic exists with another number of partitions. Changing it would move keys to other
    /// partitions, so that two writers would decide one spotlight: it is never done.
    #[error(
        "the topic {topic} has {found} partitions and {wanted} are configured: a changed number \
         moves keys between partitions, so configure {found}, or use topics of another prefix"
    )]
    PartitionCount {
        /// Which topic.
        topic: String,
        /// What it has.
        found: usize,
        /// What was asked for.
        wanted: i32,
    },
    /// The cluster refused to create a topic.
    #[error("the topic {topic} cannot be created: {reason}")]
    Refused {
        /// Which topic.
        topic: String,
        /// What the cluster says.
        reason: String,
    },
}

/// What `onair doctor` judges a topic by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicReport {
    /// Its name.
    pub topic: String,
    /// Whether it exists; where it does not, the rest is zero.
    pub exists: bool,
    /// How many partitions it has.
    pub partitions: usize,
    /// Partitions that have no leader now.
    pub leaderless: usize,
    /// The smallest number of replicas of a partition.
    pub replication: usize,
    /// The smallest number of replicas in sync now.
    pub in_sync: usize,
    /// `min.insync.replicas`.
    pub min_in_sync: usize,
    /// `unclean.leader.election.enable`: an acknowledged record may be lost.
    pub unclean_election: bool,
    /// `retention.ms`; -1 keeps everything.
    pub retention_ms: i64,
    /// `cleanup.policy`; `compact` on the commands topic loses commands.
    pub cleanup_policy: String,
}

/// Creates the topics that are missing and leaves the others as they are. In-sync replicas are one
/// less than replicas, at least one. Returns the names that were created.
///
/// # Errors
/// [`TopicsError`]; an existing topic with another number of partitions is never changed.
pub async fn ensure_topics(
    brokers: &str,
    topics: &Topics,
    partitions: i32,
    replication: i32,
) -> Result<Vec<String>, TopicsError> {
    let admin = admin(brokers)?;
    let known = seen(&admin).await?;
    let mut missing = Vec::new();
    for topic in topics.all() {
        match known.get(topic).map(Vec::len) {
            Some(found) => check_count(topic, found, partitions)?,
            None => missing.push(topic),
        }
    }
    create(&admin, topics, &missing, partitions, replication).await?;
    wait_until_seen(&admin, &missing, partitions).await?;
    Ok(missing.into_iter().map(str::to_owned).collect())
}

fn check_count(topic: &str, found: usize, wanted: i32) -> Result<(), TopicsError> {
    if i32::try_from(found) == Ok(wanted) {
        return Ok(());
    }
    Err(TopicsError::PartitionCount { topic: topic.to_owned(), found, wanted })
}

async fn create(
    admin: &Admin,
    topics: &Topics,
    missing: &[&str],
    partitions: i32,
    replication: i32,
) -> Result<(), TopicsError> {
    if missing.is_empty() {
        return Ok(());
    }
    let min_in_sync = (replication - 1).max(1).to_string();
    let new: Vec<NewTopic<'_>> = missing
        .iter()
        .map(|topic| {
            let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replication))
                .set("min.insync.replicas", &min_in_sync)
                .set("unclean.leader.election.enable", "false")
                .set("cleanup.policy", "delete");
            if topics.kept_for_ever().iter().any(|kept| kept == topic) {
                new.set("retention.ms", "-1").set("retention.bytes", "-1")
            } else {
                new
            }
        })
        .collect();
    let made = admin.create_topics(&new, &options()).await.map_err(unreachable_cluster)?;
    for result in made {
        match result {
            // somebody else ran `onair migrate` at the same time; the wait below checks the count
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, reason)) => {
                return Err(TopicsError::Refused { topic, reason: reason.to_string() });
            }
        }
    }
    Ok(())
}

/// A topic is created by the controller and seen by the brokers a little later.
async fn wait_until_seen(
    admin: &Arc<Admin>,
    topics: &[&str],
    partitions: i32,
) -> Result<(), TopicsError> {
    for topic in topics {
        let mut attempts = SEEN_ATTEMPTS;
        loop {
            if let Some(found) = seen(admin).await?.get(*topic)
                && found.iter().all(|partition| partition.leader >= 0)
            {
                check_count(topic, found.len(), partitions)?;
                break;
            }
            attempts -= 1;
            if attempts == 0 {
                let reason = "it was created and is not seen by the brokers".to_owned();
                return Err(TopicsError::Refused { topic: (*topic).to_owned(), reason });
            }
            tokio::time::sleep(SEEN_PAUSE).await;
        }
    }
    Ok(())
}

/// Looks at the topics, for `onair doctor`.
///
/// # Errors
/// The cluster cannot be reached.
pub async fn inspect(brokers: &str, topics: &Topics) -> Result<Vec<TopicReport>, TopicsError> {
    let admin = admin(brokers)?;
    let known = seen(&admin).await?;
    let mut reports = Vec::new();
    for topic in topics.all() {
        let Some(found) = known.get(topic) else {
            reports.push(missing_report(topic));
            continue;
        };
        let described = admin
            .describe_configs([&ResourceSpecifier::Topic(topic)], &options())
            .await
            .map_err(unreachable_cluster)?;
        let config = described.into_iter().next().and_then(Result::ok);
        reports.push(report(topic, found, &settings(config.as_ref())));
    }
    Ok(reports)
}

fn settings(config: Option<&ConfigResource>) -> BTreeMap<String, String> {
    config
        .into_iter()
        .flat_map(|config| &config.entries)
        .filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?)))
        .collect()
}

fn missing_report(topic: &str) -> TopicReport {
    TopicReport {
        topic: topic.to_owned(),
        exists: false,
        partitions: 0,
        leaderless: 0,
        replication: 0,
        in_sync: 0,
        min_in_sync: 0,
        unclean_election: false,
        retention_ms: 0,
        cleanup_policy: String::new(),
    }
}

fn report(topic: &str, found: &[Seen], settings: &BTreeMap<String, String>) -> TopicReport {
    let text = |name: &str| settings.get(name).map_or("", String::as_str);
    TopicReport {
        topic: topic.to_owned(),
        exists: true,
        partitions: found.len(),
        leaderless: found.iter().filter(|partition| partition.leader < 0).count(),
        replication: found.iter().map(|partition| partition.replicas).min().unwrap_or(0),
        in_sync: found.iter().map(|partition| partition.in_sync).min().unwrap_or(0),
        min_in_sync: text("min.insync.replicas").parse().unwrap_or(0),
        unclean_election: text("unclean.leader.election.enable") == "true",
        retention_ms: text("retention.ms").parse().unwrap_or(0),
        cleanup_policy: text("cleanup.policy").to_owned(),
    }
}

/// A partition as the brokers see it.
struct Seen {
    leader: i32,
    replicas: usize,
    in_sync: usize,
}

impl Seen {
    fn of(partition: &MetadataPartition) -> Self {
        Self {
            leader: partition.leader(),
            replicas: partition.replicas().len(),
            in_sync: partition.isr().len(),
        }
    }
}

fn admin(brokers: &str) -> Result<Arc<Admin>, PortError> {
    let admin = crate::log::kafka::client(brokers, "onair-admin").create();
    admin.map(Arc::new).map_err(unreachable_cluster)
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT)).operation_timeout(Some(ADMIN_TIMEOUT))
}

fn unreachable_cluster(error: KafkaError) -> PortError {
    PortError::unavailable("Kafka", error)
}

/// The topics that exist. The request blocks its thread, so it runs where blocking is allowed.
async fn seen(admin: &Arc<Admin>) -> Result<BTreeMap<String, Vec<Seen>>, PortError> {
    let admin = Arc::clone(admin);
    let asked = tokio::task::spawn_blocking(move || {
        let metadata = admin.inner().fetch_metadata(None, ADMIN_TIMEOUT)?;
        let existing = metadata.topics().iter().filter(|topic| !topic.partitions().is_empty());
        let partitions = |topic: &MetadataTopic| topic.partitions().iter().map(Seen::of).collect();
        Ok(existing.map(|topic| (topic.name().to_owned(), partitions(topic))).collect())
    });
    asked.await.map_err(|_| PortError::Closed)?.map_err(unreachable_cluster)
}
