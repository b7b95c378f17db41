//! `onair replay whatif`.

use domain::ids::SpotlightId;
use projections::replay::{Rules, Setting, render_what_if, what_if};

use super::progress::Bar;
use super::{print_json, source};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config;

/// Play the real history through changed rules
///
/// Every accepted order asks again: what would have been sold, when nothing had been left, whose
/// order would have ended otherwise. What the answer takes for granted is printed with it.
#[derive(Debug, clap::Args)]
pub(super) struct WhatIfArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// A rule: `limit:SKU=UNITS`, `hold_seconds=N` or `per_viewer_limit=N` (0 for none); may be
    /// repeated
    #[arg(long = "set", value_name = "RULE")]
    set: Vec<Setting>,
    /// Draw what the provider answers by this seed: 90 of 100 payments are approved
    #[arg(long, value_name = "N")]
    payment_seed: Option<u64>,
    /// Only this spotlight
    #[arg(long, value_name = "SPOTLIGHT")]
    spotlight: Option<SpotlightId>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn whatif(args: WhatIfArgs) -> Result<Verdict, CliError> {
    let source = source::open(&config::load(&args.settings.flags())?).await?;
    let rules = Rules::of(&args.set, args.payment_seed);
    let bar = Bar::new();
    let mut progress = |position, end| bar.at(position, end);
    let answer = what_if(source.events.as_ref(), rules, args.spotlight, &mut progress).await;
    drop(bar);
    let answer = answer.map_err(source::unreachable_port)?;
    if answer.orders == 0 && args.spotlight.is_some() {
        return Err(CliError::usage("the log has no order of that spotlight"));
    }
    if args.json {
        print_json(&answer)?;
    } else {
        print!("{}", render_what_if(&answer));
    }
    Ok(Verdict::Good)
}
