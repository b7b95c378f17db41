//! `onair replay reconcile`: what differs from the log, and its repair.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use commands::clock::{SystemClock, SystemIds};
use commands::log::kafka::{KafkaCommandLog, ProducerSettings, scan_events};
use commands::log::topics::Topics;
use commands::relay::KafkaEventPublisher;
use domain::command::{Command, CommandRecord};
use domain::envelope::Position;
use domain::ids::{CommandId, CorrelationId, SpotlightId, derive_id};
use domain::order::OrderCommand;
use domain::ports::{AppendError, Clock, CommandLog, EventPublisher};
use domain::repair::Repair;
use projections::read_model::Slot;
use projections::rebuild::{self, BuildOptions, Model};
use projections::replay::{self, BookDifference, BooksError, Settlement};
use projections::stock_counter::{Presence, RebuildPorts, Rebuilder, RedisGate};
use serde_json::json;

use super::progress::Bar;
use super::repair::RepairArgs;
use super::source::{self, nodes};
use super::{print_json, slots};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config::{self, Backend, ClusterUrls, Config};

/// Compare what is derived from the log, and the provider's books, with the log
///
/// Exits with 1 where they differ. With --apply what differs is repaired: what is derived is built
/// again, the rest is settled by commands. Nothing is edited, and each event of a repair holds its
/// author, ticket and reason.
#[derive(Debug, clap::Args)]
pub(super) struct ReconcileArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The stock gates in Redis; a gate that differs is reopened under its next epoch
    Redis(RedisArgs),
    /// The events topic; what is missing is published again
    Kafka(CommonArgs),
    /// The read models; one that differs is built aside and swapped in
    Readmodels(CommonArgs),
    /// The provider's books; what it took for an order that has ended is given back
    Psp(PspArgs),
}

#[derive(Debug, clap::Args)]
struct CommonArgs {
    #[command(flatten)]
    settings: SettingArgs,
    #[command(flatten)]
    repair: RepairArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct RedisArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Only these spotlights; all that the log has not closed by default
    #[arg(value_name = "SPOTLIGHT")]
    spotlights: Vec<SpotlightId>,
}

#[derive(Debug, clap::Args)]
struct PspArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// The provider's report: one JSON object per line with `order_id`, `attempt`, `status`
    /// (authorized, captured, voided, declined, refunded) and `amount`
    #[arg(long, value_name = "FILE")]
    books: PathBuf,
}

pub(super) async fn reconcile(args: ReconcileArgs) -> Result<Verdict, CliError> {
    match args.what {
        What::Redis(args) => redis(args).await,
        What::Kafka(args) => kafka(args).await,
        What::Readmodels(args) => read_models(args).await,
        What::Psp(args) => psp(args).await,
    }
}

/// Good where nothing differs any more.
const fn verdict(differs: bool, repaired: bool) -> Verdict {
    if differs && !repaired { Verdict::Bad } else { Verdict::Good }
}

fn cluster(settings: &SettingArgs, what: &str) -> Result<(Config, ClusterUrls), CliError> {
    match settings.load()? {
        (config, Backend::Cluster(urls)) => Ok((config, urls)),
        _ => Err(CliError::usage(format!(
            "{what}: name --database postgres://…, --redis and --kafka"
        ))),
    }
}

fn command_log(config: &Config, urls: &ClusterUrls) -> Result<Arc<KafkaCommandLog>, CliError> {
    let topics = Topics::prefixed(&config.kafka.topic_prefix);
    let producer = ProducerSettings::default();
    KafkaCommandLog::connect(&urls.kafka, &topics.commands, producer)
        .map(Arc::new)
        .map_err(|error| CliError::unreachable("the command log", error))
}

async fn redis(args: RedisArgs) -> Result<Verdict, CliError> {
    let RedisArgs { common, spotlights } = args;
    let repair = common.repair.repair()?;
    let (config, urls) =
        cluster(&common.settings, "the gate of an embedded server is rebuilt at each start")?;
    let lost = |error| CliError::unreachable("the gate cannot be reached", error);
    let reader = source::open(&config).await?.events;
    let gate = Arc::new(RedisGate::connect(&nodes(&urls.redis)).await.map_err(lost)?);
    let asked = if spotlights.is_empty() {
        replay::open_spotlights(reader.as_ref()).await.map_err(source::unreachable_port)?
    } else {
        spotlights
    };
    let mut differing = vec![];
    for spotlight in &asked {
        let found = replay::gate_differences(gate.as_ref(), reader.as_ref(), *spotlight).await;
        if let Some(found) = found.map_err(lost)?.filter(|found| !found.is_empty()) {
            differing.push((*spotlight, found));
        }
    }
    let mut repaired = vec![];
    if let Some(repair) = &repair {
        let rebuilder = Rebuilder::new(RebuildPorts {
            gate,
            reader,
            log: command_log(&config, &urls)?,
            ids: Arc::new(SystemIds),
            clock: Arc::new(SystemClock),
        })
        .by(repair.actor());
        for (spotlight, _) in &differing {
            if rebuilder.rebuild(*spotlight).await.map_err(lost)? == Presence::Ready {
                repaired.push(*spotlight);
            }
        }
    }
    if common.json {
        let found: Vec<_> = differing
            .iter()
            .map(|(spotlight, found)| json!({"spotlight": spotlight, "details": found}))
            .collect();
        print_json(&json!({"compared": asked.len(), "differences": found, "repaired": repaired}))?;
    } else {
        println!("{} gates compared", asked.len());
        for (spotlight, found) in &differing {
            for detail in found {
                println!("  spotlight {spotlight}: {detail}");
            }
        }
        for spotlight in &repaired {
            println!("  spotlight {spotlight} was rebuilt");
        }
        say(differing.len(), repaired.len());
    }
    Ok(verdict(!differing.is_empty(), repaired.len() == differing.len()))
}

fn say(differing: usize, repaired: usize) {
    match (differing, repaired) {
        (0, _) => println!("EQUAL"),
        (found, 0) => println!("DIFFERENT: {found}"),
        (found, repaired) => println!("REPAIRED: {repaired} of {found}"),
    }
}

async fn kafka(args: CommonArgs) -> Result<Verdict, CliError> {
    let repair = args.repair.repair()?;
    let (config, urls) = cluster(&args.settings, "an embedded server has no topics")?;
    let lost = |error| CliError::unreachable("Kafka cannot be reached", error);
    let reader = source::open(&config).await?.events;
    let topics = Topics::prefixed(&config.kafka.topic_prefix);
    let head = reader.head().await.map_err(source::unreachable_port)?;
    let bar = Bar::new();
    let mut progress = |read, end| bar.at(Position(read), Position(end));
    let found =
        scan_events(&urls.kafka, &topics.events, head, &mut progress).await.map_err(lost)?;
    drop(bar);
    let mut published = 0;
    if repair.is_some() && !found.missing.is_empty() {
        let topic = KafkaEventPublisher::connect(&urls.kafka, &topics.events).map_err(lost)?;
        for position in &found.missing {
            let before = Position(position.0.saturating_sub(1));
            let events = reader.read(before, 1).await.map_err(source::unreachable_port)?;
            topic.publish(&events).await.map_err(lost)?;
            published += 1;
        }
    }
    let differs = found.missing_total > 0 || found.foreign > 0 || found.beyond > 0;
    let settled = found.missing_total == published && found.foreign == 0 && found.beyond == 0;
    if args.json {
        print_json(&json!({"head": head, "topic": found, "published": published}))?;
    } else {
        println!(
            "{} records, positions {} to {} of {head}: {} repeated, {} foreign, {} beyond the log",
            found.records, found.first, found.last, found.repeated, found.foreign, found.beyond
        );
        for position in found.missing.iter().take(10) {
            println!("  position {position} is not there");
        }
        let missing = usize::try_from(found.missing_total).unwrap_or(usize::MAX);
        say(missing, usize::try_from(published).unwrap_or(usize::MAX));
    }
    Ok(verdict(differs, repair.is_some() && settled))
}

async fn read_models(args: CommonArgs) -> Result<Verdict, CliError> {
    let repair = args.repair.repair()?;
    let (mut compared, mut differing, mut repaired) = (vec![], 0, 0);
    for model in Model::ALL {
        let (tables, reader) = slots::open_to_write(&args.settings, model).await?;
        tables.discard(Slot::Shadow).await.map_err(source::unreachable_port)?;
        let options = BuildOptions::new(Arc::new(SystemClock));
        let bar = Bar::new();
        let mut progress = |position, end| bar.at(position, end);
        rebuild::build(tables.as_ref(), &reader, &options, &mut progress)
            .await
            .map_err(slots::refused)?;
        drop(bar);
        let found = rebuild::compare(tables.as_ref(), &reader, Slot::Shadow).await;
        let found = found.map_err(slots::refused)?;
        differing += usize::from(!found.equal);
        if !found.equal && repair.is_some() {
            rebuild::swap(tables.as_ref(), &reader).await.map_err(slots::refused)?;
            repaired += 1;
        } else if found.equal {
            tables.discard(Slot::Shadow).await.map_err(source::unreachable_port)?;
        }
        compared.push(found);
    }
    if args.json {
        print_json(&json!({"models": compared, "repaired": repaired}))?;
    } else {
        for found in &compared {
            print!("{}", slots::render(found));
        }
        say(differing, repaired);
    }
    Ok(verdict(differing > 0, repaired == differing))
}

async fn psp(args: PspArgs) -> Result<Verdict, CliError> {
    let PspArgs { common, books } = args;
    let repair = common.repair.repair()?;
    let config = config::load(&common.settings.flags())?;
    let source = source::open(&config).await?;
    let file = File::open(&books)
        .map_err(|error| CliError::usage(format!("{}: {error}", books.display())))?;
    let entries = replay::read_books(BufReader::new(file)).map_err(refused)?;
    let bar = Bar::new();
    let mut progress = |position, end| bar.at(position, end);
    let found = replay::check_books(source.events.as_ref(), &entries, &mut progress).await;
    drop(bar);
    let found = found.map_err(source::unreachable_port)?;
    let mut told = 0;
    if let Some(repair) = &repair {
        let (config, urls) = cluster(&common.settings, "commands go through the command log")?;
        let log = command_log(&config, &urls)?;
        for difference in &found.differences {
            told += usize::from(tell(log.as_ref(), difference, repair).await?);
        }
    }
    if common.json {
        print_json(&json!({"books": found, "told": told}))?;
    } else {
        print!("{}", replay::render_books(&found));
        if repair.is_some() {
            println!("{told} written down: `onair replay timeline ORDER` shows what comes of each");
        }
    }
    Ok(verdict(!found.differences.is_empty(), told == found.differences.len()))
}

/// Writes down what the provider's books say; tells whether there was something to write.
async fn tell(
    log: &dyn CommandLog,
    difference: &BookDifference,
    repair: &Repair,
) -> Result<bool, CliError> {
    let (Settlement::Tell(result), Some((seller, key))) =
        (&difference.settlement, &difference.home)
    else {
        return Ok(false);
    };
    let (order_id, attempt) = (difference.order_id, difference.attempt);
    let parts =
        [order_id.0.as_bytes().as_slice(), &attempt.to_be_bytes(), repair.ticket.as_bytes()];
    let record = CommandRecord {
        // the same repair twice is one command
        command_id: CommandId(derive_id("reconcile_psp", &parts)),
        seller: seller.clone(),
        key: *key,
        correlation: CorrelationId(order_id.0),
        causation: None,
        traceparent: None,
        actor: repair.actor(),
        issued_at: SystemClock.now(),
        command: Command::Order {
            command: OrderCommand::TellPayment { order_id, attempt, result: result.clone() },
        },
    };
    match log.append(&record).await {
        Ok(_) => Ok(true),
        Err(AppendError::Refused(why) | AppendError::Unknown(why)) => {
            Err(CliError::unreachable("the command log", why))
        }
    }
}

fn refused(error: BooksError) -> CliError {
    match error {
        BooksError::Store(error) => source::unreachable_port(error),
        error => CliError::usage(error),
    }
}
