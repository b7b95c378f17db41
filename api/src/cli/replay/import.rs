//! `onair replay import`.

use std::path::PathBuf;

use commands::store::{self, ImportError, Imported};
use projections::replay::export::ExportFile;
use serde::Serialize;

use super::progress::Bar;
use super::{print_json, source};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config;

/// Fill an empty store from an exported file
///
/// Positions, ids and bytes are those of the file. Read models follow from the log when a server
/// starts; outcomes of host commands and offsets of the command log are not in the file.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// A file that `replay export` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print what was imported as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    events: u64,
    last_position: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    without_ledger: Option<String>,
}

pub(super) async fn import(args: ImportArgs) -> Result<Verdict, CliError> {
    let config = config::load(&args.settings.flags())?;
    if source::export_path(&config.database).is_some() {
        return Err(CliError::usage("--database must name a store: sqlite://FILE or postgres://…"));
    }
    let file = ExportFile::open(&args.file)
        .map_err(|error| CliError::usage(format!("{}: {error}", args.file.display())))?;
    let bar = Bar::new();
    let last = domain::ports::EventReader::head(&file).await.map_err(source::unreachable_port)?;
    let mut progress = |position| bar.at(position, last);
    let imported = store::import(&config.database, &file, Some(&file), &mut progress)
        .await
        .map_err(refused)?;
    drop(bar);
    let Imported { events, last, without_ledger } = imported;
    if args.json {
        print_json(&Answer { events, last_position: last.0, without_ledger })?;
    } else {
        println!("{events} events imported, up to position {last}");
        if let Some(why) = without_ledger {
            println!("the stock ledger was left empty ({why}): audit this store, do not serve it");
        }
    }
    Ok(Verdict::Good)
}

fn refused(error: ImportError) -> CliError {
    match error {
        ImportError::Open(error) => source::refused(error),
        ImportError::NotEmpty(_) => CliError::usage(error),
        ImportError::Source(error) => source::unreachable_port(error),
        error @ ImportError::Refused { .. } => {
            CliError::unreachable("the store cannot be filled", error)
        }
    }
}
