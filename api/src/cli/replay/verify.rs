//! `onair replay verify`.

use std::path::PathBuf;

use commands::clock::SystemClock;
use domain::envelope::Position;
use domain::ports::{Clock, StockGate};
use projections::read_model::{self, ReadModels};
use projections::rebuild::EVENTS_PER_SECOND_MAX;
use projections::replay::{self, Checkpoint, Progress, VerifyOptions};
use projections::stock_counter::RedisGate;

use super::progress::Bar;
use super::seals;
use super::source::{self, Opened, Source, nodes};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config;

/// Check every invariant at every position
///
/// Exits with 1 at a break, which is named. The stock gate is compared too where `--redis` names it.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
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
    /// Pages that are read and decoded at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::slots::jobs)]
    jobs: usize,
    /// Seals that somebody else kept: a file of `replay witness export`, or a folder of such files
    #[arg(long, value_name = "PATH")]
    witness: Option<PathBuf>,
    /// Keep in this file how far it is, and go on from there where it was interrupted
    ///
    /// The file is removed at the end. Seals are compared after all else, from the first one on:
    /// what was changed before the checkpoint meanwhile is found where the log is sealed.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// At most so many events per second
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u32).range(1..=i64::from(EVENTS_PER_SECOND_MAX)))]
    rate: Option<u32>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn verify(args: VerifyArgs) -> Result<Verdict, CliError> {
    if args.to.is_some_and(|to| to < args.from) {
        return Err(CliError::usage("--to is before --from: nothing would be checked"));
    }
    let config = config::load(&args.settings.flags())?;
    let source = match source::open_any(&config).await? {
        Opened::Source(source) => source,
        Opened::Damaged { position, detail } => {
            let report = replay::Report::of_break("I5", Position(position), detail);
            print_report(&report, args.json)?;
            return Ok(verdict(&report));
        }
    };
    let models = if source.is_file {
        None
    } else {
        let opened = read_model::open(&config.database).await;
        Some(opened.map_err(source::unreachable_port)?)
    };
    let gate = match &config.redis {
        Some(redis) if !source.is_file => {
            let connected = RedisGate::connect(&nodes(redis)).await;
            let lost = |error| CliError::unreachable("the stock gate cannot be reached", error);
            Some(connected.map_err(lost)?)
        }
        _ => None,
    };
    let report = check(&args, &source, gate.as_ref(), models.as_ref()).await?;
    print_report(&report, args.json)?;
    Ok(verdict(&report))
}

async fn check(
    args: &VerifyArgs,
    source: &Source,
    gate: Option<&RedisGate>,
    models: Option<&ReadModels>,
) -> Result<replay::Report, CliError> {
    let witness = args.witness.as_deref().map(replay::read_witness).transpose();
    let witness = witness.map_err(seals::refused)?;
    let checkpoint = args.checkpoint.as_deref().map(|path| {
        let asked = (args.from, args.to, args.settled, gate.is_some(), models.is_some());
        Checkpoint::new(path, &format!("{asked:?}"))
    });
    let options = VerifyOptions {
        after: Position(args.from.saturating_sub(1)),
        up_to: args.to.map(Position),
        settled: args.settled,
        page: None,
        ahead: Some((&source.events, args.jobs)),
        gate: gate.map(|gate| -> &dyn StockGate { gate }),
        orders: models.map(|models| models.orders.as_ref()),
        board: models.map(|models| models.board.as_ref()),
        rows: Some(source.rows.as_ref()),
        chain: true,
        witness: witness.as_ref(),
        checkpoint: checkpoint.as_ref(),
        rate: args.rate.map(|rate| -> (u32, &dyn Clock) { (rate, &SystemClock) }),
    };
    let bar = Bar::new();
    let mut progress = |progress: Progress| bar.at(progress.position, progress.end);
    replay::verify(source.events.as_ref(), options, &mut progress)
        .await
        .map_err(source::unreachable_port)
}

/// The verdict of a report, as an exit code says it.
pub(in crate::cli) fn verdict(report: &replay::Report) -> Verdict {
    match report.verdict {
        replay::Verdict::Good => Verdict::Good,
        replay::Verdict::Bad => Verdict::Bad,
    }
}

/// Prints a report.
pub(in crate::cli) fn print_report(report: &replay::Report, as_json: bool) -> Result<(), CliError> {
    if as_json {
        return super::print_json(report);
    }
    print!("{}", replay::render_human(report));
    Ok(())
}
