//! Promises are made together: what waits is signed once and written down in one round trip.

use std::sync::Arc;

use domain::ports::AcceptedOrders;
use domain::views::AcceptedOrder;
use metrics::histogram;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::merkle::ReceiptSigner;
use crate::metrics::RECEIPTS_BATCH_ORDERS;

/// Orders that wait for their receipt.
pub const RECEIPTS_QUEUE_MAX: usize = 8_192;
/// Orders that are signed together.
pub const RECEIPTS_BATCH_MAX: usize = 1_024;

struct Waiting {
    order: AcceptedOrder,
    leaf: String,
    promised: oneshot::Sender<AcceptedOrder>,
}

/// Where promises are asked for.
#[derive(Clone)]
pub struct Receipts {
    queue: mpsc::Sender<Waiting>,
}

/// Who makes them.
pub struct ReceiptsWorker {
    queue: mpsc::Receiver<Waiting>,
    signer: Arc<ReceiptSigner>,
    accepted: Arc<dyn AcceptedOrders>,
}

impl Receipts {
    /// The two ends.
    pub fn new(
        signer: Arc<ReceiptSigner>,
        accepted: Arc<dyn AcceptedOrders>,
    ) -> (Self, ReceiptsWorker) {
        let (sender, receiver) = mpsc::channel(RECEIPTS_QUEUE_MAX);
        (Self { queue: sender }, ReceiptsWorker { queue: receiver, signer, accepted })
    }

    /// Signs what was acknowledged and writes it down; nothing where that failed, and then nothing
    /// was promised.
    pub(super) async fn promise(
        &self,
        order: AcceptedOrder,
        leaf: String,
    ) -> Option<AcceptedOrder> {
        let (promised, answer) = oneshot::channel();
        self.queue.send(Waiting { order, leaf, promised }).await.ok()?;
        answer.await.ok()
    }
}

impl ReceiptsWorker {
    /// Makes promises until `shutdown`, and then those that already wait. It waits for no time to
    /// pass and for no batch to fill.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut batch = Vec::with_capacity(RECEIPTS_BATCH_MAX);
        loop {
            let received = tokio::select! {
                biased;
                received = self.queue.recv_many(&mut batch, RECEIPTS_BATCH_MAX) => received,
                () = shutdown.cancelled() => {
                    self.queue.close();
                    self.queue.recv_many(&mut batch, RECEIPTS_BATCH_MAX).await
                }
            };
            if received == 0 {
                return;
            }
            self.gather(&mut batch).await;
            self.promise(std::mem::take(&mut batch)).await;
        }
    }

    /// What the log acknowledged together wakes its tasks one after the other, and this one after
    /// the first of them: the others are let go first, so that one signature does for all.
    async fn gather(&mut self, batch: &mut Vec<Waiting>) {
        tokio::task::yield_now().await;
        while batch.len() < RECEIPTS_BATCH_MAX
            && let Ok(waiting) = self.queue.try_recv()
        {
            batch.push(waiting);
        }
    }

    async fn promise(&self, batch: Vec<Waiting>) {
        histogram!(RECEIPTS_BATCH_ORDERS)
            .record(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
        let mut orders = Vec::with_capacity(batch.len());
        let mut leaves = Vec::with_capacity(batch.len());
        let mut answers = Vec::with_capacity(batch.len());
        for Waiting { order, leaf, promised } in batch {
            orders.push(order);
            leaves.push(leaf);
            answers.push(promised);
        }
        for (order, receipt) in orders.iter_mut().zip(self.signer.sign(&leaves)) {
            order.receipt = receipt;
        }
        let before = match self.accepted.put(&orders).await {
            Ok(before) => before,
            Err(error) => {
                tracing::warn!(
                    error = crate::writer::cause(&error),
                    orders = orders.len(),
                    "accepted orders could not be written down, so they are not promised"
                );
                return;
            }
        };
        for ((order, before), promised) in orders.into_iter().zip(before).zip(answers) {
            // the buyer may have given up
            let _ = promised.send(before.unwrap_or(order));
        }
    }
}
