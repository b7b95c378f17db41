//! Who watches a room or a chat: a list for each shard, in the order of coming.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::metrics;
use super::outbox::Outbox;
use super::shard::{Shard, Shards};

/// Members that are looked up at once.
const LOOKED_UP_AT_ONCE: usize = 64;
/// Sockets that are written before others have a turn: about a millisecond.
const WRITTEN_AT_ONCE: usize = 256;

/// Who watches, on all shards.
pub struct Watchers {
    lists: Vec<(Arc<Shard>, Arc<Members>)>,
}

impl Watchers {
    /// Nobody yet.
    pub fn new(shards: &Shards) -> Self {
        Self { lists: shards.iter().map(|shard| (shard.clone(), Arc::default())).collect() }
    }

    /// Adds a watcher.
    pub fn join(&self, outbox: &Arc<Outbox>) {
        if let Some((_, members)) = self.lists.get(outbox.shard()) {
            members.join(outbox);
        }
    }

    /// Removes a watcher.
    pub fn leave(&self, outbox: &Arc<Outbox>) {
        if let Some((_, members)) = self.lists.get(outbox.shard()) {
            members.leave(outbox);
        }
    }

    /// Everybody.
    pub fn all(&self) -> Vec<Arc<Outbox>> {
        self.lists.iter().flat_map(|(_, members)| members.all()).collect()
    }

    /// Whether nobody watches.
    pub fn is_empty(&self) -> bool {
        self.lists.iter().all(|(_, members)| members.is_empty())
    }

    /// Writes what is new to everybody, soon.
    pub fn sweep(&self) {
        for (shard, members) in &self.lists {
            if !members.is_empty() {
                shard.sweep(members);
            }
        }
    }

    /// How long the last sweep took on the slowest shard.
    pub fn last_sweep(&self) -> Duration {
        let took = self.lists.iter().map(|(_, members)| members.took.load(Ordering::Relaxed));
        Duration::from_micros(took.max().unwrap_or(0))
    }
}

#[derive(Default)]
struct List {
    /// In the order of coming; who has gone leaves a hole, so that a sweep passes nobody over.
    places: Vec<Weak<Outbox>>,
    holes: usize,
    turn: usize,
    is_swept: bool,
}

impl List {
    fn close_holes(&mut self) {
        if self.holes > 0 {
            self.places.retain(|watcher| watcher.strong_count() > 0);
            self.holes = 0;
        }
    }
}

/// The watchers of one shard.
#[derive(Default)]
pub struct Members {
    list: Mutex<List>,
    is_due: AtomicBool,
    took: AtomicU64,
}

impl Members {
    fn join(&self, outbox: &Arc<Outbox>) {
        self.list.lock().places.push(Arc::downgrade(outbox));
    }

    fn leave(&self, outbox: &Arc<Outbox>) {
        let leaving = Arc::as_ptr(outbox);
        let mut list = self.list.lock();
        let place = list.places.iter_mut().find(|watcher| watcher.as_ptr() == leaving);
        if let Some(place) = place {
            *place = Weak::new();
            list.holes = list.holes.saturating_add(1);
        }
        if !list.is_swept && list.holes.saturating_mul(2) > list.places.len() {
            list.close_holes();
        }
    }

    fn all(&self) -> Vec<Arc<Outbox>> {
        self.list.lock().places.iter().filter_map(Weak::upgrade).collect()
    }

    fn is_empty(&self) -> bool {
        self.list.lock().places.iter().all(|watcher| watcher.strong_count() == 0)
    }

    /// Whether nothing was due before.
    pub(super) fn becomes_due(&self) -> bool {
        !self.is_due.swap(true, Ordering::AcqRel)
    }

    /// Writes what is new to each member, each time beginning at another one, so that nobody is
    /// always the last to know.
    pub(super) async fn sweep(&self) {
        let began = Instant::now();
        // what comes from now on is another sweep's
        self.is_due.store(false, Ordering::Release);
        let (count, start) = self.begin();
        let (mut batch, mut frames) = (Vec::with_capacity(LOOKED_UP_AT_ONCE), Vec::new());
        let (mut from, mut written) = (0, 0);
        while from < count {
            let until = count.min(from.saturating_add(LOOKED_UP_AT_ONCE));
            self.look_up((from, until), (start, count), &mut batch);
            for outbox in batch.drain(..) {
                written += u64::from(outbox.push_on(&mut frames));
            }
            from = until;
            if from.is_multiple_of(WRITTEN_AT_ONCE) {
                tokio::task::yield_now().await;
            }
        }
        self.list.lock().is_swept = false;
        let took = began.elapsed();
        self.took.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        metrics::swept(took, written);
    }

    fn begin(&self) -> (usize, usize) {
        let mut list = self.list.lock();
        list.close_holes();
        list.is_swept = true;
        let count = list.places.len();
        list.turn = list.turn.wrapping_add(count / 3 + 1).checked_rem(count).unwrap_or(0);
        (count, list.turn)
    }

    fn look_up(
        &self,
        (from, until): (usize, usize),
        (start, count): (usize, usize),
        batch: &mut Vec<Arc<Outbox>>,
    ) {
        let list = self.list.lock();
        let places = (from..until).filter_map(|step| start.wrapping_add(step).checked_rem(count));
        batch.extend(places.filter_map(|place| list.places.get(place)?.upgrade()));
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::super::codec::Codec;
    use super::*;

    fn shards() -> Shards {
        Shards::new(NonZero::<usize>::MIN)
    }

    fn crowd(count: usize) -> Vec<Arc<Outbox>> {
        (0..count).map(|_| Arc::new(Outbox::new(Codec::Json))).collect()
    }

    #[tokio::test]
    async fn everybody_is_told_though_some_leave() {
        let watchers = Watchers::new(&shards());
        let crowd = crowd(300);
        for outbox in &crowd {
            watchers.join(outbox);
        }
        let (_, members) = &watchers.lists[0];
        for leaving in crowd.iter().take(100) {
            watchers.leave(leaving);
        }
        assert_eq!(watchers.all().len(), 200);
        members.sweep().await;
        for (place, outbox) in crowd.iter().enumerate() {
            let told = tokio::time::timeout(Duration::ZERO, outbox.changed()).await.is_ok();
            assert_eq!(told, place >= 100, "{place}");
        }
        drop(crowd);
        assert!(watchers.is_empty());
    }

    #[tokio::test]
    async fn sweeps_begin_at_different_places() {
        let watchers = Watchers::new(&shards());
        let crowd = crowd(10);
        for outbox in &crowd {
            watchers.join(outbox);
        }
        let (_, members) = &watchers.lists[0];
        let mut starts: Vec<usize> = (0..10).map(|_| members.begin().1).collect();
        starts.sort_unstable();
        starts.dedup();
        assert!(starts.len() >= 5, "{starts:?}");
    }

    #[tokio::test]
    async fn what_is_due_twice_is_swept_once() {
        let members = Members::default();
        assert!(members.becomes_due());
        assert!(!members.becomes_due());
        members.sweep().await;
        assert!(members.becomes_due());
    }

    #[test]
    fn holes_do_not_add_up() {
        let watchers = Watchers::new(&shards());
        for _ in 0..1_000 {
            for outbox in crowd(2) {
                watchers.join(&outbox);
                watchers.leave(&outbox);
            }
        }
        let (_, members) = &watchers.lists[0];
        assert!(members.list.lock().places.len() < 8);
    }
}
