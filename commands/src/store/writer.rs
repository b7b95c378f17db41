//! The task that owns a store's writing connection.
//!
//! A transaction is never dropped half-way, whatever becomes of the future that asked for it: a
//! connection that is left inside a transaction fails everybody who uses it next.

use std::time::Instant;

use async_trait::async_trait;
use domain::envelope::Position;
use domain::ports::{PortError, StoreError};
use metrics::{counter, histogram};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::STORE;
use super::encoded::Encoded;
use super::head::Head;
use crate::metrics::{STORE_APPEND_SECONDS, STORE_APPENDS_TOTAL, STORE_EVENTS_TOTAL};

/// Batches that wait for the connection; a partition's writer has one at a time.
const QUEUE: usize = 64;

/// A connection that commits batches.
#[async_trait]
pub(super) trait Session: Send + 'static {
    /// Commits a batch whole or not at all.
    async fn append(&mut self, batch: &Encoded) -> Result<Position, StoreError>;
}

struct Job {
    batch: Encoded,
    reply: oneshot::Sender<Result<Position, StoreError>>,
}

/// The way to the task.
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Hands a connection to a task of its own, which ends with the last [`Writer`] and
    /// is one of `own` and of `outer`.
    pub fn start(mut session: impl Session, head: Head, [own, outer]: [&TaskTracker; 2]) -> Self {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        own.spawn(outer.track_future(async move {
            while let Some(job) = queue.recv().await {
                let began = Instant::now();
                let result = session.append(&job.batch).await;
                histogram!(STORE_APPEND_SECONDS).record(began.elapsed());
                counter!(STORE_APPENDS_TOTAL, "result" => label(&result)).increment(1);
                if let Ok(position) = &result {
                    let events = u64::try_from(job.batch.events.len()).unwrap_or(u64::MAX);
                    counter!(STORE_EVENTS_TOTAL).increment(events);
                    head.advance(*position);
                }
                // whoever asked may have gone; the batch stands all the same
                let _ = job.reply.send(result);
            }
        }));
        Self { jobs }
    }

    /// Has a batch committed. Dropping the future leaves the outcome unknown.
    pub async fn append(&self, batch: Encoded) -> Result<Position, StoreError> {
        let (reply, answer) = oneshot::channel();
        let closed = StoreError::Unavailable(PortError::Closed);
        self.jobs.send(Job { batch, reply }).await.map_err(|_| closed)?;
        let lost = |error| StoreError::Ambiguous(PortError::unavailable(STORE, error));
        answer.await.map_err(lost)?
    }
}

fn label(result: &Result<Position, StoreError>) -> &'static str {
    match result {
        Ok(_) => "committed",
        Err(StoreError::Fenced) => "fenced",
        Err(StoreError::Conflict(_)) => "conflict",
        Err(StoreError::Unavailable(_)) => "unavailable",
        Err(StoreError::Ambiguous(_)) => "ambiguous",
    }
}
