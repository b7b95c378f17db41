//! What every bus does, in memory, on Redis and on a Redis Cluster.

mod rooms;

use domain::envelope::Position;
use domain::ports::{Audience, FeedPosition, PortError, Report};
use projections::viewer_feed::{
    CHAT_MESSAGES_MAX, FeedLimits, STREAM_MESSAGES_MAX, SUBSCRIBER_MESSAGES_MAX, merge_patch,
};
use rand::Rng;
use serde_json::{Value, json};

use self::rooms::{
    a_sum_stands_beside_its_stream_and_dies_with_it,
    an_audience_is_the_sum_of_the_nodes_that_still_say_so, counts_are_added_up_and_patched_in,
    viewers_are_counted_once_and_their_most_is_known,
};
use super::harness::{Harness, Kind, channel, key, soon};

macro_rules! on_every_bus {
    ($($test:ident),+ $(,)?) => {
        mod memory { $(#[tokio::test] async fn $test() { super::$test(super::Kind::Memory).await; })+ }
        mod redis { $(#[tokio::test] async fn $test() { super::$test(super::Kind::Redis).await; })+ }
        mod cluster { $(#[tokio::test] async fn $test() { super::$test(super::Kind::Cluster).await; })+ }
    };
}

on_every_bus!(
    a_version_suppresses_repeats_of_its_channel_and_key,
    offsets_of_a_stream_are_contiguous,
    a_channel_exists_once_it_was_read,
    history_is_all_or_nothing,
    history_ends_at_the_named_limit,
    a_snapshot_is_the_fold_of_its_patches,
    large_patches_and_exact_numbers,
    subscribers_get_every_message_in_order,
    channels_do_not_mix,
    a_slow_subscriber_fails_and_does_not_grow,
    a_slow_subscriber_does_not_hold_others_up,
    a_lost_channel_has_a_new_epoch,
    a_subscriber_notices_that_its_channel_started_again,
    publishers_at_once_lose_nothing,
    what_is_appended_stands_in_the_stream,
    a_chat_keeps_its_named_messages,
    counts_are_added_up_and_patched_in,
    an_audience_is_the_sum_of_the_nodes_that_still_say_so,
    viewers_are_counted_once_and_their_most_is_known,
    a_sum_stands_beside_its_stream_and_dies_with_it,
);

async fn bus(kind: Kind) -> Harness {
    Harness::start(kind, FeedLimits::default()).await
}

async fn a_version_suppresses_repeats_of_its_channel_and_key(kind: Kind) {
    let harness = bus(kind).await;
    let (one, other) = (channel("user#acme/"), channel("user#acme/"));
    let push = async |channel: &str, by: u128, version: u64| {
        harness
            .bus
            .push(channel, key(by), Position(version), &json!({"v": version}))
            .await
            .unwrap();
        harness.bus.history(channel, None).await.unwrap().top.offset
    };
    assert_eq!(push(&one, 1, 5).await, 1);
    assert_eq!(push(&one, 1, 5).await, 1, "a repeat");
    assert_eq!(push(&one, 1, 4).await, 1, "the past");
    assert_eq!(push(&one, 2, 4).await, 2, "another key has versions of its own");
    assert_eq!(push(&other, 1, 4).await, 1, "another channel has versions of its own");
    assert_eq!(push(&one, 1, 10).await, 3, "numbers are compared, not texts");
    assert_eq!(push(&one, 1, 9).await, 3);
    assert_eq!(harness.bus.version(&one, key(1)).await.unwrap(), Position(10));
    assert_eq!(harness.bus.version(&one, key(3)).await.unwrap(), Position::START);

    let live = channel("live:");
    harness.bus.patch(&live, key(1), Position(2), &json!({"a": 2})).await.unwrap();
    harness.bus.patch(&live, key(1), Position(1), &json!({"a": 1})).await.unwrap();
    harness.bus.patch(&live, key(1), Position(2), &json!({"a": 3})).await.unwrap();
    let snapshot = harness.bus.snapshot(&live).await.unwrap();
    assert_eq!((snapshot.data, snapshot.position.offset), (json!({"a": 2}), 1));
}

async fn offsets_of_a_stream_are_contiguous(kind: Kind) {
    let harness = bus(kind).await;
    let stream = channel("user#acme/");
    let start = harness.bus.history(&stream, None).await.unwrap().top;
    for version in 1..=20 {
        harness
            .bus
            .push(&stream, key(version.into()), Position(version), &json!(version))
            .await
            .unwrap();
    }
    let history = harness.bus.history(&stream, Some(&start)).await.unwrap();
    let messages = history.messages.expect("all of it");
    let offsets: Vec<u64> = messages.iter().map(|message| message.position.offset).collect();
    assert_eq!(offsets, (1..=20).collect::<Vec<_>>());
    assert!(messages.iter().all(|message| message.position.epoch == start.epoch));
    assert_eq!(history.top, FeedPosition { epoch: start.epoch, offset: 20 });
}

async fn a_channel_exists_once_it_was_read(kind: Kind) {
    let harness = bus(kind).await;
    let live = channel("live:");
    let first = harness.bus.snapshot(&live).await.unwrap();
    assert_eq!((first.data, first.position.offset), (json!({}), 0));
    assert!(!first.position.epoch.is_empty());
    assert_eq!(harness.bus.snapshot(&live).await.unwrap().position, first.position);
}

async fn history_is_all_or_nothing(kind: Kind) {
    let limits = FeedLimits { stream_messages: 3, ..FeedLimits::default() };
    let harness = Harness::start(kind, limits).await;
    let stream = channel("user#acme/");
    let epoch = harness.bus.history(&stream, None).await.unwrap().top.epoch;
    for version in 1..=5 {
        harness.bus.push(&stream, key(1), Position(version), &json!(version)).await.unwrap();
    }
    let after = async |epoch: &str, offset: u64| {
        let after = FeedPosition { epoch: epoch.to_owned(), offset };
        let history = harness.bus.history(&stream, Some(&after)).await.unwrap();
        assert_eq!(history.top.offset, 5);
        let data = |messages: Vec<domain::ports::FeedMessage>| {
            messages.iter().map(|message| (*message.data).clone()).collect::<Vec<Value>>()
        };
        history.messages.map(data)
    };
    assert_eq!(after(&epoch, 2).await, Some(vec![json!(3), json!(4), json!(5)]));
    assert_eq!(after(&epoch, 4).await, Some(vec![json!(5)]));
    assert_eq!(after(&epoch, 5).await, Some(vec![]));
    assert_eq!(after(&epoch, 1).await, None, "the second message is gone");
    assert_eq!(after(&epoch, 6).await, None, "a place that was never reached");
    assert_eq!(after("another", 4).await, None, "another life of the channel");
}

async fn history_ends_at_the_named_limit(kind: Kind) {
    let harness = bus(kind).await;
    let stream = channel("user#acme/");
    let start = harness.bus.history(&stream, None).await.unwrap().top;
    let recovers = async |start: &FeedPosition| {
        harness.bus.history(&stream, Some(start)).await.unwrap().messages.map(|all| all.len())
    };
    let last = u64::try_from(STREAM_MESSAGES_MAX).unwrap();
    for version in 1..=last {
        harness.bus.push(&stream, key(1), Position(version), &json!(version)).await.unwrap();
    }
    assert_eq!(recovers(&start).await, Some(STREAM_MESSAGES_MAX));
    harness.bus.push(&stream, key(1), Position(last + 1), &json!(0)).await.unwrap();
    assert_eq!(recovers(&start).await, None);
}

/// A patch of small names and values, so that patches meet each other.
fn any_patch(random: &mut impl Rng, depth: u32) -> Value {
    let members = random.random_range(0..4);
    let mut patch = serde_json::Map::new();
    for _ in 0..members {
        let name = ["a", "b", "a/b", "~", ""][random.random_range(0..5)];
        let value = match random.random_range(0..6) {
            0 => Value::Null,
            1 => json!(random.random_range(-5..5)),
            2 => json!([1, {"x": null}]),
            3 => json!("{"),
            _ if depth == 0 => json!({}),
            _ => any_patch(random, depth - 1),
        };
        patch.insert(name.to_owned(), value);
    }
    Value::Object(patch)
}

async fn a_snapshot_is_the_fold_of_its_patches(kind: Kind) {
    use rand::SeedableRng;
    let harness = bus(kind).await;
    for seed in 0..20 {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let live = channel("live:");
        let mut folded = json!({});
        for version in 1..=30 {
            let patch = any_patch(&mut random, 3);
            harness.bus.patch(&live, key(1), Position(version), &patch).await.unwrap();
            merge_patch(&mut folded, &patch);
            if version % 10 == 0 {
                let snapshot = harness.bus.snapshot(&live).await.unwrap();
                assert_eq!(snapshot.data, folded, "seed {seed}, version {version}");
                assert_eq!(snapshot.position.offset, version);
            }
        }
    }
}

async fn large_patches_and_exact_numbers(kind: Kind) {
    let harness = bus(kind).await;
    let live = channel("live:");
    let skus: serde_json::Map<String, Value> = (0..3_000)
        .map(|sku| {
            (format!("sku-{sku}"), json!({"remaining": i64::MAX - sku, "name": "핑크 / ~ \""}))
        })
        .collect();
    let patch = json!({"big": 9_007_199_254_740_993_u64, "skus": skus});
    harness.bus.patch(&live, key(1), Position(1), &patch).await.unwrap();
    assert_eq!(harness.bus.snapshot(&live).await.unwrap().data, patch);
}

async fn subscribers_get_every_message_in_order(kind: Kind) {
    let harness = bus(kind).await;
    let (stream, live) = (channel("user#acme/"), channel("live:"));
    harness.bus.push(&stream, key(1), Position(1), &json!("before")).await.unwrap();
    let mut messages = harness.bus.subscribe(&stream).await.unwrap();
    let mut patches = harness.bus.subscribe(&live).await.unwrap();
    for version in 2..=50 {
        harness.bus.push(&stream, key(1), Position(version), &json!(version)).await.unwrap();
        harness.bus.patch(&live, key(1), Position(version), &json!({"n": version})).await.unwrap();
    }
    for version in 2..=50 {
        let message = soon(messages.next()).await.unwrap();
        assert_eq!((message.position.offset, &*message.data), (version, &json!(version)));
        let patch = soon(patches.next()).await.unwrap();
        assert_eq!((patch.position.offset, &*patch.data), (version - 1, &json!({"n": version})));
    }
}

async fn channels_do_not_mix(kind: Kind) {
    let harness = bus(kind).await;
    // A hash tag ends at the first brace; names that viewers choose may hold one.
    let (one, other) = (channel("user#acme/a}b{c "), channel("user#acme/"));
    let mut messages = harness.bus.subscribe(&one).await.unwrap();
    harness.bus.push(&other, key(1), Position(1), &json!("other")).await.unwrap();
    harness.bus.push(&one, key(1), Position(1), &json!("one")).await.unwrap();
    assert_eq!(*soon(messages.next()).await.unwrap().data, json!("one"));
}

async fn a_slow_subscriber_fails_and_does_not_grow(kind: Kind) {
    let harness = bus(kind).await;
    let stream = channel("user#acme/");
    let mut slow = harness.bus.subscribe(&stream).await.unwrap();
    let mut witness = harness.bus.subscribe(&stream).await.unwrap();
    let last = u64::try_from(SUBSCRIBER_MESSAGES_MAX).unwrap() + 1;
    for version in 1..=last {
        harness.bus.push(&stream, key(1), Position(version), &json!(version)).await.unwrap();
        assert_eq!(soon(witness.next()).await.unwrap().position.offset, version);
    }
    for version in 1..last {
        assert_eq!(soon(slow.next()).await.unwrap().position.offset, version, "what was queued");
    }
    assert!(matches!(soon(slow.next()).await, Err(PortError::Unavailable { .. })));
}

async fn a_slow_subscriber_does_not_hold_others_up(kind: Kind) {
    let limits = FeedLimits { subscriber_messages: 2, ..FeedLimits::default() };
    let harness = Harness::start(kind, limits).await;
    let stream = channel("user#acme/");
    let _slow = harness.bus.subscribe(&stream).await.unwrap();
    let mut quick = harness.bus.subscribe(&stream).await.unwrap();
    for version in 1..=50 {
        harness.bus.push(&stream, key(1), Position(version), &json!(version)).await.unwrap();
        assert_eq!(soon(quick.next()).await.unwrap().position.offset, version);
    }
}

async fn a_lost_channel_has_a_new_epoch(kind: Kind) {
    let harness = bus(kind).await;
    let stream = channel("user#acme/");
    harness.bus.push(&stream, key(1), Position(7), &json!(1)).await.unwrap();
    let before = harness.bus.history(&stream, None).await.unwrap().top;
    harness.lose(&stream).await;
    let history = harness.bus.history(&stream, Some(&before)).await.unwrap();
    assert_ne!(history.top.epoch, before.epoch);
    assert_eq!(history.messages, None);
    assert_eq!(harness.bus.version(&stream, key(1)).await.unwrap(), Position::START);
    harness.bus.push(&stream, key(1), Position(7), &json!(1)).await.unwrap();
    assert_eq!(harness.bus.history(&stream, None).await.unwrap().top.offset, 1);
}

async fn a_subscriber_notices_that_its_channel_started_again(kind: Kind) {
    let harness = bus(kind).await;
    let live = channel("live:");
    harness.bus.patch(&live, key(1), Position(1), &json!({"a": 1})).await.unwrap();
    let mut patches = harness.bus.subscribe(&live).await.unwrap();
    harness.lose(&live).await;
    harness.bus.patch(&live, key(1), Position(2), &json!({"a": 2})).await.unwrap();
    assert!(soon(patches.next()).await.is_err());
    let mut patches = harness.bus.subscribe(&live).await.unwrap();
    harness.bus.patch(&live, key(1), Position(3), &json!({"a": 3})).await.unwrap();
    assert_eq!(*soon(patches.next()).await.unwrap().data, json!({"a": 3}));
}

async fn publishers_at_once_lose_nothing(kind: Kind) {
    let harness = bus(kind).await;
    let stream = channel("user#acme/");
    let mut messages = harness.bus.subscribe(&stream).await.unwrap();
    let publish = async |by: u128| {
        for version in 1..=20 {
            let data = json!({"by": u64::try_from(by).unwrap(), "version": version});
            harness.bus.push(&stream, key(by), Position(version), &data).await.unwrap();
        }
    };
    futures::future::join_all((1..=5).map(publish)).await;
    let mut last = [0_u64; 6];
    for offset in 1..=100 {
        let message = soon(messages.next()).await.unwrap();
        assert_eq!(message.position.offset, offset);
        let by = usize::try_from(message.data["by"].as_u64().unwrap()).unwrap();
        let version = message.data["version"].as_u64().unwrap();
        assert_eq!(version, last[by] + 1, "in order of its publisher");
        last[by] = version;
    }
    assert_eq!(last[1..], [20; 5]);
}

async fn what_is_appended_stands_in_the_stream(kind: Kind) {
    let harness = bus(kind).await;
    let stream = channel("node:");
    let mut messages = harness.bus.subscribe(&stream).await.unwrap();
    let first = harness.bus.append(&stream, &json!({"n": 1})).await.unwrap();
    let second = harness.bus.append(&stream, &json!({"n": 1})).await.unwrap();
    assert_eq!((first.offset, second.offset), (1, 2), "the same may come twice");
    for place in [&first, &second] {
        let message = soon(messages.next()).await.unwrap();
        assert_eq!((&message.position, &*message.data), (place, &json!({"n": 1})));
    }
    let history = harness.bus.history(&stream, Some(&first)).await.unwrap();
    assert_eq!(history.messages.unwrap().len(), 1);
}

async fn a_chat_keeps_its_named_messages(kind: Kind) {
    let harness = bus(kind).await;
    let chat = channel("chat:");
    let epoch = harness.bus.history(&chat, None).await.unwrap().top.epoch;
    for number in 0..=CHAT_MESSAGES_MAX {
        harness.bus.append(&chat, &json!(number)).await.unwrap();
    }
    let after = async |offset: u64| {
        let after = FeedPosition { epoch: epoch.clone(), offset };
        harness.bus.history(&chat, Some(&after)).await.unwrap().messages
    };
    assert_eq!(after(1).await.map(|messages| messages.len()), Some(CHAT_MESSAGES_MAX));
    assert_eq!(after(0).await, None);
}
