//! `onair replay receipt check`.

use std::path::PathBuf;

use commands::intake::{Receipt, ReceiptSigner, verify_receipt};
use domain::fingerprint::keyed_hash;
use domain::ids::OrderId;
use projections::replay::{AskError, accepted_order};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{orders, print_json, source};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config::{self, Config, Secrets};

/// Check the promise that an order was accepted
#[derive(Debug, clap::Args)]
pub(super) struct ReceiptArgs {
    #[command(subcommand)]
    tool: ReceiptTool,
}

#[derive(Debug, clap::Subcommand)]
enum ReceiptTool {
    /// Check the signature of a receipt, and that its order is in the log
    ///
    /// Exits with 1 where the receipt is not believed, or the log does not keep it. With --key
    /// alone nothing but the file is read.
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// A receipt, or an order with its receipt, as the API gave it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The public key in hexadecimal; that of this installation's secret by default
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn read(file: &PathBuf) -> Result<Receipt, CliError> {
    let wrong = |error: String| CliError::usage(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let mut value: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if let Some(receipt) = value.get_mut("receipt") {
        value = receipt.take();
    }
    serde_json::from_value(value).map_err(|error| wrong(format!("is no receipt: {error}")))
}

fn public_key(args: &CheckArgs, config: &Config) -> Result<[u8; 32], CliError> {
    if let Some(key) = &args.key {
        let key = hex::decode(key).ok().and_then(|bytes| bytes.try_into().ok());
        return key.ok_or_else(|| CliError::usage("--key is no public key in hexadecimal"));
    }
    let secrets = Secrets::load(config, &config.backend()?)?;
    let seed = keyed_hash(secrets.installation.expose_secret(), b"onair receipt key v1");
    Ok(ReceiptSigner::from_seed(&seed).public_key())
}

/// What a leaf promises; a command that was sent twice stands in two places of the command log.
fn promise_of(leaf: &str) -> Option<Value> {
    let mut leaf: Value = serde_json::from_str(leaf).ok()?;
    leaf.as_object_mut()?.remove("source");
    Some(leaf)
}

pub(super) async fn receipt(args: ReceiptArgs) -> Result<Verdict, CliError> {
    let ReceiptTool::Check(args) = args.tool;
    let receipt = read(&args.file)?;
    let config = config::load(&args.settings.flags())?;
    let key = public_key(&args, &config)?;
    let mut wrong = verify_receipt(&receipt, &key).err().map(|error| error.to_string());
    let leaf: Value = serde_json::from_str(&receipt.leaf).unwrap_or_default();
    let order = leaf.get("order_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let asks_log = args.key.is_none() || args.settings.database.is_some();
    let mut position = None;
    if wrong.is_none() && asks_log {
        let order: OrderId =
            order.parse().map_err(|_| CliError::usage("the receipt names no order"))?;
        let source = source::open(&config).await?;
        match accepted_order(source.events.as_ref(), order).await {
            Ok((at, accepted, logged)) => {
                position = Some(at);
                let expected = commands::intake::receipt_leaf(&accepted, &logged);
                wrong = (promise_of(&expected) != promise_of(&receipt.leaf))
                    .then(|| "the log holds another order than was promised".to_owned());
            }
            Err(AskError::Unknown(what)) => wrong = Some(format!("the log has no {what}")),
            Err(error) => return Err(orders::refused(error)),
        }
    }
    if args.json {
        print_json(&json!({
            "good": wrong.is_none(), "order_id": order, "key_id": receipt.key_id,
            "position": position, "detail": wrong,
        }))?;
    } else {
        match (&wrong, position) {
            (Some(wrong), _) => println!("BAD: {wrong}"),
            (None, Some(at)) => println!("GOOD: order {order} is at position {at} as promised"),
            (None, None) => println!("GOOD: order {order} was promised by key {}", receipt.key_id),
        }
    }
    Ok(if wrong.is_some() { Verdict::Bad } else { Verdict::Good })
}
