//! `onair replay fairness`.

use domain::ids::SpotlightId;
use projections::replay::{self, render_fairness};

use super::progress::Bar;
use super::{print_json, source};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config;

/// Compare the order of admission with the order of arrival
///
/// Per spotlight: who was admitted before somebody that had arrived earlier, and by how much; per
/// node: how long a request took to its admission.
#[derive(Debug, clap::Args)]
pub(super) struct FairnessArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// Only this spotlight
    #[arg(long, value_name = "SPOTLIGHT")]
    spotlight: Option<SpotlightId>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn fairness(args: FairnessArgs) -> Result<Verdict, CliError> {
    let source = source::open(&config::load(&args.settings.flags())?).await?;
    let bar = Bar::new();
    let mut progress = |position, end| bar.at(position, end);
    let report = replay::fairness(source.events.as_ref(), args.spotlight, &mut progress).await;
    drop(bar);
    let report = report.map_err(source::unreachable_port)?;
    if args.spotlight.is_some() && report.admissions == 0 {
        return Err(CliError::usage("the log has no order of that spotlight"));
    }
    if args.json {
        print_json(&report)?;
    } else {
        print!("{}", render_fairness(&report));
    }
    Ok(Verdict::Good)
}
