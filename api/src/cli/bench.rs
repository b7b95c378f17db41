//! Benchmarks.

use std::path::PathBuf;
use std::time::Duration;

use super::{CliError, SettingArgs, Verdict};
use crate::bench::{
    self, BenchError, CONNECTIONS_DEFAULT, ORDERS_DEFAULT, Options, REFERENCES_DEFAULT,
    ROUNDS_DEFAULT, ReferenceOptions, SECONDS_DEFAULT, Suite, VIEWERS_DEFAULT,
};
use crate::config;

/// Measure onair beside a reference
///
/// Subject and reference take turns in the same run; the medians are printed, with the ratio and
/// the bound that the project has set itself. Exits with 0 whether or not the bound holds. Writer
/// and verify need PostgreSQL, accept and soldout also Redis and Kafka: see `scripts/services`;
/// fanout needs what `scripts/bench-references` installs. Scratch databases, topics and keys are
/// made and removed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to measure
    suite: Suite,
    #[command(flatten)]
    settings: SettingArgs,
    /// Print one JSON object per measure
    #[arg(long)]
    json: bool,
    /// Rounds that count; one more comes before them
    #[arg(long, default_value_t = ROUNDS_DEFAULT, value_parser = at_least_one)]
    rounds: usize,
    /// How long each load of a round lasts (accept, soldout, fanout, screen, idle)
    #[arg(long, value_name = "SECONDS", default_value_t = SECONDS_DEFAULT,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Orders of a round (writer) or of the log (verify, rebuild, export, whatif)
    #[arg(long, default_value_t = ORDERS_DEFAULT, value_parser = at_least_one)]
    orders: usize,
    /// Connections that load comes over (accept, soldout)
    #[arg(long, default_value_t = CONNECTIONS_DEFAULT, value_parser = at_least_one)]
    connections: usize,
    /// Viewers (fanout, screen, idle)
    #[arg(long, default_value_t = VIEWERS_DEFAULT, value_parser = at_least_one)]
    viewers: usize,
    /// Folder with what fanout is measured beside: see `scripts/bench-references`
    #[arg(long, value_name = "FOLDER", default_value = REFERENCES_DEFAULT)]
    references: PathBuf,
    /// Measure the sockets of another onair, to compare two (fanout, screen, idle)
    #[arg(long, value_name = "PROGRAM")]
    subject: Option<PathBuf>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("is not a whole number from 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

pub(super) async fn run(args: Args) -> Result<Verdict, CliError> {
    let config = config::load(&args.settings.flags())?;
    let options = Options {
        database: config.database,
        redis: config.redis,
        kafka: config.kafka.brokers,
        rounds: args.rounds,
        round: Duration::from_secs(args.seconds),
        orders: args.orders,
        connections: args.connections,
        viewers: args.viewers,
        references: args.references,
        subject: args.subject,
    };
    let say = |text: &str| eprintln!("{text}");
    for measure in bench::run(args.suite, &options, &say).await? {
        if args.json {
            println!("{}", measure.json());
        } else {
            print!("{}", measure.lines());
        }
    }
    Ok(Verdict::Good)
}

/// The bare handler that a benchmark compares with
#[derive(Debug, clap::Args)]
pub(super) struct ReferenceArgs {
    #[command(flatten)]
    options: ReferenceOptions,
}

pub(super) async fn serve_reference(args: ReferenceArgs) -> Result<Verdict, CliError> {
    bench::serve_reference(args.options).await?;
    Ok(Verdict::Good)
}

impl From<BenchError> for CliError {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Unreachable { what, source } => Self::unreachable(
                BenchError::Unreachable { what, source: "see below".into() }.to_string(),
                source,
            ),
            other => Self::unreachable(other.to_string(), other),
        }
    }
}
