//! What was said is kept: a bounded queue, and one task that writes and forgets.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::ports::{ChatLog, ChatRecord, Clock};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::limits::{CHAT_LOG_AT_ONCE, CHAT_LOG_WAITING_MAX};
use super::metrics;

/// How long it waits before it tries again.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How long the last messages may take to be kept when the node goes away.
const LAST_WITHIN: Duration = Duration::from_secs(5);
/// How often what is too old is forgotten.
const FORGET_EVERY: Duration = Duration::from_hours(1);

/// Where messages are handed to be kept.
#[derive(Clone)]
pub struct Keeper {
    waiting: mpsc::Sender<ChatRecord>,
}

impl Keeper {
    /// The queue, and the task that empties it.
    pub fn new(log: Arc<dyn ChatLog>, clock: Arc<dyn Clock>, kept: TimeDelta) -> (Self, Work) {
        let (sender, waiting) = mpsc::channel(CHAT_LOG_WAITING_MAX);
        (Self { waiting: sender }, Work { log, clock, kept, waiting })
    }

    /// Hands a message over; where the database is away for too long, it is counted as lost.
    pub fn keep(&self, record: ChatRecord) {
        if self.waiting.try_send(record).is_err() {
            metrics::chat_log_lost(1);
        }
    }
}

/// The task's end of the queue.
pub struct Work {
    log: Arc<dyn ChatLog>,
    clock: Arc<dyn Clock>,
    kept: TimeDelta,
    waiting: mpsc::Receiver<ChatRecord>,
}

impl Work {
    /// Keeps what comes and forgets what is too old, until `ended`; then keeps what still waits.
    pub async fn run(mut self, ended: CancellationToken) {
        let mut forget_at = Instant::now();
        let mut records = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = ended.cancelled() => break,
                count = self.waiting.recv_many(&mut records, CHAT_LOG_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    ended.run_until_cancelled(self.write(&mut records)).await;
                }
                () = tokio::time::sleep_until(forget_at) => {
                    self.forget().await;
                    forget_at = Instant::now() + FORGET_EVERY;
                }
            }
        }
        self.waiting.close();
        let rest = async {
            self.write(&mut records).await;
            while self.waiting.recv_many(&mut records, CHAT_LOG_AT_ONCE).await > 0 {
                self.write(&mut records).await;
            }
        };
        if timeout(LAST_WITHIN, rest).await.is_err() {
            let lost = records.len().saturating_add(self.waiting.len());
            metrics::chat_log_lost(u64::try_from(lost).unwrap_or(u64::MAX));
        }
    }

    /// Tries until it is done; the records stay where it is stopped before.
    async fn write(&self, records: &mut Vec<ChatRecord>) {
        while let Err(error) = self.log.append(records).await {
            tracing::warn!(%error, waiting = records.len(), "chat messages cannot be kept yet");
            tokio::time::sleep(RETRY_AFTER).await;
        }
        records.clear();
    }

    async fn forget(&self) {
        let Some(before) = self.clock.now().checked_sub_signed(self.kept) else { return };
        match self.log.forget_before(before).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "old chat messages are forgotten"),
            Err(error) => tracing::warn!(%error, "old chat messages cannot be forgotten"),
        }
    }
}
