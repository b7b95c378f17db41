//! One shard per core: each connection belongs to one, and what a room has new is written to its
//! watchers by their shards, socket after socket, without waking a task of any of them.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::watchers::Members;

/// The shards of one node.
#[derive(Clone)]
pub struct Shards {
    shards: Arc<[Arc<Shard>]>,
    next: Arc<AtomicUsize>,
}

/// One shard.
#[derive(Default)]
pub struct Shard {
    due: Mutex<Vec<Arc<Members>>>,
    came: Notify,
}

impl Shards {
    /// As many as there are cores.
    pub fn per_core() -> Self {
        Self::new(std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN))
    }

    /// So many.
    pub fn new(count: NonZero<usize>) -> Self {
        let shards = (0..count.get()).map(|_| Arc::default()).collect();
        Self { shards, next: Arc::default() }
    }

    /// The place of the shard that the next connection belongs to.
    pub fn next(&self) -> usize {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        turn.checked_rem(self.shards.len()).unwrap_or(0)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.shards.iter()
    }
}

impl Shard {
    /// Something is new for members of this shard.
    pub fn sweep(&self, members: &Arc<Members>) {
        if members.becomes_due() {
            self.due.lock().push(members.clone());
            self.came.notify_one();
        }
    }

    /// Writes what is due, until `ended`.
    pub async fn run(self: Arc<Self>, ended: CancellationToken) {
        while ended.run_until_cancelled(self.came.notified()).await.is_some() {
            loop {
                let due = std::mem::take(&mut *self.due.lock());
                if due.is_empty() {
                    break;
                }
                for members in due {
                    members.sweep().await;
                }
            }
        }
    }
}
