//! `onair replay upcasters lint`.

use projections::replay::{lint, render_linted};

use super::progress::Bar;
use super::{print_json, source};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config;

/// What this code makes of what older code has written
#[derive(Debug, clap::Args)]
pub(super) struct UpcastersArgs {
    #[command(subcommand)]
    tool: UpcastersTool,
}

#[derive(Debug, clap::Subcommand)]
enum UpcastersTool {
    /// Decode every stored event under the current code
    ///
    /// Lists each type and version. Exits with 1 where a row does not decode.
    Lint(LintArgs),
}

#[derive(Debug, clap::Args)]
struct LintArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn upcasters(args: UpcastersArgs) -> Result<Verdict, CliError> {
    let UpcastersTool::Lint(args) = args.tool;
    let source = source::open(&config::load(&args.settings.flags())?).await?;
    let bar = Bar::new();
    let mut progress = |position, end| bar.at(position, end);
    let found = lint(source.rows.as_ref(), &mut progress).await;
    drop(bar);
    let found = found.map_err(source::unreachable_port)?;
    if args.json {
        print_json(&found)?;
    } else {
        print!("{}", render_linted(&found));
    }
    Ok(if found.good { Verdict::Good } else { Verdict::Bad })
}
