//! `onair replay watch`.

use std::time::Duration;

use commands::clock::SystemClock;
use domain::ports::Clock;
use projections::read_model;
use projections::replay::{LOOK_HEADING, Watch, render_look};

use super::{print_json, source};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config;

/// Lines between two headings.
const HEADING_EVERY: u64 = 20;

/// Look at a running installation again and again
///
/// Lags, holds, failures of the second stock check, gaps and what no seal covers, one line per
/// look. Exits with 1 where a gap or a failure of the check was seen.
#[derive(Debug, clap::Args)]
pub(super) struct WatchArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
    /// Looks before it ends; it goes on until it is interrupted by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print one JSON object per look
    #[arg(long)]
    json: bool,
}

pub(super) async fn watch(args: WatchArgs) -> Result<Verdict, CliError> {
    let config = config::load(&args.settings.flags())?;
    let source = source::open(&config).await?;
    if source.is_file {
        return Err(CliError::usage("an exported file does not move: name a store"));
    }
    let models = read_model::open(&config.database).await.map_err(source::unreachable_port)?;
    let logs = (source.events.as_ref(), source.rows.as_ref());
    let watch = Watch::begin(logs, (models.orders.as_ref(), models.board.as_ref())).await;
    let mut watch = watch.map_err(source::unreachable_port)?;
    let mut looks = 0;
    loop {
        let look = watch.look().await.map_err(source::unreachable_port)?;
        if args.json {
            print_json(&look)?;
        } else {
            if looks % HEADING_EVERY == 0 {
                println!("{LOOK_HEADING}");
            }
            println!("{}", render_look(&look));
        }
        looks += 1;
        let wrong = look.gaps > 0 || look.guard_failures > 0;
        let pause = SystemClock.sleep(Duration::from_secs(args.every));
        let ended = args.count.is_some_and(|count| looks >= count)
            || tokio::select! {
                _ = tokio::signal::ctrl_c() => true,
                () = pause => false,
            };
        if ended {
            return Ok(if wrong { Verdict::Bad } else { Verdict::Good });
        }
    }
}
