//! The audit tools.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use clap::Subcommand;
use commands::clock::{SystemClock, SystemIds};
use commands::log::kafka::{KafkaCommandLog, ProducerSettings};
use commands::log::topics::Topics;
use commands::store::{self, OpenError, StoreOptions};
use domain::envelope::Position;
use domain::ids::{BroadcastId, SpotlightId};
use domain::ports::{Clock, EventReader, OrderBook, PortError, SalesBoard, StockGate};
use indicatif::{ProgressBar, ProgressStyle};
use projections::read_model;
use projections::replay::{self, Progress, VerifyOptions};
use projections::stock_counter::{Presence, RebuildPorts, Rebuilder, RedisGate};
use serde_json::json;

use super::{CliError, SettingArgs, Verdict};
use crate::config::{self, Backend, Config};

/// Spotlights of a broadcast that are listed at a time.
const PAGE_ITEMS: usize = 200;

/// Audit the log: read-only, on any store
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    Verify(VerifyArgs),
    /// Build again what is derived from the log
    Rebuild {
        #[command(subcommand)]
        name: Rebuild,
    },
}

#[derive(Debug, Subcommand)]
enum Rebuild {
    Stock(StockArgs),
}

/// Check every invariant at every position
///
/// Exits with 1 at a break, which is named. The stock gate is compared too where `--redis` names it.
#[derive(Debug, clap::Args)]
struct VerifyArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// The first position to check
    #[arg(long, value_name = "POSITION", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    from: u64,
    /// The last position to check; the head by default
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    /// Nothing is under way any more: an order that has not ended is a break
    #[arg(long)]
    settled: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

/// Reopen the stock gates of spotlights under their next epoch
///
/// In a cluster only: the gate of an embedded server is rebuilt from the log at each start.
#[derive(Debug, clap::Args)]
struct StockArgs {
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

pub(super) async fn run(args: Args) -> Result<Verdict, CliError> {
    match args.tool {
        Tool::Verify(args) => verify(args).await,
        Tool::Rebuild { name: Rebuild::Stock(args) } => rebuild_stock(args).await,
    }
}

async fn verify(args: VerifyArgs) -> Result<Verdict, CliError> {
    if args.to.is_some_and(|to| to < args.from) {
        return Err(CliError::usage("--to is before --from: nothing would be checked"));
    }
    let config = config::load(&args.settings.flags())?;
    let reader = open_reader(&config).await?;
    let orders = read_model::open(&config.database).await.map_err(unreachable_port)?.orders;
    let gate = match &config.redis {
        Some(redis) => RedisGate::connect(&nodes(redis)).await.ok(),
        None => None,
    };
    let report = check(&args, reader.as_ref(), gate.as_ref(), orders.as_ref()).await?;
    if args.json {
        print_json(&report)?;
    } else {
        print!("{}", replay::render_human(&report));
    }
    Ok(verdict(&report))
}

async fn check(
    args: &VerifyArgs,
    reader: &dyn EventReader,
    gate: Option<&RedisGate>,
    orders: &dyn OrderBook,
) -> Result<replay::Report, CliError> {
    let options = VerifyOptions {
        after: Position(args.from.saturating_sub(1)),
        up_to: args.to.map(Position),
        settled: args.settled,
        page: None,
        gate: gate.map(|gate| -> &dyn StockGate { gate }),
        orders: Some(orders),
    };
    let bar = progress_bar();
    let mut progress = |progress: Progress| {
        bar.set_length(progress.end.0.saturating_sub(options.after.0));
        bar.set_position(progress.position.0.saturating_sub(options.after.0));
    };
    let report = replay::verify(reader, options, &mut progress).await.map_err(unreachable_port);
    bar.finish_and_clear();
    report
}

/// The verdict of a report, as an exit code says it.
pub(super) fn verdict(report: &replay::Report) -> Verdict {
    match report.verdict {
        replay::Verdict::Good => Verdict::Good,
        replay::Verdict::Bad => Verdict::Bad,
    }
}

pub(super) fn print_json(report: &replay::Report) -> Result<(), CliError> {
    let text = serde_json::to_string(report).map_err(CliError::usage)?;
    println!("{text}");
    Ok(())
}

fn progress_bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    let template = "{elapsed_precise} [{wide_bar}] {pos}/{len} events, {per_sec}, {eta} left";
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

/// The log of the configured database, for reading only.
pub(super) async fn open_reader(config: &Config) -> Result<Arc<dyn EventReader>, CliError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let options = StoreOptions { readers: config.postgres.connections, ..StoreOptions::new(clock) };
    store::open_reader(&config.database, &options).await.map_err(|error| match error {
        OpenError::Scheme(_) | OpenError::Owned { .. } => CliError::usage(error),
        error => CliError::unreachable("the event store cannot be opened", error),
    })
}

fn nodes(redis: &str) -> Vec<String> {
    redis.split(',').map(|url| url.trim().to_owned()).collect()
}

fn unreachable_port(error: PortError) -> CliError {
    CliError::unreachable("the log cannot be read", error)
}

async fn rebuild_stock(args: StockArgs) -> Result<Verdict, CliError> {
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
