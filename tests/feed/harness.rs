//! The buses under test, each with its way of losing everything.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use domain::Timestamp;
use domain::ids::StreamKey;
use domain::ports::{Clock, FeedBus, Ids};
use projections::viewer_feed::{FeedLimits, MemoryFeedBus, RedisFeedBus};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::support::required;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_mins(1);

pub struct RandomIds;

impl Ids for RandomIds {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(rand::random())
    }
}

pub struct StillClock;

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        DateTime::UNIX_EPOCH
    }
    async fn sleep(&self, _: Duration) {}
}

pub fn key(number: u128) -> StreamKey {
    StreamKey(Uuid::from_u128(number))
}

/// A channel name of its own.
pub fn channel(kind: &str) -> String {
    format!("{kind}{}", RandomIds.uuid())
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Memory,
    Redis,
    Cluster,
}

pub struct Harness {
    pub bus: Arc<dyn FeedBus>,
    memory: Option<Arc<MemoryFeedBus>>,
    redis: Option<(String, String)>,
}

impl Harness {
    pub async fn start(kind: Kind, limits: FeedLimits) -> Self {
        let url = match kind {
            Kind::Memory => {
                let bus =
                    MemoryFeedBus::with_limits(Arc::new(StillClock), Arc::new(RandomIds), limits);
                let bus = Arc::new(bus);
                return Self { bus: bus.clone(), memory: Some(bus), redis: None };
            }
            Kind::Redis => required("ONAIR_REDIS"),
            Kind::Cluster => required("ONAIR_TEST_REDIS_CLUSTER"),
        };
        Self::redis(&url, limits).await
    }

    pub async fn redis(url: &str, limits: FeedLimits) -> Self {
        let prefix = format!("t{}", RandomIds.uuid().simple());
        let tasks = TaskTracker::new();
        let bus = RedisFeedBus::connect(url, &prefix, limits, Arc::new(RandomIds), &tasks).await;
        let bus = Arc::new(bus.expect("connects"));
        Self { bus, memory: None, redis: Some((url.to_owned(), prefix)) }
    }

    /// Loses what the bus holds of a channel, as a server that was emptied.
    pub async fn lose(&self, channel: &str) {
        if let Some(memory) = &self.memory {
            memory.lose();
        }
        if let Some((url, prefix)) = &self.redis {
            let keys = ["meta", "state", "log", "nodes", "viewers"]
                .map(|part| format!("{prefix}:feed:{{{channel}}}:{part}"));
            let delete = redis::cmd("DEL").arg(&keys[..]).to_owned();
            let _: i64 = if url.contains(',') {
                let client = redis::cluster::ClusterClient::new(url.split(',')).unwrap();
                let mut link = client.get_async_connection().await.unwrap();
                delete.query_async(&mut link).await.unwrap()
            } else {
                let client = redis::Client::open(url.as_str()).unwrap();
                let mut link = client.get_multiplexed_async_connection().await.unwrap();
                delete.query_async(&mut link).await.unwrap()
            };
        }
    }
}

pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("comes in time")
}
