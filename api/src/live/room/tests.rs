//! The room as its watchers see it.

use std::num::NonZero;

use super::super::codec::Codec;
use super::*;
use uuid::Uuid;

fn room() -> Room {
    let room = Room::new(
        BroadcastId(Uuid::nil()),
        SellerId::try_new("acme").unwrap(),
        &Shards::new(NonZero::<usize>::MIN),
    );
    room.load(Snapshot { position: at(0), data: json!({"a": 0}) });
    room
}

fn at(offset: u64) -> FeedPosition {
    FeedPosition { epoch: "e".to_owned(), offset }
}

fn patch(room: &Room, offset: u64, data: Value) {
    room.take(&FeedMessage { position: at(offset), data: Arc::new(data) });
}

fn decoded(frame: &Frame) -> Value {
    serde_json::from_slice(&frame.bytes(Codec::Json)).unwrap()
}

fn data(frame: &Frame) -> (u64, Value) {
    let frame = decoded(frame);
    let publication = &frame["push"]["pub"];
    (publication["offset"].as_u64().unwrap(), publication["data"].clone())
}

fn caught(room: &Room, next: u64) -> (Arc<Frame>, u64) {
    let Catch::One { frame, next } = room.catch_up(next) else { panic!("no patch") };
    (frame, next)
}

#[test]
fn watchers_share_a_frame_and_catch_up_with_a_sum() {
    let room = room();
    let outbox = Arc::new(Outbox::new(Codec::Json));
    let (begun, next) = room.join(&outbox, None, Timestamp::default()).unwrap();
    assert_eq!((begun.offset, begun.recovered), (0, false));
    assert!(matches!(room.catch_up(next), Catch::Nothing));
    patch(&room, 1, json!({"a": 1}));
    assert!(matches!(room.catch_up(next), Catch::Nothing), "only a flush sends");
    patch(&room, 2, json!({"b": 2}));
    room.flush();
    let ((one, after), (other, _)) = (caught(&room, next), caught(&room, next));
    for codec in [Codec::Json, Codec::Protobuf] {
        let (one, other) = (one.bytes(codec), other.bytes(codec));
        assert_eq!(one.as_ptr(), other.as_ptr(), "encoded once per codec");
    }
    assert_eq!(data(&one), (2, json!({"a": 1, "b": 2})));
    patch(&room, 3, json!({"a": null}));
    room.flush();
    assert_eq!(data(&caught(&room, after).0), (3, json!({"a": null})));
    assert_eq!(data(&caught(&room, next).0), (3, json!({"a": null, "b": 2})));
}

#[test]
fn too_far_behind_is_a_snapshot() {
    let room = room();
    let outbox = Arc::new(Outbox::new(Codec::Json));
    let (_, next) = room.join(&outbox, None, Timestamp::default()).unwrap();
    let max = u64::try_from(ROOM_PATCHES_MAX).unwrap();
    for offset in 1..=max {
        patch(&room, offset, json!({"a": offset}));
        room.flush();
    }
    assert_eq!(data(&caught(&room, next).0), (max, json!({"a": max})));
    patch(&room, max + 1, json!({"a": 0}));
    room.flush();
    let Catch::Again { snapshot, .. } = room.catch_up(next) else { panic!("no snapshot") };
    let frame = decoded(&snapshot);
    assert_eq!(frame["push"]["subscribe"]["data"]["a"], 0);
    assert_eq!(frame["push"]["subscribe"]["offset"], max + 1);
}

#[test]
fn a_room_that_begins_again_tells_its_watchers() {
    let room = room();
    let outbox = Arc::new(Outbox::new(Codec::Json));
    let (_, next) = room.join(&outbox, None, Timestamp::default()).unwrap();
    room.load(Snapshot { position: at(0), data: json!({"a": 0}) });
    assert!(matches!(room.catch_up(next), Catch::Nothing), "nothing was missed");
    let position = FeedPosition { epoch: "f".to_owned(), offset: 0 };
    room.load(Snapshot { position, data: json!({"a": 5}) });
    patch(&room, 1, json!({"a": 6}));
    assert!(matches!(room.catch_up(next), Catch::Again { .. }));
}

#[test]
fn a_snapshot_has_the_time_and_recovers_where_nothing_changed() {
    let room = room();
    let outbox = Arc::new(Outbox::new(Codec::Json));
    let (begun, _) = room.join(&outbox, Some(&at(0)), Timestamp::UNIX_EPOCH).unwrap();
    assert!(begun.was_recovering && begun.recovered);
    let state: Value = serde_json::from_slice(&begun.data).unwrap();
    let told = json!({"a": 0, "server_time": "1970-01-01T00:00:00Z"});
    let always = json!({"spotlights": {}, "viewer_count": 0, "like_count": 0});
    let mut all = told;
    merge_patch(&mut all, &always);
    assert_eq!(state, all, "what is counted is there before anybody counts");
    let (begun, _) = room.join(&outbox, Some(&at(1)), Timestamp::UNIX_EPOCH).unwrap();
    assert!(begun.was_recovering && !begun.recovered);
}

#[test]
fn a_room_closes_only_when_nobody_watches() {
    let room = room();
    let outbox = Arc::new(Outbox::new(Codec::Json));
    room.join(&outbox, None, Timestamp::default()).unwrap();
    assert!(!room.close_if_empty());
    room.leave(&outbox);
    assert!(room.close_if_empty());
    assert!(room.join(&outbox, None, Timestamp::default()).is_none());
}
