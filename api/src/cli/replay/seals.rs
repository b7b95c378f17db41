//! `onair replay seal`, `prove` and `witness`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use commands::clock::SystemClock;
use commands::store::{self, OpenError, SealLogError, StoreOptions};
use projections::replay::{
    self, AskError, EventRef, ProofError, WitnessError, prove_consistency, prove_event,
};
use serde_json::json;

use super::progress::Bar;
use super::{orders, print_json, source};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config;

/// Seal what of the log is not sealed yet
///
/// Every 1,024 positions get a Merkle root over their stored bytes, a hash chain and a signed
/// checkpoint. The key is a seed of 32 bytes in hexadecimal, such as `openssl rand -hex 32` makes:
/// keep it away from the database. Another key may go on at any time; all public keys are kept.
#[derive(Debug, clap::Args)]
pub(super) struct SealArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// The file of the key; `ONAIR_SEAL_KEY` holds the key itself
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn seal(args: SealArgs) -> Result<Verdict, CliError> {
    let config = config::load(&args.settings.flags())?;
    if source::export_path(&config.database).is_some() {
        return Err(CliError::usage("an exported file cannot be sealed: name a store"));
    }
    let signer = config::seal_signer(args.key_file.as_deref()).map_err(CliError::usage)?;
    source::refuse_read_only(&config).await?;
    let options = StoreOptions {
        readers: config.postgres.connections,
        ..StoreOptions::new(Arc::new(SystemClock))
    };
    let bar = Bar::new();
    let mut progress = |position, end| bar.at(position, end);
    let sealed = store::seal_log(&config.database, &options, &signer, &mut progress).await;
    drop(bar);
    let sealed = sealed.map_err(|error| match error {
        SealLogError::Open(OpenError::Scheme(_) | OpenError::Owned { .. })
        | SealLogError::Gap(_) => CliError::usage(error),
        SealLogError::Store(error) => source::unreachable_port(error),
        error => CliError::unreachable("the log cannot be sealed", error),
    })?;
    let public_key = hex::encode(signer.public_key());
    if args.json {
        print_json(&json!({
            "blocks": sealed.blocks, "seals": sealed.seals, "last_position": sealed.last,
            "public_key": public_key,
        }))?;
    } else {
        println!(
            "{} blocks sealed, {} in all, up to position {}",
            sealed.blocks, sealed.seals, sealed.last
        );
        println!("public key {public_key}");
    }
    Ok(Verdict::Good)
}

/// Prove that an event was sealed as it is, or that the log only grew
///
/// Whoever has the public key can check the proof: `examples/verify.py`. Exits with 1 where there is
/// no proof.
#[derive(Debug, clap::Args)]
pub(super) struct ProveArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// An event, by position or id
    #[arg(
        value_name = "EVENT",
        required_unless_present = "consistency",
        conflicts_with = "consistency"
    )]
    event: Option<EventRef>,
    /// Two seals, by number: the second continues the first
    #[arg(long, num_args = 2, value_names = ["A", "B"])]
    consistency: Option<Vec<u64>>,
    /// Print the proof as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn prove(args: ProveArgs) -> Result<Verdict, CliError> {
    let source = source::open(&config::load(&args.settings.flags())?).await?;
    let rows = source.rows.as_ref();
    if let Some([first, second]) = args.consistency.as_deref() {
        return match prove_consistency(rows, (*first, *second)).await {
            Ok(proof) if args.json => print_json(&proof).map(|()| Verdict::Good),
            Ok(proof) => {
                println!("seal {second} continues seal {first}: {} hashes", proof.path.len());
                Ok(Verdict::Good)
            }
            Err(error) => unproven(error),
        };
    }
    let Some(event) = args.event else { return Err(CliError::usage("name an event")) };
    match prove_event(rows, event).await {
        Ok(proof) if args.json => print_json(&proof).map(|()| Verdict::Good),
        Ok(proof) => {
            let (position, block, last) = (proof.position, &proof.block, &proof.checkpoint);
            println!("position {position} is in seal {}, signed by {}", block.number, block.key_id);
            println!("seal {} is in the tree of seal {}", block.number, last.number);
            println!("row hash {}", proof.row_hash);
            Ok(Verdict::Good)
        }
        Err(error) => unproven(error),
    }
}

fn unproven(error: ProofError) -> Result<Verdict, CliError> {
    match error {
        ProofError::Ask(error @ AskError::Unknown(_)) => Err(CliError::usage(error)),
        ProofError::Ask(error) => Err(orders::refused(error)),
        error => {
            eprintln!("onair: {error}");
            Ok(Verdict::Bad)
        }
    }
}

/// Keep the seals where the database's owner cannot change them
#[derive(Debug, clap::Args)]
pub(super) struct WitnessArgs {
    #[command(subcommand)]
    tool: WitnessTool,
}

#[derive(Debug, clap::Subcommand)]
enum WitnessTool {
    /// Write every seal and the published keys to a file
    ///
    /// `verify --witness` compares the log with it.
    Export(WitnessExportArgs),
}

#[derive(Debug, clap::Args)]
struct WitnessExportArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// The file, which must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn witness(args: WitnessArgs) -> Result<Verdict, CliError> {
    let WitnessTool::Export(args) = args.tool;
    let source = source::open(&config::load(&args.settings.flags())?).await?;
    let path = args.file.display().to_string();
    let file = File::create_new(&args.file)
        .map_err(|error| CliError::usage(format!("{path}: {error}")))?;
    let mut out = BufWriter::new(file);
    let written = replay::write_witness(source.rows.as_ref(), &mut out).await.and_then(|seals| {
        out.flush()?;
        out.get_ref().sync_all()?;
        Ok(seals)
    });
    match written {
        Ok(seals) if args.json => print_json(&json!({"file": path, "seals": seals}))?,
        Ok(seals) => println!("{seals} seals written to {path}"),
        Err(error) => {
            // half a witness is none
            let _ = std::fs::remove_file(&args.file);
            return Err(refused(error));
        }
    }
    Ok(Verdict::Good)
}

/// A witness cannot be written or read.
pub(super) fn refused(error: WitnessError) -> CliError {
    match error {
        WitnessError::Store(error) => source::unreachable_port(error),
        WitnessError::File(error) => CliError::unreachable("the witness", error),
        error => CliError::usage(error),
    }
}
