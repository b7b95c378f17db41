//! Owners of partitions.

use domain::envelope::Position;
use domain::ports::{Batch, EventStore, Fence, StoreError};

use super::appending::assert_conflict;
use super::bed::Bed;
use super::made::{self, Show, batch, fence};

fn fenced(fences: impl IntoIterator<Item = Fence>) -> Batch {
    Batch { fences: fences.into_iter().collect(), ..batch([Show::new().scheduled(&[("a", 1)])]) }
}

async fn assert_fenced(store: &dyn EventStore, fences: impl IntoIterator<Item = Fence>) {
    let before = store.head().await.expect("reads");
    let result = store.append(&fenced(fences)).await;
    assert!(matches!(result, Err(StoreError::Fenced)), "{result:?}");
    assert_eq!(store.head().await.expect("reads"), before);
}

async fn next_of(store: &dyn EventStore, partition: i32) -> Option<i64> {
    store.position_of(made::TOPIC, partition).await.expect("reads").expect("claimed").next_offset
}

pub async fn a_partition_that_was_never_claimed_is_fenced(bed: Bed) {
    assert_eq!(bed.store.position_of(made::TOPIC, 0).await.expect("reads"), None);
    assert_fenced(bed.store.as_ref(), [fence(0, 0, None, 1)]).await;
    assert_fenced(bed.store.as_ref(), [fence(0, 1, None, 1)]).await;
}

pub async fn an_older_owner_is_fenced(bed: Bed) {
    let (old, new) = (bed.store.clone(), bed.other().await);
    let first = old.claim(made::TOPIC, 0, "old").await.expect("claims");
    assert_eq!((first.epoch, first.next_offset), (1, None));
    old.append(&fenced([fence(0, 1, None, 10)])).await.expect("commits");
    let second = new.claim(made::TOPIC, 0, "new").await.expect("claims");
    assert_eq!((second.epoch, second.next_offset), (2, Some(10)));
    assert_fenced(old.as_ref(), [fence(0, 1, Some(10), 20)]).await;
    new.append(&fenced([fence(0, 2, Some(10), 20)])).await.expect("commits");
    assert_fenced(old.as_ref(), [fence(0, 1, Some(20), 30)]).await;
    assert_eq!(next_of(old.as_ref(), 0).await, Some(20));
    // another partition, and another topic, are nobody's business
    assert_eq!(new.claim(made::TOPIC, 1, "new").await.expect("claims").epoch, 1);
    assert_eq!(new.claim("other", 0, "new").await.expect("claims").epoch, 1);
}

pub async fn another_place_is_fenced(bed: Bed) {
    let store = bed.store.as_ref();
    store.claim(made::TOPIC, 0, "w").await.expect("claims");
    assert_fenced(store, [fence(0, 1, Some(0), 5)]).await;
    store.append(&fenced([fence(0, 1, None, 5)])).await.expect("commits");
    // the same again, a step back, a step ahead
    for first in [None, Some(4), Some(6)] {
        assert_fenced(store, [fence(0, 1, first, 9)]).await;
    }
    store.append(&fenced([fence(0, 1, Some(5), 5)])).await.expect("commits");
    store.append(&fenced([fence(0, 1, Some(5), 6)])).await.expect("commits");
    assert_eq!(next_of(store, 0).await, Some(6));
}

pub async fn one_stale_fence_of_several_fences_the_batch(bed: Bed) {
    let store = bed.store.as_ref();
    for partition in 0..3 {
        store.claim(made::TOPIC, partition, "w").await.expect("claims");
    }
    store.claim(made::TOPIC, 1, "other").await.expect("claims");
    let fences = |epoch| [fence(0, 1, None, 1), fence(1, epoch, None, 2), fence(2, 1, None, 3)];
    assert_fenced(store, fences(1)).await;
    assert_eq!((next_of(store, 0).await, next_of(store, 2).await), (None, None));
    store.append(&fenced(fences(2))).await.expect("commits");
    assert_eq!((next_of(store, 0).await, next_of(store, 2).await), (Some(1), Some(3)));
}

pub async fn a_fence_that_contradicts_itself_is_a_conflict(bed: Bed) {
    let store = bed.store.as_ref();
    store.claim(made::TOPIC, 0, "w").await.expect("claims");
    store.append(&fenced([fence(0, 1, None, 5)])).await.expect("commits");
    assert_conflict(&store.append(&fenced([fence(0, 1, Some(5), 4)])).await);
    let twice = [fence(0, 1, Some(5), 6), fence(0, 1, Some(5), 7)];
    assert_conflict(&store.append(&fenced(twice)).await);
    assert_eq!(next_of(store, 0).await, Some(5));
}

pub async fn of_two_writers_on_one_partition_one_commits(bed: Bed) {
    let (one, two) = (bed.store.clone(), bed.other().await);
    one.claim(made::TOPIC, 0, "one").await.expect("claims");
    for round in 0..20 {
        let first = (round > 0).then_some(round);
        let (left, right) =
            (fenced([fence(0, 1, first, round + 1)]), fenced([fence(0, 1, first, round + 1)]));
        let (left, right) = futures::join!(one.append(&left), two.append(&right));
        let committed = [&left, &right].into_iter().filter(|result| result.is_ok()).count();
        let refused = [&left, &right]
            .into_iter()
            .filter(|result| matches!(result, Err(StoreError::Fenced)))
            .count();
        assert_eq!((committed, refused), (1, 1), "{left:?} {right:?}");
    }
    assert_eq!(one.head().await.expect("reads"), Position(20));
}
