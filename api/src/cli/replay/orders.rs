//! `onair replay timeline`, `trace` and `why`: questions about one order.

use clap::ValueEnum;
use domain::envelope::Position;
use domain::ids::{CorrelationId, OrderId, SellerId, SpotlightId};
use domain::ports::EventReader;
use projections::replay::{
    self, AskError, Language, render_dot, render_timeline, render_trace, render_why,
    render_why_viewer,
};

use super::progress::Bar;
use super::pseudonym::pseudonym_of;
use super::{print_json, source};
use crate::cli::{CliError, SettingArgs, Verdict};
use crate::config;

/// Show one order step by step, with the time between
///
/// From the request to the last event: the gate, each event with the command that led to it, what
/// the provider was asked, and which version the viewer was pushed.
#[derive(Debug, clap::Args)]
pub(super) struct TimelineArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// The order
    #[arg(value_name = "ORDER")]
    order: OrderId,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Show what belongs together: commands, their events, and what those led to
#[derive(Debug, clap::Args)]
pub(super) struct TraceArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// The correlation; that of an order is its id, that of a host's command the command's
    #[arg(value_name = "CORRELATION")]
    correlation: CorrelationId,
    /// As text, or as a graph for Graphviz
    #[arg(long, value_enum, default_value = "text")]
    format: TraceFormat,
    /// Print one JSON object
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TraceFormat {
    Text,
    Dot,
    Json,
}

/// Say in plain words why a buyer did not get the item
///
/// With the stock at that moment and who was before. A viewer who was refused before an order
/// existed is in no log: the answer says so. Exits with 1 where the log has no order of the viewer.
#[derive(Debug, clap::Args)]
pub(super) struct WhyArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// The order
    #[arg(value_name = "ORDER", required_unless_present = "viewer", conflicts_with = "viewer")]
    order: Option<OrderId>,
    /// A viewer, by id or pseudonym
    #[arg(long, value_name = "VIEWER", requires = "spotlight")]
    viewer: Option<String>,
    /// In this spotlight
    #[arg(long, value_name = "SPOTLIGHT", requires = "viewer")]
    spotlight: Option<SpotlightId>,
    /// The language: en or ko
    #[arg(long, default_value = "en", value_name = "LANGUAGE")]
    lang: Language,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was asked about is not there, or cannot be read.
pub(super) fn refused(error: AskError) -> CliError {
    match error {
        AskError::Store(error) => source::unreachable_port(error),
        error @ AskError::Unknown(_) => CliError::usage(error),
    }
}

pub(super) async fn timeline(args: TimelineArgs) -> Result<Verdict, CliError> {
    let source = source::open(&config::load(&args.settings.flags())?).await?;
    let found = replay::timeline(source.events.as_ref(), args.order).await.map_err(refused)?;
    if args.json {
        print_json(&found)?;
    } else {
        print!("{}", render_timeline(&found));
    }
    Ok(Verdict::Good)
}

pub(super) async fn trace(args: TraceArgs) -> Result<Verdict, CliError> {
    let source = source::open(&config::load(&args.settings.flags())?).await?;
    let bar = Bar::new();
    let mut progress = |position, end| bar.at(position, end);
    let found = replay::trace(source.events.as_ref(), args.correlation, &mut progress).await;
    drop(bar);
    let found = found.map_err(refused)?;
    match args.format {
        _ if args.json => print_json(&found)?,
        TraceFormat::Json => print_json(&found)?,
        TraceFormat::Dot => print!("{}", render_dot(&found)),
        TraceFormat::Text => print!("{}", render_trace(&found)),
    }
    Ok(Verdict::Good)
}

pub(super) async fn why(args: WhyArgs) -> Result<Verdict, CliError> {
    let config = config::load(&args.settings.flags())?;
    let source = source::open(&config).await?;
    let events = source.events.as_ref();
    if let (Some(viewer), Some(spotlight)) = (&args.viewer, args.spotlight) {
        let seller = seller_of(events, spotlight).await?;
        let derived = seller.and_then(|seller| pseudonym_of(&config, &seller, viewer));
        let asked = (viewer.as_str(), derived.as_ref());
        let found = replay::why_viewer(events, asked, spotlight).await.map_err(refused)?;
        if args.json {
            print_json(&found)?;
        } else {
            print!("{}", render_why_viewer(&found, args.lang));
        }
        let nothing = found.orders.is_empty() && found.refusals.is_empty();
        return Ok(if nothing { Verdict::Bad } else { Verdict::Good });
    }
    let Some(order) = args.order else {
        return Err(CliError::usage("name an order, or a viewer and a spotlight"));
    };
    let found = replay::why(events, order).await.map_err(refused)?;
    if args.json {
        print_json(&found)?;
    } else {
        print!("{}", render_why(&found, args.lang));
    }
    Ok(Verdict::Good)
}

/// Whose spotlight it is.
async fn seller_of(
    events: &dyn EventReader,
    spotlight: SpotlightId,
) -> Result<Option<SellerId>, CliError> {
    let first = events.read_key(spotlight.into(), Position::START, 1).await;
    let first = first.map_err(source::unreachable_port)?;
    Ok(first.into_iter().next().map(|event| event.metadata.seller))
}
