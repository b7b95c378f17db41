//! A process of a cluster: PostgreSQL, Redis and Kafka.

use std::sync::Arc;

use commands::log::kafka::{
    GroupProtocol, KafkaCommandConsumer, KafkaCommandLog, KafkaParkedPublisher, ProducerSettings,
    WRITER_GROUP,
};
use commands::log::topics::Topics;
use commands::relay::KafkaEventPublisher;
use commands::store::{self, StoreOptions};
use commands::writer::ParkedPublisher;
use domain::ports::{
    Clock, CommandConsumer, CommandLog, EventPublisher, EventReader, EventStore, Ids, PortError,
    RowReader,
};
use projections::consumer::by_position::ReadModel;
use projections::consumer::{self, KafkaEventLog};
use projections::key_table::Projected;
use projections::read_model;
use projections::stock_counter::{RebuildPorts, Rebuilder, RedisGate};
use projections::viewer_feed::{FeedLimits, RedisFeedBus};
use projections::webhooks::WebhookFeed;
use tokio_util::task::TaskTracker;

use super::StartError;
use super::adapters::Models;
use super::bounded::Bounded;
use super::parts::{Kafka, Parts, Wire};
use crate::config::{ClusterUrls, Config, Role};

/// What groups of consumers are called before their own name.
const GROUP_PREFIX: &str = "onair-";
/// What the feed's keys in Redis begin with.
pub const FEED_PREFIX: &str = "onair";

pub(super) async fn parts(
    config: &Config,
    urls: &ClusterUrls,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    (tasks, stores): (&TaskTracker, &TaskTracker),
) -> Result<Parts, StartError> {
    let (store, reader) = open_store(config, &clock, stores).await?;
    let rows = open_rows(config, &clock, stores).await?;
    let parked = store::open_parked(&urls.database)?;
    let models = read_model::open(&urls.database).await?;
    let topics = Topics::prefixed(&config.kafka.topic_prefix);
    let producer = ProducerSettings::default();
    let log: Arc<dyn CommandLog> =
        Arc::new(KafkaCommandLog::connect(&urls.kafka, &topics.commands, producer)?);
    let nodes: Vec<String> = urls.redis.split(',').map(|url| url.trim().to_owned()).collect();
    let gate = Arc::new(RedisGate::connect(&nodes).await?);
    let accepted = gate.accepted_orders();
    let limits = FeedLimits::default();
    let bus =
        RedisFeedBus::connect(&urls.redis, FEED_PREFIX, limits, Arc::clone(&ids), tasks).await?;
    let rebuilder = Rebuilder::new(RebuildPorts {
        gate: gate.clone(),
        reader: Arc::new(Bounded(Arc::clone(&reader))),
        log: Arc::clone(&log),
        ids,
        clock: Arc::clone(&clock),
    });
    let group_prefix = format!("{}{GROUP_PREFIX}", config.kafka.topic_prefix);
    Ok(Parts {
        event_log: Arc::new(KafkaEventLog::new(
            urls.kafka.clone(),
            topics.events.clone(),
            group_prefix,
            consumer::GroupProtocol::default(),
        )),
        reader: Arc::clone(&reader),
        rows,
        store,
        log,
        gate,
        accepted: Arc::new(accepted),
        models: Arc::new(Models {
            orders: ReadModel::order_book(Arc::clone(&models.orders)),
            board: ReadModel::sales_board(Arc::clone(&models.board)),
            demand: ReadModel::new(Arc::new(Projected(Arc::clone(&models.demand)))),
            waitlist: ReadModel::new(Arc::new(Projected(Arc::clone(&models.waitlist)))),
            webhooks: ReadModel::new(Arc::new(WebhookFeed::new(
                Arc::clone(&reader),
                Arc::clone(&models.board),
                Arc::clone(&models.webhooks),
                Arc::clone(&clock),
            ))),
            clock,
        }),
        webhooks: models.webhooks,
        parked,
        orders: models.orders,
        demand: models.demand,
        waitlist: models.waitlist,
        board: models.board,
        chat: models.chat,
        rooms: models.rooms,
        bus: Arc::new(bus),
        rebuilder: Arc::new(rebuilder),
        wire: Wire::Kafka(kafka(config, urls, &topics)?),
    })
}

type Opened = (Option<Arc<dyn EventStore>>, Arc<dyn EventReader>);

/// Only roles that write hold the store's writing end.
async fn open_store(
    config: &Config,
    clock: &Arc<dyn Clock>,
    stores: &TaskTracker,
) -> Result<Opened, StartError> {
    let options = StoreOptions {
        readers: config.postgres.connections,
        tasks: stores.clone(),
        ..StoreOptions::new(Arc::clone(clock))
    };
    let writes = [Role::Writer, Role::Relay, Role::Process];
    if writes.iter().any(|role| config.roles.contains(role)) {
        let store = store::open(&config.database, &options).await?;
        let reader: Arc<dyn EventReader> = store.clone();
        Ok((Some(store), reader))
    } else {
        Ok((None, store::open_reader(&config.database, &options).await?))
    }
}

/// Auditors ask seldom: a connection each for the bytes and for the seals.
const ROW_READERS: u32 = 2;

async fn open_rows(
    config: &Config,
    clock: &Arc<dyn Clock>,
    stores: &TaskTracker,
) -> Result<Arc<dyn RowReader>, StartError> {
    let clock = Arc::clone(clock);
    let options =
        StoreOptions { readers: ROW_READERS, tasks: stores.clone(), ..StoreOptions::new(clock) };
    Ok(store::open_audit(&config.database, &options).await?.rows)
}

fn kafka(config: &Config, urls: &ClusterUrls, topics: &Topics) -> Result<Kafka, StartError> {
    let parked: Option<Arc<dyn ParkedPublisher>> = if config.roles.contains(&Role::Writer) {
        Some(Arc::new(KafkaParkedPublisher::connect(&urls.kafka, &topics.parked)?))
    } else {
        None
    };
    let publisher: Option<Arc<dyn EventPublisher>> = if config.roles.contains(&Role::Relay) {
        Some(Arc::new(KafkaEventPublisher::connect(&urls.kafka, &topics.events)?))
    } else {
        None
    };
    let (brokers, topic) = (urls.kafka.clone(), topics.commands.clone());
    let group = format!("{}{WRITER_GROUP}", config.kafka.topic_prefix);
    let join = move || -> Result<Box<dyn CommandConsumer>, PortError> {
        let protocol = GroupProtocol::default();
        Ok(Box::new(KafkaCommandConsumer::join(&brokers, &topic, &group, protocol)?))
    };
    let witness = (urls.kafka.clone(), topics.witness.clone());
    Ok(Kafka { join: Box::new(join), parked, publisher, witness })
}
