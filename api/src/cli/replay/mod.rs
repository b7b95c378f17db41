//! `onair replay`: audits, and what is built again from the log.

mod export;
mod fairness;
mod import;
mod moments;
mod orders;
mod parked;
mod progress;
mod pseudonym;
mod rebuild;
mod receipt;
mod reconcile;
mod repair;
mod seals;
mod shred;
mod slots;
mod source;
mod upcasters;
mod verify;
mod watch;
mod whatif;

use clap::Subcommand;
use projections::rebuild::Model;
use serde::Serialize;

use super::{CliError, Verdict};

pub(super) use source::open_reader;
pub(super) use verify::verdict;

/// Audit the log: read-only, on any store
///
/// `--database` names a store (`sqlite://FILE` or `postgres://…`) or a file that `replay export`
/// wrote: its path, or `export://PATH`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    Verify(verify::VerifyArgs),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    Timeline(orders::TimelineArgs),
    Trace(orders::TraceArgs),
    Why(orders::WhyArgs),
    At(moments::AtArgs),
    Diff(moments::DiffArgs),
    Bisect(moments::BisectArgs),
    Seal(seals::SealArgs),
    Prove(seals::ProveArgs),
    Witness(seals::WitnessArgs),
    Receipt(receipt::ReceiptArgs),
    Parked(parked::ParkedArgs),
    /// Build again what is derived from the log
    Rebuild {
        #[command(subcommand)]
        name: Rebuild,
    },
    Reconcile(reconcile::ReconcileArgs),
    Fairness(fairness::FairnessArgs),
    Whatif(whatif::WhatIfArgs),
    Upcasters(upcasters::UpcastersArgs),
    Watch(watch::WatchArgs),
    Compare(slots::CompareArgs),
    Swap(slots::SwapArgs),
    Rollback(slots::RollbackArgs),
    Shred(shred::ShredArgs),
}

#[derive(Debug, Subcommand)]
enum Rebuild {
    Stock(rebuild::StockArgs),
    #[command(name = "viewer_feed")]
    ViewerFeed(rebuild::FeedArgs),
    #[command(name = "order_book")]
    OrderBook(slots::RebuildArgs),
    #[command(name = "sales_board")]
    SalesBoard(slots::RebuildArgs),
    #[command(name = "unmet_demand")]
    UnmetDemand(slots::RebuildArgs),
    Waitlist(slots::RebuildArgs),
}

pub(super) async fn run(args: Args) -> Result<Verdict, CliError> {
    match args.tool {
        Tool::Verify(args) => verify::verify(args).await,
        Tool::Export(args) => export::export(args).await,
        Tool::Import(args) => import::import(args).await,
        Tool::Timeline(args) => orders::timeline(args).await,
        Tool::Trace(args) => orders::trace(args).await,
        Tool::Why(args) => orders::why(args).await,
        Tool::At(args) => moments::at(args).await,
        Tool::Diff(args) => moments::diff(args).await,
        Tool::Bisect(args) => moments::bisect(args).await,
        Tool::Seal(args) => seals::seal(args).await,
        Tool::Prove(args) => seals::prove(args).await,
        Tool::Witness(args) => seals::witness(args).await,
        Tool::Receipt(args) => receipt::receipt(args).await,
        Tool::Parked(args) => parked::parked(args).await,
        Tool::Rebuild { name: Rebuild::Stock(args) } => rebuild::rebuild_stock(args).await,
        Tool::Rebuild { name: Rebuild::ViewerFeed(args) } => rebuild::rebuild_feed(args).await,
        Tool::Rebuild { name: Rebuild::OrderBook(args) } => {
            slots::rebuild(args, Model::OrderBook).await
        }
        Tool::Rebuild { name: Rebuild::SalesBoard(args) } => {
            slots::rebuild(args, Model::SalesBoard).await
        }
        Tool::Rebuild { name: Rebuild::UnmetDemand(args) } => {
            slots::rebuild(args, Model::UnmetDemand).await
        }
        Tool::Rebuild { name: Rebuild::Waitlist(args) } => {
            slots::rebuild(args, Model::Waitlist).await
        }
        Tool::Reconcile(args) => reconcile::reconcile(args).await,
        Tool::Whatif(args) => whatif::whatif(args).await,
        Tool::Fairness(args) => fairness::fairness(args).await,
        Tool::Upcasters(args) => upcasters::upcasters(args).await,
        Tool::Watch(args) => watch::watch(args).await,
        Tool::Compare(args) => slots::compare(args).await,
        Tool::Swap(args) => slots::swap(args).await,
        Tool::Rollback(args) => slots::rollback(args).await,
        Tool::Shred(args) => shred::shred(args).await,
    }
}

/// Prints an answer as one JSON object.
fn print_json(answer: &impl Serialize) -> Result<(), CliError> {
    println!("{}", serde_json::to_string(answer).map_err(CliError::usage)?);
    Ok(())
}
