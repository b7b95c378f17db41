//! Building a read model aside.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::ports::{Clock, EventReader, PortError};
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::RebuildError;
use super::model::Model;
use super::tables::Tables;
use crate::read_model::Slot;

/// Events of one step: one read of the store, one transaction of the shadow tables.
pub const PAGE_EVENTS: usize = 5_000;
/// Pages that are read and decoded at once, at most.
pub const JOBS_MAX: usize = 64;
/// The fastest that a build may be told to be.
pub const EVENTS_PER_SECOND_MAX: u32 = 10_000_000;

/// How to build.
#[derive(Clone)]
pub struct BuildOptions {
    /// Pages that are read and decoded at once.
    pub jobs: usize,
    /// At most so many events per second, so that what serves is not slowed down.
    pub events_per_second: Option<u32>,
    /// Events per step.
    pub page: usize,
    /// The time that it takes its pauses by.
    pub clock: Arc<dyn Clock>,
    /// Ends it between two steps; the same call goes on from there.
    pub stop: CancellationToken,
}

impl BuildOptions {
    /// One job, as fast as it goes.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let stop = CancellationToken::new();
        Self { jobs: 1, events_per_second: None, page: PAGE_EVENTS, clock, stop }
    }
}

/// What was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Built {
    /// Where it went on from: 0 where it began.
    pub from: Position,
    /// Where the shadow tables are.
    pub position: Position,
    /// Events that were read.
    pub events: u64,
}

/// Pages of the log after a position up to `end`, in order; up to `jobs` of them are read and
/// decoded at once, each in a task of its own.
pub fn read_ahead(
    reader: Arc<dyn EventReader>,
    (after, end): (Position, Position),
    page: usize,
    jobs: usize,
) -> impl Stream<Item = Result<Vec<Recorded>, PortError>> + Send {
    let step = u64::try_from(page.max(1)).unwrap_or(u64::MAX);
    let begins = std::iter::successors(Some(after.0), move |at| at.checked_add(step))
        .take_while(move |at| *at < end.0);
    let tasks = TaskTracker::new();
    let pages = begins.map(move |at| {
        let reader = Arc::clone(&reader);
        let limit = usize::try_from((end.0 - at).min(step)).unwrap_or(page);
        let read = tasks.spawn(async move { reader.read(Position(at), limit).await });
        async move { read.await.unwrap_or_else(|error| Err(PortError::corrupt("the log", error))) }
    });
    stream::iter(pages).buffered(jobs.clamp(1, JOBS_MAX))
}

/// Builds the shadow tables up to the head of the log as it is when it arrives there. What an
/// earlier, interrupted build has written is kept. `progress` is told after every step.
///
/// # Errors
/// [`RebuildError::Stopped`], or the store or the tables cannot be reached.
pub async fn build(
    tables: &dyn Tables,
    reader: &Arc<dyn EventReader>,
    options: &BuildOptions,
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<Built, RebuildError> {
    let from = tables.prepare().await?;
    let (begun, mut at) = (options.clock.now(), from);
    loop {
        let end = reader.head().await?;
        if at >= end {
            return Ok(Built { from, position: at, events: at.0.saturating_sub(from.0) });
        }
        let pages = read_ahead(Arc::clone(reader), (at, end), options.page.max(1), options.jobs);
        let mut pages = std::pin::pin!(pages);
        while let Some(page) = pages.next().await {
            let page = page?;
            if page.is_empty() {
                return Err(missing(tables.model(), at).into());
            }
            at = tables.apply(Slot::Shadow, &page).await?;
            progress(at, end);
            if options.stop.is_cancelled() {
                return Err(RebuildError::Stopped(at));
            }
            slow_down(options, begun, at.0.saturating_sub(from.0)).await;
        }
    }
}

fn missing(model: Model, at: Position) -> PortError {
    PortError::corrupt(model.name(), format!("the log has nothing after position {at}"))
}

/// Waits until so many events may have been taken.
async fn slow_down(options: &BuildOptions, begun: Timestamp, events: u64) {
    let Some(rate) = options.events_per_second else { return };
    let due = events.saturating_mul(1_000_000) / u64::from(rate.max(1));
    let due = TimeDelta::from_std(Duration::from_micros(due)).unwrap_or(TimeDelta::MAX);
    if let Ok(pause) = (due - (options.clock.now() - begun)).to_std() {
        options.stop.run_until_cancelled(options.clock.sleep(pause)).await;
    }
}
