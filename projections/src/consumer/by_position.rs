//! The projection role: read models that follow the store by position.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::ports::{Clock, EventReader, OrderBook, PortError, SalesBoard};
use futures::future::join_all;
use metrics::{counter, gauge};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::metrics::{PROJECTION_EVENTS_TOTAL, PROJECTION_FAILURES_TOTAL, PROJECTION_LAG_EVENTS};
use crate::{order_book, sales_board};

/// Events of one step: one read of the store, one transaction of the read model.
pub const PAGE_EVENTS_MAX: usize = 1_000;
/// Pages that are still applied after the stop.
pub const LAST_PAGES_MAX: usize = 3;
/// The first pause after a failed step.
pub const BACKOFF_MIN: Duration = Duration::from_millis(50);
/// The longest pause after a failed step.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// How often [`wait_applied`] asks the read model itself, for what another process applies.
pub const APPLIED_POLL: Duration = Duration::from_millis(10);

/// A read model that takes every event of the store in, in order, each once.
#[async_trait]
pub trait PositionProjection: Send + Sync {
    /// Its name in metrics and logs.
    fn name(&self) -> &'static str;
    /// The position that all events up to are applied.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn checkpoint(&self) -> Result<Position, PortError>;
    /// Applies events; those up to the checkpoint are skipped. Returns the checkpoint.
    ///
    /// # Errors
    /// It cannot be reached, or an event is missing; nothing was applied.
    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError>;
}

pub(crate) struct Orders(pub(crate) Arc<dyn OrderBook>);

#[async_trait]
impl PositionProjection for Orders {
    fn name(&self) -> &'static str {
        order_book::NAME
    }

    async fn checkpoint(&self) -> Result<Position, PortError> {
        self.0.checkpoint().await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        self.0.apply(events).await
    }
}

pub(crate) struct Sales(pub(crate) Arc<dyn SalesBoard>);

#[async_trait]
impl PositionProjection for Sales {
    fn name(&self) -> &'static str {
        sales_board::NAME
    }

    async fn checkpoint(&self) -> Result<Position, PortError> {
        self.0.checkpoint().await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        self.0.apply(events).await
    }
}

/// A read model and what this process knows of its progress. One per read model and process,
/// shared by the role that fills it and the requests that wait for it.
pub struct ReadModel {
    projection: Arc<dyn PositionProjection>,
    applied: watch::Sender<Position>,
}

impl ReadModel {
    /// A read model of which nothing is known yet.
    pub fn new(projection: Arc<dyn PositionProjection>) -> Self {
        Self { projection, applied: watch::Sender::new(Position::START) }
    }

    /// The order book.
    pub fn order_book(book: Arc<dyn OrderBook>) -> Self {
        Self::new(Arc::new(Orders(book)))
    }

    /// The sales board.
    pub fn sales_board(board: Arc<dyn SalesBoard>) -> Self {
        Self::new(Arc::new(Sales(board)))
    }

    /// The read model's name.
    pub fn name(&self) -> &'static str {
        self.projection.name()
    }

    /// The highest position that this process has seen applied.
    pub fn applied(&self) -> Position {
        *self.applied.borrow()
    }

    fn note(&self, position: Position) {
        self.applied.send_if_modified(|known| {
            let is_news = position > *known;
            *known = position.max(*known);
            is_news
        });
    }
}

/// Fills several read models at once until `stop`; each goes at its own pace.
pub async fn run_all(
    models: &[&ReadModel],
    reader: &dyn EventReader,
    clock: &dyn Clock,
    stop: &CancellationToken,
) {
    join_all(models.iter().map(|model| run(model, reader, clock, stop))).await;
}

/// Fills a read model from the store until `stop`: reads after its checkpoint, applies, waits for
/// more. A failed step changes nothing and is tried again after a growing pause. Several processes
/// may fill the same read model.
pub async fn run(
    model: &ReadModel,
    reader: &dyn EventReader,
    clock: &dyn Clock,
    stop: &CancellationToken,
) {
    let mut known = None;
    let mut pause = BACKOFF_MIN;
    while !stop.is_cancelled() {
        match step(model, reader, known).await {
            Ok(Step { checkpoint, is_idle }) => {
                known = Some(checkpoint);
                pause = BACKOFF_MIN;
                if is_idle {
                    unless_stopped(stop, reader.wait(checkpoint)).await;
                }
            }
            Err(PortError::Closed) => return,
            Err(error) => {
                let name = model.name();
                tracing::error!(projection = name, %error, "a read model cannot go on");
                counter!(PROJECTION_FAILURES_TOTAL, "projection" => name).increment(1);
                known = None;
                unless_stopped(stop, clock.sleep(pause)).await;
                pause = pause.saturating_mul(2).min(BACKOFF_MAX);
            }
        }
    }
    catch_up(model, reader, known).await;
}

/// What the log had at the stop is applied before the end, where it is not much; the next start
/// goes on with the rest.
async fn catch_up(model: &ReadModel, reader: &dyn EventReader, mut known: Option<Position>) {
    let Ok(head) = reader.head().await else { return };
    for _ in 0..LAST_PAGES_MAX {
        if known.is_some_and(|known| known >= head) {
            return;
        }
        match step(model, reader, known).await {
            Ok(Step { checkpoint, .. }) => known = Some(checkpoint),
            Err(_) => return,
        }
    }
}

async fn unless_stopped(stop: &CancellationToken, pause: impl Future<Output = ()>) {
    // biased: the simulator needs the same choice every time
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = pause => {}
    }
}

struct Step {
    checkpoint: Position,
    is_idle: bool,
}

async fn step(
    model: &ReadModel,
    reader: &dyn EventReader,
    known: Option<Position>,
) -> Result<Step, PortError> {
    let name = model.name();
    let after = match known {
        Some(position) => position,
        None => start(model, reader).await?,
    };
    let events = reader.read(after, PAGE_EVENTS_MAX).await?;
    let Some(last) = events.last() else {
        set_lag(name, after, after);
        return Ok(Step { checkpoint: after, is_idle: true });
    };
    // a short page has reached the head
    let is_full = events.len() >= PAGE_EVENTS_MAX;
    let head = if is_full { reader.head().await? } else { last.position };
    // before applying too: a read model that is stuck must be seen to lag
    set_lag(name, head, after);
    let checkpoint = model.projection.apply(&events).await?;
    model.note(checkpoint);
    counter!(PROJECTION_EVENTS_TOTAL, "projection" => name)
        .increment(u64::try_from(events.len()).unwrap_or(u64::MAX));
    set_lag(name, head, checkpoint);
    Ok(Step { checkpoint, is_idle: false })
}

fn set_lag(name: &'static str, head: Position, checkpoint: Position) {
    let lag = head.0.saturating_sub(checkpoint.0);
    gauge!(PROJECTION_LAG_EVENTS, "projection" => name)
        .set(f64::from(u32::try_from(lag).unwrap_or(u32::MAX)));
}

/// Where the read model stands. One that is ahead of its log belongs to another log, and would
/// silently skip what comes.
async fn start(model: &ReadModel, reader: &dyn EventReader) -> Result<Position, PortError> {
    let checkpoint = model.projection.checkpoint().await?;
    let head = reader.head().await?;
    if checkpoint > head {
        return Err(PortError::corrupt(
            model.name(),
            format_args!("it stands at {checkpoint}, the log ends at {head}: rebuild it"),
        ));
    }
    model.note(checkpoint);
    Ok(checkpoint)
}

/// Waits until the read model has applied everything up to `position`, at most `bound`; tells
/// whether it has (design rule 14). What this process applies is noticed at once, what another one
/// does within [`APPLIED_POLL`].
///
/// # Errors
/// The read model cannot be reached.
pub async fn wait_applied(
    model: &ReadModel,
    clock: &dyn Clock,
    position: Position,
    bound: Duration,
) -> Result<bool, PortError> {
    let mut applied = model.applied.subscribe();
    let bound = TimeDelta::from_std(bound).unwrap_or(TimeDelta::MAX);
    let deadline = clock.now().checked_add_signed(bound).unwrap_or(Timestamp::MAX_UTC);
    loop {
        if *applied.borrow_and_update() >= position {
            return Ok(true);
        }
        let left = (deadline - clock.now()).to_std().unwrap_or_default();
        if left.is_zero() {
            return Ok(false);
        }
        tokio::select! {
            biased;
            changed = applied.changed() => {
                if changed.is_ok() {
                    continue;
                }
            }
            () = clock.sleep(left.min(APPLIED_POLL)) => {}
        }
        model.note(model.projection.checkpoint().await?);
    }
}
