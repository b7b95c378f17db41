//! Positions, chains, sequences.

use domain::envelope::{Position, Recorded};
use domain::ports::{EventStore, StoreError};

use super::bed::Bed;
use super::made::{self, Show, append, batch, fence, order};

pub async fn all(store: &dyn EventStore) -> Vec<Recorded> {
    store.read(Position::START, usize::MAX).await.expect("reads")
}

pub fn assert_conflict(result: &Result<Position, StoreError>) {
    assert!(matches!(result, Err(StoreError::Conflict(_))), "{result:?}");
}

pub async fn positions_are_dense_and_each_key_is_a_chain(bed: Bed) {
    let (one, two) = (Show::new(), Show::new());
    let store = bed.store.as_ref();
    assert_eq!(store.head().await.expect("reads"), Position::START);
    let first = [one.scheduled(&[("a", 9)]), two.scheduled(&[("a", 9)]), one.noted(2)];
    assert_eq!(append(store, first).await, Position(3));
    let second = [two.noted(2), two.noted(3), one.noted(3)];
    assert_eq!(append(store, second).await, Position(6));

    let log = all(store).await;
    let places: Vec<_> = log.iter().map(|event| (event.position.0, event.prev.0)).collect();
    assert_eq!(places, [(1, 0), (2, 0), (3, 1), (4, 2), (5, 4), (6, 3)]);
    assert_eq!(store.head().await.expect("reads"), Position(6));
    assert_eq!(store.key_head(one.key()).await.expect("reads"), Position(6));
    assert_eq!(store.key_head(two.key()).await.expect("reads"), Position(5));
    assert_eq!(store.key_head(Show::new().key()).await.expect("reads"), Position::START);
    assert!(log.is_sorted_by_key(|event| event.recorded_at));
}

pub async fn what_is_read_is_what_was_appended(bed: Bed) {
    let show = Show::new();
    let order = order();
    let events = [
        show.scheduled(&[("a", 9), ("b", 1)]),
        show.reserved(order, "ana", "a", 2),
        show.released(order, "ana", "a", 2),
        show.adjusted(2, "a", -9),
    ];
    append(bed.store.as_ref(), events.clone()).await;
    let log = all(bed.store.as_ref()).await;
    assert_eq!(log.len(), events.len());
    for (read, written) in log.iter().zip(&events) {
        assert_eq!(read.event_id, written.event_id);
        assert_eq!(read.stream, written.stream);
        assert_eq!(read.sequence, written.sequence);
        assert_eq!(read.key, written.key);
        assert_eq!(read.event, written.event);
        assert_eq!(read.metadata, written.metadata);
    }
}

pub async fn a_stream_goes_on_by_one(bed: Bed) {
    let show = Show::new();
    let store = bed.store.as_ref();
    assert_conflict(&store.append(&batch([show.noted(2)])).await);
    assert_conflict(&store.append(&batch([show.noted(0)])).await);
    append(store, [show.scheduled(&[]), show.noted(2)]).await;
    for sequence in [0, 1, 2, 4] {
        assert_conflict(&store.append(&batch([show.noted(sequence)])).await);
    }
    assert_conflict(&store.append(&batch([show.noted(3), show.noted(5)])).await);
    assert_conflict(&store.append(&batch([show.noted(3), show.noted(3)])).await);
    assert_eq!(append(store, [show.noted(3), show.noted(4)]).await, Position(4));
}

pub async fn a_reservation_ends_once(bed: Bed) {
    let (show, order) = (Show::new(), order());
    let store = bed.store.as_ref();
    append(store, [show.scheduled(&[("a", 5)]), show.reserved(order, "ana", "a", 1)]).await;
    append(store, [show.released(order, "ana", "a", 1)]).await;
    assert_conflict(&store.append(&batch([show.confirmed(order, "ana", "a", 1)])).await);
    assert_conflict(&store.append(&batch([show.released(order, "ana", "a", 1)])).await);
    let row = store.ledger(show.0).await.expect("reads").rows[&made::sku("a")];
    assert_eq!((row.limit, row.held, row.confirmed), (5, 0, 0));
    assert_eq!(store.head().await.expect("reads"), Position(3));
}

pub async fn an_event_id_is_stored_once(bed: Bed) {
    let show = Show::new();
    let first = show.scheduled(&[]);
    let mut repeat = show.noted(2);
    repeat.event_id = first.event_id;
    assert_conflict(&bed.store.append(&batch([first.clone(), repeat.clone()])).await);
    append(bed.store.as_ref(), [first]).await;
    assert_conflict(&bed.store.append(&batch([repeat])).await);
    assert_eq!(bed.store.head().await.expect("reads"), Position(1));
}

pub async fn an_empty_batch_moves_only_the_fence(bed: Bed) {
    let store = bed.store.as_ref();
    append(store, [Show::new().scheduled(&[])]).await;
    let claim = store.claim(made::TOPIC, 0, "w").await.expect("claims");
    let mut empty = batch([]);
    empty.fences.push(fence(0, claim.epoch, None, 5));
    assert_eq!(store.append(&empty).await.expect("commits"), Position::START);
    let stands = store.position_of(made::TOPIC, 0).await.expect("reads").expect("claimed");
    assert_eq!((stands.epoch, stands.next_offset), (1, Some(5)));
    assert_eq!(store.head().await.expect("reads"), Position(1));
}

/// Window 31: whoever asked for the transaction goes away in the middle of it.
pub async fn a_dropped_append_leaves_the_store_in_order(bed: Bed) {
    let store = bed.store.as_ref();
    let claim = store.claim(made::TOPIC, 0, "w").await.expect("claims");
    let mut next = None;
    for offset in 0..40_i64 {
        let mut one = batch([Show::new().scheduled(&[("a", 1)])]);
        one.fences.push(fence(0, claim.epoch, next, offset + 1));
        let mut append = store.append(&one);
        for _ in 0..offset % 4 {
            if futures::poll!(append.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(append);
        // unknown to whoever dropped it, and settled by the time that the next one is
        let mut probe = batch([]);
        probe.fences.push(fence(1, 99, None, 1));
        assert!(matches!(store.append(&probe).await, Err(StoreError::Fenced)));
        next =
            store.position_of(made::TOPIC, 0).await.expect("reads").expect("claimed").next_offset;
    }
    let log = all(store).await;
    let positions: Vec<u64> = log.iter().map(|event| event.position.0).collect();
    assert_eq!(positions, (1..=u64::try_from(log.len()).expect("fits")).collect::<Vec<_>>());
    let last = append_one(store, claim.epoch, next).await;
    assert_eq!(last, Position(u64::try_from(log.len()).expect("fits") + 1));
}

async fn append_one(store: &dyn EventStore, epoch: u64, next: Option<i64>) -> Position {
    let mut one = batch([Show::new().scheduled(&[("a", 1)])]);
    one.fences.push(fence(0, epoch, next, 1_000));
    store.append(&one).await.expect("commits")
}

pub async fn a_store_that_is_opened_again_has_everything(mut bed: Bed) {
    let (show, order) = (Show::new(), order());
    let claim = bed.store.claim(made::TOPIC, 3, "w").await.expect("claims");
    let mut one = batch([show.scheduled(&[("a", 5)]), show.reserved(order, "ana", "a", 2)]);
    one.fences.push(fence(3, claim.epoch, None, 2));
    one.unit_limits.insert(show.0, 2);
    bed.store.append(&one).await.expect("commits");
    let epoch = bed.store.lease("relay", "a").await.expect("asks").expect("is free");
    bed.store.set_checkpoint("relay", epoch, Position(1)).await.expect("moves");
    let before = all(bed.store.as_ref()).await;

    bed.reopen().await;
    let store = bed.store.as_ref();
    assert_eq!(all(store).await, before);
    assert_eq!(store.checkpoint("relay").await.expect("reads"), Position(1));
    assert_eq!(store.ledger(show.0).await.expect("reads").rows[&made::sku("a")].held, 2);
    let units = store.units(show.0, &[made::viewer("ana")]).await.expect("reads");
    assert_eq!(units, [(made::viewer("ana"), 2)].into());
    let claim = store.claim(made::TOPIC, 3, "w").await.expect("claims");
    assert_eq!((claim.epoch, claim.next_offset), (2, Some(2)));
    assert_eq!(append(store, [show.noted(2)]).await, Position(3));
}
