//! `onair replay rebuild stock` and `rebuild viewer_feed`: what lies in Redis.

use std::sync::Arc;

use commands::clock::{SystemClock, SystemIds};
use commands::log::kafka::{KafkaCommandLog, ProducerSettings};
use commands::log::topics::Topics;
use domain::ids::{BroadcastId, SpotlightId, StreamKey};
use domain::ports::SalesBoard;
use projections::read_model;
use projections::stock_counter::{Presence, RebuildPorts, Rebuilder, RedisGate};
use projections::viewer_feed::shape::live_channel;
use projections::viewer_feed::{FeedLimits, RedisFeedBus, ViewerFeed};
use serde_json::json;
use tokio_util::task::TaskTracker;

use super::source::{nodes, open_reader};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::compose::FEED_PREFIX;
use crate::config::{Backend, ClusterUrls, Config};

/// Spotlights of a broadcast that are listed at a time.
const PAGE_ITEMS: usize = 200;

/// Reopen the stock gates of spotlights under their next epoch
///
/// In a cluster only: the gate of an embedded server is rebuilt from the log at each start.
#[derive(Debug, clap::Args)]
pub(super) struct StockArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// Spotlights
    #[arg(value_name = "SPOTLIGHT", required_unless_present = "broadcast")]
    spotlights: Vec<SpotlightId>,
    /// All spotlights of a broadcast
    #[arg(long, value_name = "BROADCAST")]
    broadcast: Option<BroadcastId>,
    /// Print one JSON object per spotlight
    #[arg(long)]
    json: bool,
}

pub(super) async fn rebuild_stock(args: StockArgs) -> Result<Verdict, CliError> {
    let (config, backend) = args.settings.load()?;
    let Backend::Cluster(urls) = backend else {
        return Err(CliError::usage(
            "the gate of an embedded server is rebuilt from the log at each start: restart it",
        ));
    };
    let lost = |error| CliError::unreachable("the gate cannot be rebuilt", error);
    let reader = open_reader(&config).await?;
    let board = read_model::open(&config.database).await.map_err(lost)?.board;
    let mut spotlights = args.spotlights;
    if let Some(broadcast) = args.broadcast {
        spotlights.extend(spotlights_of(board.as_ref(), broadcast).await?);
    }
    let topics = Topics::prefixed(&config.kafka.topic_prefix);
    let producer = ProducerSettings::default();
    let log = KafkaCommandLog::connect(&urls.kafka, &topics.commands, producer).map_err(lost)?;
    let rebuilder = Rebuilder::new(RebuildPorts {
        gate: Arc::new(RedisGate::connect(&nodes(&urls.redis)).await.map_err(lost)?),
        reader,
        log: Arc::new(log),
        ids: Arc::new(SystemIds),
        clock: Arc::new(SystemClock),
    });
    for spotlight in spotlights {
        match rebuilder.rebuild(spotlight).await.map_err(lost)? {
            Presence::Ready => say(args.json, spotlight, "rebuilt"),
            Presence::Rebuilding => say(args.json, spotlight, "being rebuilt by another process"),
            Presence::Unknown => {
                return Err(CliError::usage(format!("the log has no spotlight {spotlight}")));
            }
        }
    }
    Ok(Verdict::Good)
}

fn say(as_json: bool, spotlight: SpotlightId, outcome: &str) {
    if as_json {
        println!("{}", json!({"spotlight": spotlight, "outcome": outcome}));
    } else {
        println!("{spotlight} {outcome}");
    }
}

/// Forget what viewers of broadcasts were shown, and show what the log says
///
/// In a cluster only: an embedded server shows it anew at each start. Viewers recover by
/// themselves; likes go on from what their nodes remember.
#[derive(Debug, clap::Args)]
pub(super) struct FeedArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// Broadcasts
    #[arg(value_name = "BROADCAST", required = true)]
    broadcasts: Vec<BroadcastId>,
    /// Print one JSON object per broadcast
    #[arg(long)]
    json: bool,
}

pub(super) async fn rebuild_feed(args: FeedArgs) -> Result<Verdict, CliError> {
    let (config, backend) = args.settings.load()?;
    let Backend::Cluster(urls) = backend else {
        return Err(CliError::usage("an embedded server shows it anew at each start: restart it"));
    };
    let shown = Shown::open(&config, &urls).await?;
    for broadcast in args.broadcasts {
        let parts = shown.again(broadcast).await?;
        if args.json {
            println!("{}", json!({"broadcast": broadcast, "shown": parts}));
        } else {
            println!("{broadcast}: {parts} parts are shown again");
        }
    }
    Ok(Verdict::Good)
}

/// What viewers are shown in Redis.
pub(super) struct Shown {
    pub bus: Arc<RedisFeedBus>,
    feed: ViewerFeed,
    board: Arc<dyn SalesBoard>,
}

fn lost(error: domain::ports::PortError) -> CliError {
    CliError::unreachable("the feed cannot be rebuilt", error)
}

impl Shown {
    pub async fn open(config: &Config, urls: &ClusterUrls) -> Result<Self, CliError> {
        let reader = open_reader(config).await?;
        let board = read_model::open(&config.database).await.map_err(lost)?.board;
        let (limits, tasks) = (FeedLimits::default(), TaskTracker::new());
        let ids = Arc::new(SystemIds);
        let bus = RedisFeedBus::connect(&urls.redis, FEED_PREFIX, limits, ids, &tasks).await;
        let bus = Arc::new(bus.map_err(lost)?);
        let feed = ViewerFeed::new(reader, bus.clone(), Arc::new(SystemClock));
        Ok(Self { bus, feed, board })
    }

    /// Forgets what was shown of a broadcast and shows what the log says; returns how many parts.
    pub async fn again(&self, broadcast: BroadcastId) -> Result<usize, CliError> {
        let spotlights = spotlights_of(self.board.as_ref(), broadcast).await?;
        let mut keys = vec![StreamKey::from(broadcast)];
        keys.extend(spotlights.into_iter().map(StreamKey::from));
        self.bus.forget(&live_channel(broadcast)).await.map_err(lost)?;
        self.feed.show_again(&keys).await.map_err(lost)
    }
}

async fn spotlights_of(
    board: &dyn SalesBoard,
    broadcast: BroadcastId,
) -> Result<Vec<SpotlightId>, CliError> {
    let lost = |error| CliError::unreachable("the spotlights cannot be listed", error);
    if board.broadcast(broadcast).await.map_err(lost)?.is_none() {
        return Err(CliError::usage(format!("there is no broadcast {broadcast}")));
    }
    let mut found = vec![];
    let mut cursor = None;
    loop {
        let page =
            board.spotlights(broadcast, cursor.as_deref(), PAGE_ITEMS).await.map_err(lost)?;
        found.extend(page.items.iter().map(|spotlight| spotlight.id));
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(found),
        }
    }
}
