//! `onair replay rebuild NAME`, `compare`, `swap` and `rollback`: read models built aside.

use std::sync::Arc;

use commands::clock::SystemClock;
use domain::envelope::Position;
use domain::ports::EventReader;
use projections::read_model::Slot;
use projections::rebuild::{
    self, BuildOptions, Built, Compared, EVENTS_PER_SECOND_MAX, JOBS_MAX, Model, RebuildError,
    Tables,
};
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::progress::Bar;
use super::{print_json, source};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config;

/// Differences that are spelled out.
const SHOWN_MAX: usize = 10;

/// Build a read model again beside the one that serves, and put it in its place
///
/// A server may run meanwhile. Interrupted, the same command goes on where it was.
#[derive(Debug, clap::Args)]
pub(super) struct RebuildArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// Only build it aside: `compare` and `swap` follow
    #[arg(long)]
    shadow: bool,
    /// Begin anew, whatever an interrupted build has left
    #[arg(long)]
    fresh: bool,
    /// Pages that are read and decoded at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = jobs)]
    jobs: usize,
    /// At most so many events per second
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u32).range(1..=i64::from(EVENTS_PER_SECOND_MAX)))]
    rate: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

// no doc comment: it would become the help of the commands that take it in
#[derive(Debug, clap::Args)]
struct ModelArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// The read model: `order_book`, `sales_board`, `unmet_demand` or `waitlist`
    #[arg(value_name = "NAME")]
    model: Model,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Hold what was built aside against what serves, at one position
///
/// Exits with 1 where they differ.
#[derive(Debug, clap::Args)]
pub(super) struct CompareArgs {
    #[command(flatten)]
    on: ModelArgs,
}

/// Put what was built aside in the place of what serves
///
/// In one transaction, while the server runs. `rollback` takes it back.
#[derive(Debug, clap::Args)]
pub(super) struct SwapArgs {
    #[command(flatten)]
    on: ModelArgs,
}

/// Take the last swap back
///
/// What served before is given what happened since, and serves again.
#[derive(Debug, clap::Args)]
pub(super) struct RollbackArgs {
    #[command(flatten)]
    on: ModelArgs,
}

#[derive(Serialize)]
struct Answer {
    model: &'static str,
    #[serde(flatten)]
    built: Built,
    #[serde(skip_serializing_if = "Option::is_none")]
    swapped_at: Option<Position>,
}

/// A number of jobs.
pub(super) fn jobs(text: &str) -> Result<usize, String> {
    let jobs = text.parse().map_err(|error| format!("{error}"))?;
    if (1..=JOBS_MAX).contains(&jobs) { Ok(jobs) } else { Err(format!("1 to {JOBS_MAX}")) }
}

pub(super) type Opened = (Box<dyn Tables>, Arc<dyn EventReader>);

pub(super) async fn open(settings: &SettingArgs, model: Model) -> Result<Opened, CliError> {
    let config = config::load(&settings.flags())?;
    if source::export_path(&config.database).is_some() {
        return Err(CliError::usage("an exported file has no read models: name a store"));
    }
    let reader = source::open(&config).await?.events;
    let tables = rebuild::open(&config.database, model).await.map_err(source::unreachable_port)?;
    Ok((tables, reader))
}

/// As [`open`], for what writes: a replica is refused before anything is done.
pub(super) async fn open_to_write(
    settings: &SettingArgs,
    model: Model,
) -> Result<Opened, CliError> {
    source::refuse_read_only(&config::load(&settings.flags())?).await?;
    open(settings, model).await
}

pub(super) fn refused(error: RebuildError) -> CliError {
    match error {
        error @ (RebuildError::Missing { .. } | RebuildError::Stopped(_)) => CliError::usage(error),
        RebuildError::Port(error) => source::unreachable_port(error),
        error => CliError::unreachable("the read model cannot be rebuilt", error),
    }
}

pub(super) async fn rebuild(args: RebuildArgs, model: Model) -> Result<Verdict, CliError> {
    let (tables, reader) = open_to_write(&args.settings, model).await?;
    if args.fresh {
        tables.discard(Slot::Shadow).await.map_err(source::unreachable_port)?;
    }
    let options = BuildOptions {
        jobs: args.jobs,
        events_per_second: args.rate,
        stop: stop_on_interrupt(),
        ..BuildOptions::new(Arc::new(SystemClock))
    };
    let bar = Bar::new();
    let mut progress = |position, end| bar.at(position, end);
    let built = rebuild::build(tables.as_ref(), &reader, &options, &mut progress).await;
    drop(bar);
    let built = built.map_err(refused)?;
    let swapped = if args.shadow {
        None
    } else {
        Some(rebuild::swap(tables.as_ref(), &reader).await.map_err(refused)?)
    };
    if args.json {
        let swapped_at = swapped.map(|swapped| swapped.position);
        let answer = Answer { model: model.name(), built, swapped_at };
        print_json(&answer)?;
        return Ok(Verdict::Good);
    }
    let name = model.name();
    println!("{name}: {} events, positions {} to {}", built.events, built.from, built.position);
    match swapped {
        Some(swapped) => println!("{name} serves from it since position {}", swapped.position),
        None => println!("built aside: `onair replay compare {name}`, then `swap {name}`"),
    }
    Ok(Verdict::Good)
}

/// An interrupt ends the build between two steps.
fn stop_on_interrupt() -> CancellationToken {
    let (stop, asked) = (CancellationToken::new(), CancellationToken::new());
    let tasks = tokio_util::task::TaskTracker::new();
    let told = stop.clone();
    tasks.spawn(async move {
        if asked.run_until_cancelled(tokio::signal::ctrl_c()).await.is_some() {
            told.cancel();
        }
    });
    stop
}

pub(super) async fn compare(CompareArgs { on: args }: CompareArgs) -> Result<Verdict, CliError> {
    let (tables, reader) = open(&args.settings, args.model).await?;
    let found = match rebuild::compare(tables.as_ref(), &reader, Slot::Shadow).await {
        Err(error @ RebuildError::Port(_)) => {
            // a slot that is elsewhere cannot be brought to the live one there
            source::refuse_read_only(&config::load(&args.settings.flags())?).await?;
            return Err(refused(error));
        }
        found => found.map_err(refused)?,
    };
    if args.json {
        print_json(&found)?;
    } else {
        print!("{}", render(&found));
    }
    Ok(if found.equal { Verdict::Good } else { Verdict::Bad })
}

pub(super) fn render(found: &Compared) -> String {
    let mut lines = vec![format!("{} at position {}", found.model, found.position)];
    for (side, name) in [(&found.live, "live  "), (&found.other, "shadow")] {
        lines.push(format!("  {name} {} rows, checksum {}", side.rows, side.checksum));
    }
    for difference in found.differences.iter().take(SHOWN_MAX) {
        let kind = match difference.kind {
            rebuild::DifferenceKind::Missing => "only in the shadow",
            rebuild::DifferenceKind::Extra => "only in the live one",
            rebuild::DifferenceKind::Differs => "differs",
        };
        lines.push(format!("  {} {} {kind}", difference.table, difference.id));
    }
    lines.push(match found.differences_total {
        0 => "EQUAL".to_owned(),
        total => format!("DIFFERENT: {total} rows"),
    });
    lines.join("\n") + "\n"
}

pub(super) async fn swap(SwapArgs { on: args }: SwapArgs) -> Result<Verdict, CliError> {
    let (tables, reader) = open_to_write(&args.settings, args.model).await?;
    let done = rebuild::swap(tables.as_ref(), &reader).await.map_err(refused)?;
    if say_position(&args, done.position, "serves from what was built aside since position")? {
        println!("`onair replay rollback {}` takes it back", args.model.name());
    }
    Ok(Verdict::Good)
}

pub(super) async fn rollback(RollbackArgs { on: args }: RollbackArgs) -> Result<Verdict, CliError> {
    let (tables, reader) = open_to_write(&args.settings, args.model).await?;
    let done = rebuild::roll_back(tables.as_ref(), &reader).await.map_err(refused)?;
    say_position(&args, done.position, "serves from what it served before, since position")?;
    Ok(Verdict::Good)
}

/// Says from which position on a read model serves something else; tells whether to people.
fn say_position(args: &ModelArgs, position: Position, says: &str) -> Result<bool, CliError> {
    let name = args.model.name();
    if args.json {
        print_json(&json!({"model": name, "swapped_at": position}))?;
    } else {
        println!("{name} {says} {position}");
    }
    Ok(!args.json)
}
