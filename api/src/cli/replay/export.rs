//! `onair replay export`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use projections::replay::export::{self, ExportError, Exported, Format};
use serde::Serialize;

use super::progress::Bar;
use super::{print_json, source};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config;

/// Ends the name of a compressed file.
const COMPRESSED: &str = "zst";

/// Write the whole log to a file, one line for each event
///
/// The file holds every column byte for byte: `import` gives the same positions and hashes, and
/// every replay command reads it. It is compressed where its name ends in .zst.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// The file, which must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How a line is written: ndjson, cloudevents or csv
    #[arg(long, default_value = "ndjson", value_name = "FORMAT")]
    format: Format,
    /// Print what was written as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    file: &'a str,
    format: &'static str,
    compressed: bool,
    #[serde(flatten)]
    exported: Exported,
}

pub(super) async fn export(args: ExportArgs) -> Result<Verdict, CliError> {
    let config = config::load(&args.settings.flags())?;
    let source = source::open(&config).await?;
    let compressed = args.file.extension().is_some_and(|name| name == COMPRESSED);
    let file = File::create_new(&args.file)
        .map_err(|error| CliError::usage(format!("{}: {error}", args.file.display())))?;
    let mut out = BufWriter::new(file);
    let bar = Bar::new();
    let mut progress = |position, end| bar.at(position, end);
    let written =
        export::export(source.rows.as_ref(), &mut out, (args.format, compressed), &mut progress)
            .await
            .and_then(|exported| {
                out.flush()?;
                out.get_ref().sync_all()?;
                Ok(exported)
            });
    drop(bar);
    let exported = written.map_err(|error| {
        // half an export is none
        let _ = std::fs::remove_file(&args.file);
        refused(error)
    })?;
    let file = args.file.display().to_string();
    if args.json {
        print_json(&Answer { file: &file, format: args.format.as_str(), compressed, exported })?;
    } else {
        let Exported { events, first_position, last_position } = exported;
        let format = args.format;
        println!("{events} events, positions {first_position} to {last_position}, as {format}");
        println!("written to {file}");
    }
    Ok(Verdict::Good)
}

fn refused(error: ExportError) -> CliError {
    match error {
        ExportError::Store(error) => source::unreachable_port(error),
        ExportError::File(error) => CliError::unreachable("the file cannot be written", error),
        error @ ExportError::Line { .. } => CliError::usage(error),
    }
}
