//! Pages, keys, streams, waiting.

use std::time::Duration;

use domain::envelope::{Position, Recorded};
use domain::event::StreamId;
use futures::FutureExt;

use super::bed::Bed;
use super::made::{Show, append, order};

/// Far more than any wait takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn positions(events: &[Recorded]) -> Vec<u64> {
    events.iter().map(|event| event.position.0).collect()
}

pub async fn pages_end_at_their_limit(bed: Bed) {
    let show = Show::new();
    let events = [show.scheduled(&[])].into_iter().chain((2..=10).map(|place| show.noted(place)));
    append(bed.store.as_ref(), events).await;
    let read = async |after, limit| {
        positions(&bed.store.read(Position(after), limit).await.expect("reads"))
    };
    assert_eq!(read(0, 0).await, [0_u64; 0]);
    assert_eq!(read(0, 1).await, [1]);
    assert_eq!(read(0, 10).await.len(), 10);
    assert_eq!(read(0, 11).await.len(), 10);
    assert_eq!(read(4, 3).await, [5, 6, 7]);
    assert_eq!(read(9, usize::MAX).await, [10]);
    assert_eq!(read(10, 5).await, [0_u64; 0]);
    assert_eq!(read(u64::MAX, 5).await, [0_u64; 0]);
}

pub async fn a_key_is_read_without_its_neighbours(bed: Bed) {
    let (one, two) = (Show::new(), Show::new());
    let events = [one.scheduled(&[("a", 9)]), two.scheduled(&[("a", 9)])];
    append(bed.store.as_ref(), events).await;
    append(bed.store.as_ref(), [two.noted(2), one.reserved(order(), "ana", "a", 1)]).await;
    append(bed.store.as_ref(), [one.noted(2)]).await;
    let read = async |show: Show, after, limit| {
        let page = bed.store.read_key(show.key(), Position(after), limit).await.expect("reads");
        assert!(page.iter().all(|event| event.key == show.key()));
        positions(&page)
    };
    assert_eq!(read(one, 0, 9).await, [1, 4, 5]);
    assert_eq!(read(one, 0, 2).await, [1, 4]);
    assert_eq!(read(one, 0, 0).await, [0_u64; 0]);
    assert_eq!(read(one, 1, 9).await, [4, 5]);
    assert_eq!(read(one, 3, 1).await, [4]);
    assert_eq!(read(one, 5, 9).await, [0_u64; 0]);
    assert_eq!(read(two, 0, 9).await, [2, 3]);
    assert_eq!(read(Show::new(), 0, 9).await, [0_u64; 0]);
}

pub async fn streams_are_loaded_by_position(bed: Bed) {
    let (show, other, bought) = (Show::new(), Show::new(), order());
    let events = [
        show.scheduled(&[("a", 9)]),
        other.scheduled(&[]),
        show.reserved(bought, "ana", "a", 1),
        show.noted(2),
        show.confirmed(bought, "ana", "a", 1),
    ];
    append(bed.store.as_ref(), events).await;
    let load =
        async |streams: &[StreamId]| positions(&bed.store.load(streams).await.expect("reads"));
    let spotlight = StreamId::spotlight(show.0);
    let reservation = StreamId::reservation(bought);
    assert_eq!(load(&[]).await, [0_u64; 0]);
    assert_eq!(load(std::slice::from_ref(&reservation)).await, [3, 5]);
    assert_eq!(load(&[reservation.clone(), spotlight.clone()]).await, [1, 3, 4, 5]);
    assert_eq!(load(&[reservation.clone(), reservation]).await, [3, 5]);
    // the order's own stream, and one that does not exist
    assert_eq!(load(&[StreamId::order(bought), StreamId::order(order())]).await, [0_u64; 0]);
}

pub async fn waiting_ends_with_an_append(bed: Bed) {
    let other = bed.other().await;
    append(bed.store.as_ref(), [Show::new().scheduled(&[])]).await;
    bed.store.wait(Position::START).await;
    for round in 1..20 {
        let seen = async {
            while other.head().await.expect("reads") == Position(round) {
                other.wait(Position(round)).await;
            }
        };
        let written = append(bed.store.as_ref(), [Show::new().scheduled(&[])]);
        let both = async { futures::join!(seen, written).1 };
        let last = tokio::time::timeout(PATIENCE, both).await.expect("is woken");
        assert_eq!(last, Position(round + 1));
        assert_eq!(other.head().await.expect("reads"), last);
    }
}

pub async fn waiting_ends_without_one(bed: Bed) {
    let wait = bed.store.wait(Position(5)).fuse();
    let ticks = async {
        loop {
            bed.tick().await;
        }
    }
    .fuse();
    let mut both = std::pin::pin!(async {
        let (mut wait, mut ticks) = (std::pin::pin!(wait), std::pin::pin!(ticks));
        futures::select! { () = wait => {}, () = ticks => {} }
    });
    tokio::time::timeout(PATIENCE, &mut both).await.expect("ends by itself");
}
