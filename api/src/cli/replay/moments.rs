//! `onair replay at`, `diff` and `bisect`: the state at a moment.

use domain::ids::{OrderId, SpotlightId};
use projections::replay::{
    self, BisectError, Predicate, Scope, State, When, render_diff, render_state,
};

use super::orders::refused;
use super::print_json;
use super::progress::Bar;
use super::source::{self, Source};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config;

#[derive(Debug, clap::Args)]
struct ScopeArgs {
    /// Only this spotlight
    #[arg(long, value_name = "SPOTLIGHT")]
    spotlight: Option<SpotlightId>,
    /// This order too
    #[arg(long, value_name = "ORDER")]
    order: Option<OrderId>,
    /// This viewer too, by id or pseudonym
    #[arg(long, value_name = "VIEWER")]
    viewer: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ScopeArgs {
    fn scope(&self) -> Scope {
        Scope { spotlight: self.spotlight, order: self.order, viewer: self.viewer.clone() }
    }
}

/// Show the state at a position or a time
#[derive(Debug, clap::Args)]
pub(super) struct AtArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// A position, or a time such as 2026-09-21T14:13:21Z
    #[arg(value_name = "WHEN")]
    when: When,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Show what changed between two moments
///
/// Exits with 1 where something did.
#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// The first moment: a position or a time
    #[arg(value_name = "A")]
    from: When,
    /// The second moment
    #[arg(value_name = "B")]
    to: When,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Find the first position where an expression over the state turns true
///
/// The expression is one of CEL over what `at --json` prints: `position`, `time`, `broadcasts`,
/// `spotlights`, `order`, `viewer`; paths with `.name` and `["name"]`, comparison, `&&`, `||`, `!`.
/// Such as: `spotlights["ID"].stock["CUP"].remaining == 0`. Exits with 1 where it never turns true.
#[derive(Debug, clap::Args)]
pub(super) struct BisectArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// The expression
    #[arg(long, value_name = "EXPRESSION")]
    predicate: String,
    #[command(flatten)]
    scope: ScopeArgs,
}

async fn state_at(source: &Source, when: When, scope: &Scope) -> Result<State, CliError> {
    let bar = Bar::new();
    let mut progress = |position, end| bar.at(position, end);
    replay::state_at(source.events.as_ref(), when, scope, &mut progress).await.map_err(refused)
}

pub(super) async fn at(args: AtArgs) -> Result<Verdict, CliError> {
    let source = source::open(&config::load(&args.settings.flags())?).await?;
    let state = state_at(&source, args.when, &args.scope.scope()).await?;
    if args.scope.json {
        print_json(&state)?;
    } else {
        print!("{}", render_state(&state).map_err(CliError::usage)?);
    }
    Ok(Verdict::Good)
}

pub(super) async fn diff(args: DiffArgs) -> Result<Verdict, CliError> {
    let source = source::open(&config::load(&args.settings.flags())?).await?;
    let scope = args.scope.scope();
    let before = state_at(&source, args.from, &scope).await?;
    let after = state_at(&source, args.to, &scope).await?;
    let found = replay::diff(&before, &after).map_err(CliError::usage)?;
    if args.scope.json {
        print_json(&found)?;
    } else {
        print!("{}", render_diff(&found));
    }
    Ok(if found.changes.is_empty() { Verdict::Good } else { Verdict::Bad })
}

pub(super) async fn bisect(args: BisectArgs) -> Result<Verdict, CliError> {
    let wrong = |error: BisectError| match error {
        BisectError::Ask(error) => refused(error),
        error @ BisectError::Predicate(_) => CliError::usage(error),
    };
    let predicate = Predicate::try_new(&args.predicate).map_err(wrong)?;
    let source = source::open(&config::load(&args.settings.flags())?).await?;
    let bar = Bar::new();
    let mut progress = |position, end| bar.at(position, end);
    let scope = args.scope.scope();
    let found = replay::bisect(source.events.as_ref(), &predicate, &scope, &mut progress).await;
    drop(bar);
    let found = found.map_err(wrong)?;
    if args.scope.json {
        print_json(&found)?;
    } else if let Some(hit) = &found.hit {
        let (position, event, id) = (hit.position, &hit.event, hit.event_id);
        println!("first true at position {position}, after {event} ({id}), {}", hit.recorded_at);
        println!("`onair replay at {position}` shows the state, `diff` what the event changed");
    } else {
        println!("never true, in {} events", found.events);
        if found.never_evaluated {
            println!("a path of it is nowhere in the state: `onair replay at --json` shows them");
        }
    }
    Ok(if found.hit.is_some() { Verdict::Good } else { Verdict::Bad })
}
