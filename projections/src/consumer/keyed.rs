//! Events of each key in order, once, without a hole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::ids::StreamKey;
use domain::ports::{Clock, EventLog, EventReader, EventSubscription, PortError};
use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;

use crate::metrics::{
    CONSUMER_DUPLICATES_TOTAL, CONSUMER_ERRORS_TOTAL, CONSUMER_GAPS_TOTAL, CONSUMER_LAG_SECONDS,
};

/// Events that are taken together.
const BATCH: usize = 500;
/// Events that are read at once to fill a gap.
const BACKFILL: usize = 500;
/// Keys whose last position is remembered; past that it is asked for again.
const KEYS_MAX: usize = 10_000;
/// First pause after an error; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause after an error.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Where events of one key are applied, in order.
#[async_trait]
pub trait KeyedTarget: Send + Sync {
    /// The last position of the key that was applied; [`Position::START`] where none was.
    ///
    /// # Errors
    /// The target cannot be reached.
    async fn last(&self, key: StreamKey) -> Result<Position, PortError>;
    /// Applies events of one key that follow the last one without a hole, and remembers the last
    /// position with them.
    ///
    /// # Errors
    /// The target cannot be reached; whether they were applied is not known.
    async fn apply(&self, key: StreamKey, events: &[Recorded]) -> Result<(), PortError>;
}

/// Hands events to a [`KeyedTarget`]: `prev == last` is applied, `position <= last` was applied
/// already, anything else is a gap, which is filled from the store and raises an alarm.
pub struct KeyedRunner {
    consumer: String,
    reader: Arc<dyn EventReader>,
    target: Arc<dyn KeyedTarget>,
    lasts: BTreeMap<StreamKey, Position>,
    gaps: u64,
}

impl KeyedRunner {
    /// A runner under the consumer's name.
    pub fn new(
        consumer: impl Into<String>,
        reader: Arc<dyn EventReader>,
        target: Arc<dyn KeyedTarget>,
    ) -> Self {
        Self { consumer: consumer.into(), reader, target, lasts: BTreeMap::new(), gaps: 0 }
    }

    /// Gaps that were filled so far; each one was an alarm.
    pub const fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Applies events as they came. After an error the same ones may be given again.
    ///
    /// # Errors
    /// The target or the store cannot be reached, or the store lacks what the log has.
    pub async fn apply(&mut self, events: &[Recorded]) -> Result<(), PortError> {
        let mut by_key: BTreeMap<StreamKey, Vec<Recorded>> = BTreeMap::new();
        for recorded in events {
            by_key.entry(recorded.key).or_default().push(recorded.clone());
        }
        for (key, events) in by_key {
            let applied = self.apply_key(key, events).await;
            if applied.is_err() {
                self.lasts.remove(&key);
                return applied;
            }
        }
        Ok(())
    }

    async fn apply_key(&mut self, key: StreamKey, events: Vec<Recorded>) -> Result<(), PortError> {
        let mut last = match self.lasts.get(&key) {
            Some(last) => *last,
            None => self.ask(key).await?,
        };
        let mut ready: Vec<Recorded> = Vec::with_capacity(events.len());
        for recorded in events {
            if recorded.prev != last && recorded.position > last {
                last = self.flush(key, &mut ready, last).await?;
                // another member may have had the key meanwhile
                last = last.max(self.ask(key).await?);
            }
            if recorded.position <= last {
                counter!(CONSUMER_DUPLICATES_TOTAL, "consumer" => self.consumer.clone())
                    .increment(1);
            } else if recorded.prev == last {
                last = recorded.position;
                ready.push(recorded);
            } else {
                last = self.fill(key, last, &recorded).await?;
            }
        }
        self.flush(key, &mut ready, last).await?;
        Ok(())
    }

    async fn ask(&mut self, key: StreamKey) -> Result<Position, PortError> {
        let last = self.target.last(key).await?;
        self.remember(key, last);
        Ok(last)
    }

    fn remember(&mut self, key: StreamKey, last: Position) {
        if self.lasts.len() >= KEYS_MAX && !self.lasts.contains_key(&key) {
            self.lasts.clear();
        }
        self.lasts.insert(key, last);
    }

    async fn flush(
        &mut self,
        key: StreamKey,
        ready: &mut Vec<Recorded>,
        last: Position,
    ) -> Result<Position, PortError> {
        if !ready.is_empty() {
            self.target.apply(key, ready).await?;
            ready.clear();
        }
        self.remember(key, last);
        Ok(last)
    }

    /// Reads what is missing, up to the event that showed it, from the store.
    async fn fill(
        &mut self,
        key: StreamKey,
        after: Position,
        shown_by: &Recorded,
    ) -> Result<Position, PortError> {
        self.gaps += 1;
        counter!(CONSUMER_GAPS_TOTAL, "consumer" => self.consumer.clone()).increment(1);
        tracing::error!(
            consumer = self.consumer, %key, last = %after, prev = %shown_by.prev,
            position = %shown_by.position, "events are missing and are read from the store"
        );
        let mut last = after;
        while last < shown_by.position {
            let events = self.reader.read_key(key, last, BACKFILL).await?;
            let mut chain = last;
            for recorded in &events {
                if recorded.prev != chain {
                    return Err(PortError::corrupt(
                        "the event store",
                        format!("{} does not follow {chain} of key {key}", recorded.position),
                    ));
                }
                chain = recorded.position;
            }
            if chain == last {
                return Err(PortError::corrupt(
                    "the event store",
                    format!("it lacks {} of key {key}, which the log has", shown_by.position),
                ));
            }
            self.target.apply(key, &events).await?;
            last = chain;
        }
        self.remember(key, last);
        Ok(last)
    }
}

/// Applies every event of a log to a target until `shutdown`; an error is tried again for ever, with
/// the same events.
pub async fn run_keyed(
    log: Arc<dyn EventLog>,
    mut runner: KeyedRunner,
    after: Position,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) {
    let applying = apply_for_ever(log.as_ref(), &mut runner, after, clock.as_ref());
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = applying => {}
    }
}

async fn apply_for_ever(
    log: &dyn EventLog,
    runner: &mut KeyedRunner,
    mut after: Position,
    clock: &dyn Clock,
) {
    let mut pause = PAUSE_MIN;
    loop {
        let failed = match log.subscribe(&runner.consumer, after).await {
            Ok(subscription) => {
                let mut progress = Progress { subscription, runner, after: &mut after, clock };
                progress.run(&mut pause).await
            }
            Err(error) => error,
        };
        counter!(CONSUMER_ERRORS_TOTAL, "consumer" => runner.consumer.clone()).increment(1);
        tracing::warn!(consumer = runner.consumer, error = %failed, "subscribes again");
        clock.sleep(pause).await;
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
    }
}

struct Progress<'a> {
    subscription: Box<dyn EventSubscription>,
    runner: &'a mut KeyedRunner,
    after: &'a mut Position,
    clock: &'a dyn Clock,
}

impl Progress<'_> {
    /// Returns the error that needs a new subscription.
    async fn run(&mut self, pause: &mut Duration) -> PortError {
        loop {
            let events = match self.subscription.next(BATCH).await {
                Ok(events) => events,
                Err(error) => return error,
            };
            while let Err(error) = self.runner.apply(&events).await {
                let consumer = self.runner.consumer.clone();
                tracing::warn!(consumer, %error, "events are applied again");
                counter!(CONSUMER_ERRORS_TOTAL, "consumer" => consumer).increment(1);
                self.clock.sleep(*pause).await;
                *pause = pause.saturating_mul(2).min(PAUSE_MAX);
            }
            *pause = PAUSE_MIN;
            if let Some(last) = events.iter().max_by_key(|recorded| recorded.position) {
                *self.after = last.position.max(*self.after);
                let late = self.clock.now() - last.recorded_at;
                let late = late.to_std().unwrap_or_default().as_secs_f64();
                gauge!(CONSUMER_LAG_SECONDS, "consumer" => self.runner.consumer.clone()).set(late);
            }
            if let Err(error) = self.subscription.done().await {
                return error;
            }
        }
    }
}
