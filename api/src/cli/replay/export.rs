//! `onair replay export`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use domain::ids::BroadcastId;
use domain::ports::RowReader;
use projections::replay::export::{self, ExportError, Exported, Format, Pseudonymized};
use projections::replay::{self, Evidence, EvidenceError, EvidenceSource, Progress, VerifyOptions};
use serde::Serialize;

use super::progress::Bar;
use super::source::Source;
use super::{orders, print_json, seals, source};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config;

/// Ends the name of a compressed file.
const COMPRESSED: &str = "zst";

/// Write the whole log to a file, one line for each event
///
/// The file holds every column byte for byte: `import` gives the same positions and hashes, and
/// every replay command reads it. It is compressed where its name ends in .zst. What names a person
/// is sealed in it; its keys go to FILE.keys, without which it stays sealed.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// The file, or the folder of the evidence, which must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Instead of the log: a folder of evidence of this broadcast, signed by the key that seals
    #[arg(long, value_name = "BROADCAST", conflicts_with = "format")]
    evidence: Option<BroadcastId>,
    /// Leave out what names a person; pseudonyms stay. The hashes are others then, and no seal fits
    #[arg(long, conflicts_with = "evidence")]
    pseudonymize: bool,
    /// The file of the key that seals; `ONAIR_SEAL_KEY` holds the key itself
    #[arg(long, value_name = "FILE", requires = "evidence")]
    key_file: Option<PathBuf>,
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
    personal_keys: u64,
    #[serde(flatten)]
    exported: Exported,
}

pub(super) async fn export(args: ExportArgs) -> Result<Verdict, CliError> {
    let config = config::load(&args.settings.flags())?;
    let source = source::open(&config).await?;
    if let Some(broadcast) = args.evidence {
        return evidence(&args, &source, broadcast).await;
    }
    let compressed = args.file.extension().is_some_and(|name| name == COMPRESSED);
    let file = File::create_new(&args.file)
        .map_err(|error| CliError::usage(format!("{}: {error}", args.file.display())))?;
    let mut out = BufWriter::new(file);
    let pseudonymized = Pseudonymized(source.rows.as_ref());
    let rows: &dyn RowReader =
        if args.pseudonymize { &pseudonymized } else { source.rows.as_ref() };
    let bar = Bar::new();
    let mut progress = |position, end| bar.at(position, end);
    let written = export::export(rows, &mut out, (args.format, compressed), &mut progress)
        .await
        .and_then(|exported| {
            out.flush()?;
            out.get_ref().sync_all()?;
            Ok(exported)
        });
    drop(bar);
    let keys = match &written {
        Ok(exported) if !args.pseudonymize => {
            export::export_keys(source.keys.as_ref(), &args.file, exported.last_position).await
        }
        _ => Ok(0),
    };
    let written = keys.and_then(|keys| Ok((written?, keys)));
    let (exported, personal_keys) = written.map_err(|error| {
        // half an export is none
        let _ = std::fs::remove_file(&args.file);
        refused(error)
    })?;
    let file = args.file.display().to_string();
    if args.json {
        let format = args.format.as_str();
        print_json(&Answer { file: &file, format, compressed, personal_keys, exported })?;
    } else {
        let Exported { events, first_position, last_position } = exported;
        let format = args.format;
        println!("{events} events, positions {first_position} to {last_position}, as {format}");
        println!("written to {file}");
        if personal_keys > 0 {
            println!(
                "{personal_keys} keys of what names a person, in {file}.keys: keep them apart"
            );
        }
    }
    Ok(Verdict::Good)
}

/// Writes one folder: what the log says of a broadcast, and how to check it.
async fn evidence(
    args: &ExportArgs,
    source: &Source,
    broadcast: BroadcastId,
) -> Result<Verdict, CliError> {
    let key = args.key_file.as_deref();
    let signer = config::seal_signer(key).map_err(CliError::usage)?;
    let bar = Bar::new();
    let options = VerifyOptions { rows: Some(source.rows.as_ref()), ..VerifyOptions::default() };
    let mut verified = |progress: Progress| bar.at(progress.position, progress.end);
    let report = replay::verify(source.events.as_ref(), options, &mut verified).await;
    let report = report.map_err(source::unreachable_port)?;
    let from = EvidenceSource {
        events: source.events.as_ref(),
        rows: source.rows.as_ref(),
        report: &report,
        promise: &commands::intake::receipt_leaf,
        signer: &signer,
    };
    let mut progress = |position, end| bar.at(position, end);
    let written = replay::write_evidence(&from, broadcast, &args.file, &mut progress).await;
    drop(bar);
    let folder = args.file.display().to_string();
    let written = written.map_err(|error| match error {
        EvidenceError::Ask(error) => orders::refused(error),
        EvidenceError::Witness(error) => seals::refused(error),
        EvidenceError::File(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            CliError::usage(format!("{folder}: {error}"))
        }
        EvidenceError::File(error) => CliError::unreachable("the folder cannot be written", error),
    })?;
    let public_key = hex::encode(signer.public_key());
    if args.json {
        let answer = EvidenceAnswer { folder: &folder, public_key: &public_key, written };
        print_json(&answer)?;
    } else {
        let Evidence { events, unproven, orders, .. } = written;
        println!(
            "{events} events and {orders} orders of broadcast {broadcast}, {unproven} unproven"
        );
        println!("written to {folder}, signed by {public_key}");
    }
    Ok(super::verdict(&report))
}

#[derive(Serialize)]
struct EvidenceAnswer<'a> {
    folder: &'a str,
    public_key: &'a str,
    #[serde(flatten)]
    written: Evidence,
}

fn refused(error: ExportError) -> CliError {
    match error {
        ExportError::Store(error) => source::unreachable_port(error),
        ExportError::File(error) => CliError::unreachable("the file cannot be written", error),
        error @ ExportError::Line { .. } => CliError::usage(error),
    }
}
