//! Many writers and one who reads along.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::envelope::Position;
use domain::ports::{EventStore, StoreError};
use tokio::task::JoinSet;

use super::bed::Bed;
use super::made::{self, Show, batch, fence};

const WRITERS: i32 = 8;
const ROUNDS: u64 = 12;
/// Every so many rounds a batch is refused after it took its positions.
const REFUSED: u64 = 3;
const PAGE: usize = 7;

pub async fn a_tail_sees_every_position_once_while_eight_write(bed: Bed) {
    let mut writers = JoinSet::new();
    let (here, there) = (bed.store.clone(), bed.other().await);
    for partition in 0..WRITERS {
        let store = if partition % 2 == 0 { here.clone() } else { there.clone() };
        writers.spawn(write(store, partition));
    }
    let mut tail = Tail::default();
    while !writers.is_empty() {
        tail.catch_up(here.as_ref()).await;
        while let Some(done) = writers.try_join_next() {
            done.expect("writes");
        }
        tokio::task::yield_now().await;
    }
    tail.catch_up(here.as_ref()).await;
    let rounds: u64 =
        (0..ROUNDS).filter(|round| round % REFUSED != 1).map(|round| round % 4 + 1).sum();
    assert_eq!(tail.last.0, rounds * u64::try_from(WRITERS).expect("fits"));
    assert_eq!(there.head().await.expect("reads"), tail.last);
}

/// Appends to a stream of its own; some batches break a key that is checked last.
async fn write(store: Arc<dyn EventStore>, partition: i32) {
    let show = Show::new();
    let claim = store.claim(made::TOPIC, partition, "w").await.expect("claims");
    let (mut sequence, mut next) = (0, None);
    for round in 0..ROUNDS {
        let events = (1..=round % 4 + 1).map(|step| match sequence + step {
            1 => show.scheduled(&[("a", 1)]),
            place => show.noted(place),
        });
        let mut one = batch(events);
        let offset = i64::try_from(round).expect("fits");
        one.fences.push(fence(partition, claim.epoch, next, offset));
        if round % REFUSED == 1 {
            let repeated = one.events[0].event_id;
            one.events.push(Show::new().scheduled(&[]));
            one.events.last_mut().expect("has one").event_id = repeated;
            let refused = store.append(&one).await;
            assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
            continue;
        }
        store.append(&one).await.expect("commits");
        sequence += round % 4 + 1;
        next = Some(offset);
    }
}

/// A reader that remembers what the next event must be.
#[derive(Default)]
struct Tail {
    last: Position,
    keys: BTreeMap<domain::ids::StreamKey, Position>,
}

impl Tail {
    async fn catch_up(&mut self, store: &dyn EventStore) {
        loop {
            let page = store.read(self.last, PAGE).await.expect("reads");
            for event in &page {
                assert_eq!(event.position.0, self.last.0 + 1, "a position was passed over");
                let prev = self.keys.insert(event.key, event.position).unwrap_or_default();
                assert_eq!(event.prev, prev, "the chain of a key is broken");
                self.last = event.position;
            }
            if page.len() < PAGE {
                return;
            }
        }
    }
}
