//! The projection: events into the gates, and lost gates rebuilt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{SpotlightId, StreamKey};
use domain::ports::{
    Applied, Clock, EventLog, EventReader, EventSubscription, PortError, StockGate,
};
use domain::spotlight::SpotlightEvent;
use futures::StreamExt;
use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;

use super::rebuild::Rebuilder;
use crate::metrics::{
    CONSUMER_ERRORS_TOTAL, CONSUMER_GAPS_TOTAL, CONSUMER_LAG_SECONDS, GATE_UNKNOWN_ORDERS_TOTAL,
};

/// The projection's name as a consumer.
pub const CONSUMER: &str = "stock_counter";
/// Events that are taken together.
const BATCH: usize = 500;
/// Keys that are applied at once; they do not wait for each other.
const KEYS_AT_ONCE: usize = 16;
/// Events that are read at once to fill a gap.
const BACKFILL: usize = 500;
/// Gates that are rebuilt at once.
const REBUILDS_AT_ONCE: usize = 8;
/// How often the gate is asked for losses that nobody has met.
const LOSS_CHECK: Duration = Duration::from_secs(1);
/// First pause after an error; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause after an error.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Applies the log's events to the gates, and rebuilds those that lost something, until `shutdown`.
/// A gate keeps its own positions, so any `after` is right that is not past what it has applied; a
/// gate that is empty at the start needs none of the past, and may be given the store's head.
pub async fn run(
    gate: Arc<dyn StockGate>,
    events: Arc<dyn EventLog>,
    reader: Arc<dyn EventReader>,
    rebuilder: Arc<Rebuilder>,
    clock: Arc<dyn Clock>,
    after: Position,
    shutdown: CancellationToken,
) {
    let counter = Counter { gate, reader, rebuilder, clock };
    let work = async {
        tokio::join!(counter.apply_for_ever(events.as_ref(), after), counter.repair_for_ever());
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = work => {}
    }
}

struct Counter {
    gate: Arc<dyn StockGate>,
    reader: Arc<dyn EventReader>,
    rebuilder: Arc<Rebuilder>,
    clock: Arc<dyn Clock>,
}

impl Counter {
    async fn apply_for_ever(&self, log: &dyn EventLog, mut after: Position) {
        let mut pause = PAUSE_MIN;
        loop {
            let failed = match log.subscribe(CONSUMER, after).await {
                Ok(subscription) => self.consume(subscription, &mut after, &mut pause).await,
                Err(error) => error,
            };
            tracing::warn!(error = %failed, "the stock counter subscribes again");
            self.pause_after_error(&mut pause).await;
        }
    }

    /// Returns the error that needs a new subscription.
    async fn consume(
        &self,
        mut subscription: Box<dyn EventSubscription>,
        after: &mut Position,
        pause: &mut Duration,
    ) -> PortError {
        loop {
            let events = match subscription.next(BATCH).await {
                Ok(events) => events,
                Err(error) => return error,
            };
            while let Err(error) = self.apply(&events).await {
                tracing::warn!(%error, "the stock counter applies events again");
                self.pause_after_error(pause).await;
            }
            *pause = PAUSE_MIN;
            if let Some(last) = events.iter().max_by_key(|recorded| recorded.position) {
                *after = last.position.max(*after);
                let late = (self.clock.now() - last.recorded_at).to_std().unwrap_or_default();
                gauge!(CONSUMER_LAG_SECONDS, "consumer" => CONSUMER).set(late.as_secs_f64());
            }
            if let Err(error) = subscription.done().await {
                return error;
            }
        }
    }

    async fn pause_after_error(&self, pause: &mut Duration) {
        counter!(CONSUMER_ERRORS_TOTAL, "consumer" => CONSUMER).increment(1);
        self.clock.sleep(*pause).await;
        *pause = pause.saturating_mul(2).min(PAUSE_MAX);
    }

    async fn apply(&self, events: &[Recorded]) -> Result<(), PortError> {
        let mut by_key: BTreeMap<StreamKey, Vec<Recorded>> = BTreeMap::new();
        for recorded in events {
            if !matches!(recorded.event, Event::Broadcast(_)) {
                by_key.entry(recorded.key).or_default().push(recorded.clone());
            }
        }
        let keys = by_key
            .into_iter()
            .map(|(key, events)| async move { self.apply_key(SpotlightId(key.0), events).await });
        let mut keys = futures::stream::iter(keys).buffer_unordered(KEYS_AT_ONCE);
        while let Some(applied) = keys.next().await {
            applied?;
        }
        Ok(())
    }

    /// Applies events of one spotlight. Of a gate that knows nothing, or lacks an order, it asks
    /// for the rebuild and goes on: the rebuild reads the store.
    async fn apply_key(
        &self,
        spotlight: SpotlightId,
        mut events: Vec<Recorded>,
    ) -> Result<(), PortError> {
        if begins(&events) && !self.rebuilder.may_begin(spotlight).await? {
            self.rebuilder.request(spotlight);
            return Ok(());
        }
        let mut gap_at = None;
        loop {
            match self.gate.apply(spotlight, &events).await? {
                Applied::Done { unknown_order, .. } => {
                    if unknown_order {
                        counter!(GATE_UNKNOWN_ORDERS_TOTAL).increment(1);
                        self.rebuilder.request(spotlight);
                    }
                    if gap_at.is_none() || events.len() < BACKFILL {
                        return Ok(());
                    }
                    gap_at = events.last().map(|last| last.position);
                }
                // the store does not follow on what the gate has: the store is right
                Applied::Gap { applied } if gap_at == Some(applied) => {
                    self.rebuilder.request(spotlight);
                    return Ok(());
                }
                Applied::Gap { applied } => {
                    counter!(CONSUMER_GAPS_TOTAL, "consumer" => CONSUMER).increment(1);
                    tracing::error!(%spotlight, last = %applied, "events are missing");
                    gap_at = Some(applied);
                }
                Applied::NoState => {
                    self.rebuilder.request(spotlight);
                    return Ok(());
                }
            }
            let after = gap_at.unwrap_or(Position::START);
            events = self.reader.read_key(StreamKey::from(spotlight), after, BACKFILL).await?;
        }
    }

    async fn repair_for_ever(&self) {
        let mut failed: BTreeSet<SpotlightId> = BTreeSet::new();
        loop {
            let mut wanted = self.rebuilder.take_requests().await;
            wanted.append(&mut failed);
            let repairs = wanted.into_iter().map(|spotlight| async move {
                let repaired = self.rebuilder.repair(spotlight).await;
                if let Err(error) = &repaired {
                    tracing::warn!(%spotlight, %error, "the gate is rebuilt later");
                }
                (spotlight, matches!(repaired, Ok(true)))
            });
            let mut repairs = futures::stream::iter(repairs).buffer_unordered(REBUILDS_AT_ONCE);
            while let Some((spotlight, done)) = repairs.next().await {
                if !done {
                    failed.insert(spotlight);
                }
            }
            let pause = if failed.is_empty() { LOSS_CHECK } else { PAUSE_MIN };
            tokio::select! {
                biased;
                () = self.rebuilder.requested() => {}
                () = self.clock.sleep(pause) => {}
            }
        }
    }
}

fn begins(events: &[Recorded]) -> bool {
    events.first().is_some_and(|recorded| {
        matches!(recorded.event, Event::Spotlight(SpotlightEvent::SpotlightScheduled { .. }))
    })
}
