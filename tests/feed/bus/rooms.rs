//! Counts of a room, and what a stream comes to.

use super::*;

pub(super) async fn counts_are_added_up_and_patched_in(kind: Kind) {
    let harness = bus(kind).await;
    let live = channel("live:");
    harness.bus.patch(&live, key(1), Position(1), &json!({"a": 1})).await.unwrap();
    let mut patches = harness.bus.subscribe(&live).await.unwrap();
    assert_eq!(harness.bus.add(&live, "like_count", 3, 0).await.unwrap(), 3);
    assert_eq!(harness.bus.add(&live, "like_count", 4, 2).await.unwrap(), 7);
    assert_eq!(harness.bus.add(&live, "like_count", 0, 7).await.unwrap(), 7, "nothing new");
    assert_eq!(harness.bus.add(&live, "like_count", 1, 100).await.unwrap(), 101, "it was lost");
    for sum in [3, 7, 101] {
        assert_eq!(*soon(patches.next()).await.unwrap().data, json!({"like_count": sum}));
    }
    let snapshot = harness.bus.snapshot(&live).await.unwrap();
    assert_eq!(snapshot.data, json!({"a": 1, "like_count": 101}));
    assert_eq!(snapshot.position.offset, 4);
}

pub(super) async fn an_audience_is_the_sum_of_the_nodes_that_still_say_so(kind: Kind) {
    let harness = bus(kind).await;
    let live = channel("live:");
    let long = std::time::Duration::from_mins(1);
    let says = async |node: &str, clients: u32, viewers: u32, lasting| {
        let audience = Audience { clients, viewers };
        let report = Report { node, audience, came: &[], lasting };
        let sum = harness.bus.report(&live, &report).await.unwrap().audience;
        (sum.clients, sum.viewers)
    };
    assert_eq!(says("one", 3, 2, long).await, (3, 2));
    assert_eq!(says("two", 5, 5, long).await, (8, 7));
    assert_eq!(says("two", 5, 5, long).await, (8, 7));
    assert_eq!(says("one", 1, 1, long).await, (6, 6));
    let snapshot = harness.bus.snapshot(&live).await.unwrap();
    assert_eq!((snapshot.data, snapshot.position.offset), (json!({"viewer_count": 6}), 3));
    assert_eq!(says("two", 5, 5, std::time::Duration::ZERO).await, (1, 1), "its word has run out");
}

pub(super) async fn viewers_are_counted_once_and_their_most_is_known(kind: Kind) {
    let harness = bus(kind).await;
    let live = channel("live:");
    let says = async |node: &str, viewers: u32, came: &[u64]| {
        let audience = Audience { clients: viewers, viewers };
        let lasting = std::time::Duration::from_mins(1);
        let report = Report { node, audience, came, lasting };
        let attendance = harness.bus.report(&live, &report).await.unwrap();
        (attendance.audience.viewers, attendance.peak, attendance.distinct)
    };
    assert_eq!(says("one", 0, &[]).await, (0, 0, 0));
    assert_eq!(says("one", 3, &[1, 2, 3]).await, (3, 3, 3));
    assert_eq!(says("two", 2, &[3, u64::MAX]).await, (5, 5, 4), "one is at both nodes");
    assert_eq!(says("one", 1, &[2]).await, (3, 5, 4), "two have gone");
    let many: Vec<u64> = (0..5_000).map(|_| rand::random()).collect();
    let (_, _, distinct) = says("two", 2, &many).await;
    assert!((4_850..=5_160).contains(&distinct), "{distinct}");
    assert_eq!(says("two", 2, &many).await.2, distinct, "nobody is counted twice");
    harness.lose(&live).await;
    assert_eq!(says("two", 2, &many[..3]).await, (2, 2, 3), "a lost channel counts from nothing");
}

pub(super) async fn a_sum_stands_beside_its_stream_and_dies_with_it(kind: Kind) {
    let harness = bus(kind).await;
    let own = channel("user#acme/");
    assert_eq!(harness.bus.sum(&own).await.unwrap(), None);
    let first = harness.bus.append(&own, &json!({"n": 1})).await.unwrap();
    let second = harness.bus.append(&own, &json!({"n": 2})).await.unwrap();
    let known = async || {
        let sum = harness.bus.sum(&own).await.unwrap();
        sum.map(|sum| (sum.position, (*sum.data).clone()))
    };
    harness.bus.sum_up(&own, &second, &json!(["two"])).await.unwrap();
    assert_eq!(known().await, Some((second.clone(), json!(["two"]))));
    harness.bus.sum_up(&own, &first, &json!(["one"])).await.unwrap();
    let ahead = FeedPosition { offset: 3, ..second.clone() };
    harness.bus.sum_up(&own, &ahead, &json!(["three"])).await.unwrap();
    let elsewhere = FeedPosition { epoch: "x".to_owned(), offset: 2 };
    harness.bus.sum_up(&own, &elsewhere, &json!(["x"])).await.unwrap();
    assert_eq!(known().await, Some((second.clone(), json!(["two"]))), "the past, or nothing");
    harness.bus.sum_up(&own, &second, &json!([])).await.unwrap();
    assert_eq!(known().await, Some((second.clone(), json!([]))), "the same place again");
    let history = harness.bus.history(&own, Some(&first)).await.unwrap();
    assert_eq!(
        (history.top, history.messages.unwrap().len()),
        (second, 1),
        "the stream is as it was"
    );
    harness.lose(&own).await;
    assert_eq!(known().await, None);
}
