//! `onair replay parked`: commands that could not be processed.

use std::sync::Arc;

use clap::Subcommand;
use commands::clock::SystemClock;
use commands::store;
use domain::ports::{Clock, ParkedAction, ParkedBook, ParkedCommand, ParkedVerb, PortError};
use uuid::Uuid;

use super::{print_json, source};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config;
use crate::parked::{PARKED_MAX, ParkedBody, ParkedList, id_of, is_money, may_retry};

/// Look into commands that could not be processed, have them decided again, or let them go
///
/// What is asked for is done by the server that runs on the store, or by the next one. Without a
/// subcommand they are listed, grouped by what failed.
#[derive(Debug, clap::Args)]
pub(super) struct ParkedArgs {
    #[command(flatten)]
    settings: SettingArgs,
    #[command(subcommand)]
    what: Option<What>,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List them, oldest first
    List,
    /// Show one with its record
    Show {
        /// The parked command
        #[arg(value_name = "ID")]
        id: Uuid,
    },
    /// Have one decided again, with all that waits behind it
    Retry(Action),
    /// Let one go: its order ends now
    Discard(Action),
}

#[derive(Debug, clap::Args)]
struct Action {
    /// The parked command
    #[arg(value_name = "ID")]
    id: Uuid,
    /// Who wants it
    #[arg(long, value_name = "NAME")]
    author: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) async fn parked(args: ParkedArgs) -> Result<Verdict, CliError> {
    let config = config::load(&args.settings.flags())?;
    if source::export_path(&config.database).is_some() {
        return Err(CliError::usage("an exported file has no parked commands: name a store"));
    }
    if matches!(args.what, Some(What::Retry(_) | What::Discard(_))) {
        source::refuse_read_only(&config).await?;
    }
    let book = store::open_parked(&config.database).map_err(CliError::usage)?;
    let known = book.parked(PARKED_MAX).await.map_err(unreachable_book)?;
    let find = |id: Uuid| {
        let found = known.iter().find(|parked| id_of(parked) == id).cloned();
        found.ok_or_else(|| CliError::usage(format!("no parked command {id}")))
    };
    match args.what.unwrap_or(What::List) {
        What::List => list(&known, args.json)?,
        What::Show { id } => show(&find(id)?, args.json)?,
        What::Retry(action) => {
            let parked = find(action.id)?;
            if !may_retry(&parked) {
                return Err(CliError::usage("its record does not parse: discard it"));
            }
            act(&book, parked, ParkedVerb::Retry, action, args.json).await?;
        }
        What::Discard(action) => {
            let parked = find(action.id)?;
            let verb = if is_money(&parked) { ParkedVerb::Keep } else { ParkedVerb::Discard };
            act(&book, parked, verb, action, args.json).await?;
        }
    }
    Ok(Verdict::Good)
}

fn unreachable_book(error: PortError) -> CliError {
    source::unreachable_port(error)
}

fn list(known: &[ParkedCommand], json: bool) -> Result<(), CliError> {
    let list = ParkedList::of(known);
    if json {
        return print_json(&list);
    }
    for group in &list.groups {
        let command = group.command.as_deref().unwrap_or("-");
        println!("{}  {} x {command}: {}", group.fingerprint, group.count, group.error);
    }
    for item in &list.items {
        let command = item.command.as_deref().unwrap_or("-");
        let asked = item.action.as_ref().map_or("", |action| action.verb.as_str());
        println!("{}  {}  {command}  {}  {asked}", item.id, item.parked_at, item.fingerprint);
    }
    println!("{} parked", list.items.len());
    Ok(())
}

fn show(parked: &ParkedCommand, json: bool) -> Result<(), CliError> {
    let body = ParkedBody::of(parked);
    if json {
        return print_json(&body);
    }
    println!("{}", serde_json::to_string_pretty(&body).map_err(CliError::usage)?);
    Ok(())
}

async fn act(
    book: &Arc<dyn ParkedBook>,
    mut parked: ParkedCommand,
    verb: ParkedVerb,
    Action { author, reason, .. }: Action,
    json: bool,
) -> Result<(), CliError> {
    let action = ParkedAction { verb, author, reason, at: SystemClock.now() };
    if !book.ask(&parked.source, &action).await.map_err(unreachable_book)? {
        return Err(CliError::usage("something was asked for already, or it is settled"));
    }
    parked.action = Some(action);
    show(&parked, json)
}
