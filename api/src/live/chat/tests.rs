//! The chat as its watchers see it.

use super::super::codec::Codec;
use super::*;
use std::num::NonZero;

use domain::actor::Role;
use domain::ids::{SellerId, ViewerRef};
use uuid::Uuid;

use super::super::token::Claims;

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn chat() -> Chat {
    let chat = Chat::new(BroadcastId(Uuid::nil()), &Shards::new(NonZero::<usize>::MIN));
    let top = FeedPosition { epoch: "e".to_owned(), offset: 0 };
    chat.load(History { top, messages: Some(vec![]) }, now());
    chat
}

fn outbox(viewer: &str) -> Arc<Outbox> {
    let outbox = Arc::new(Outbox::new(Codec::Json));
    let claims = Claims {
        seller: SellerId::try_new("acme").unwrap(),
        subject: ViewerId::try_new(viewer).unwrap(),
        name: None,
        role: Role::Viewer,
        anonymous: false,
        expires_at: now(),
    };
    outbox.set_viewer(Arc::new(claims), ViewerRef::try_new(viewer).unwrap());
    outbox
}

fn message(offset: u64, viewer: &str, text: &str) -> FeedMessage {
    let position = FeedPosition { epoch: "e".to_owned(), offset };
    let viewer = json!({"id": viewer, "role": "viewer"});
    let data =
        json!({"type": "chat", "id": format!("m{offset}"), "viewer": viewer, "message": text});
    FeedMessage { position, data: Arc::new(data) }
}

fn said(catch: Catch) -> Vec<String> {
    let Catch::One { frame, .. } = catch else { return vec![] };
    let bytes = frame.bytes(Codec::Json);
    let data = |line: &str| {
        let frame: Value = serde_json::from_str(line).unwrap();
        let data = &frame["push"]["pub"]["data"];
        data["message"].as_str().map_or_else(|| data["count"].to_string(), str::to_owned)
    };
    std::str::from_utf8(&bytes).unwrap().lines().map(data).collect()
}

fn next(outbox: &Arc<Outbox>, chat: &Chat) -> u64 {
    chat.join(outbox, None, json!({}), now()).unwrap().1
}

#[test]
fn a_busy_chat_is_sampled_and_an_own_message_is_always_echoed() {
    let (chat, ana, bo) = (chat(), outbox("ana"), outbox("bo"));
    let from = next(&ana, &chat);
    let shown = u64::from(CHAT_SHOWN_PER_SECOND);
    for offset in 1..=shown + 3 {
        chat.take(&message(offset, "bo", &offset.to_string()), now()).unwrap();
    }
    let seen = said(chat.catch_up(from, ana.subject()));
    let mut expected = vec!["3".to_owned()];
    expected.extend((1..=shown).map(|offset| offset.to_string()));
    assert_eq!(seen, expected, "how many were left out, then the others in order");
    assert_eq!(said(chat.catch_up(from, bo.subject())).len(), usize::try_from(shown).unwrap() + 3);
    let later = now() + TimeDelta::seconds(1);
    chat.take(&message(shown + 4, "bo", "later"), later).unwrap();
    assert_eq!(said(chat.catch_up(from + shown + 3, ana.subject())), ["later"]);
}

#[test]
fn a_slow_reader_loses_the_oldest_and_is_told_how_many() {
    let (chat, ana) = (chat(), outbox("ana"));
    let from = next(&ana, &chat);
    let count = u64::try_from(CHAT_BACKLOG_MESSAGES_MAX).unwrap() + 10;
    for offset in 1..=count {
        let at = now() + TimeDelta::seconds(i64::try_from(offset / 10).unwrap());
        chat.take(&message(offset, "bo", &offset.to_string()), at).unwrap();
    }
    let seen = said(chat.catch_up(from, ana.subject()));
    assert_eq!((seen.len(), seen[0].as_str()), (CHAT_BACKLOG_MESSAGES_MAX + 1, "10"));
    assert_eq!((seen[1].as_str(), seen.last().unwrap()), ("11", &count.to_string()));
    let long = "x".repeat(CHAT_BACKLOG_BYTES_MAX / 3);
    for offset in count + 1..=count + 4 {
        let at = now() + TimeDelta::seconds(60);
        chat.take(&message(offset, "bo", &long), at).unwrap();
    }
    let seen = said(chat.catch_up(from + count, ana.subject()));
    assert_eq!((seen.len(), seen[0].as_str()), (3, "2"), "two fit into the bytes");
}

#[test]
fn a_recovery_is_all_or_nothing() {
    let (chat, ana) = (chat(), outbox("ana"));
    for offset in 1..=3 {
        chat.take(&message(offset, "bo", "hi"), now()).unwrap();
    }
    let begin = |epoch: &str, offset, now| {
        let after = FeedPosition { epoch: epoch.to_owned(), offset };
        let (begun, _) = chat.join(&ana, Some(&after), json!({"a": 1}), now).unwrap();
        (begun.recovered, begun.publications.len(), begun.data)
    };
    assert_eq!(begin("e", 1, now()), (true, 2, Bytes::new()));
    assert_eq!(begin("e", 3, now()), (true, 0, Bytes::new()));
    for (epoch, offset) in [("e", 4), ("f", 1)] {
        let (recovered, missed, data) = begin(epoch, offset, now());
        let data: Value = serde_json::from_slice(&data).unwrap();
        assert_eq!((recovered, missed, &data["a"]), (false, 0, &json!(1)));
        assert_eq!(data["messages"].as_array().unwrap().len(), 3);
    }
    let late = now() + TimeDelta::from_std(CHAT_KEPT).unwrap();
    assert!(!begin("e", 1, late).0, "messages are kept for so long");
    let count = u64::try_from(CHAT_MESSAGES_MAX).unwrap();
    for offset in 4..=count + 1 {
        chat.take(&message(offset, "bo", "hi"), late).unwrap();
    }
    assert_eq!(begin("e", count, late).1, 1);
    assert!(!begin("e", 0, late).0, "so many are kept");
}

#[test]
fn removed_and_hidden_messages_are_nobody_elses() {
    let (chat, ana, bo) = (chat(), outbox("ana"), outbox("bo"));
    let from = next(&ana, &chat);
    let hidden = json!({"shadow": *message(1, "bo", "hidden").data});
    let position = message(1, "bo", "").position;
    chat.take(&FeedMessage { position, data: Arc::new(hidden) }, now()).unwrap();
    chat.take(&message(2, "bo", "rude"), now()).unwrap();
    assert_eq!(said(chat.catch_up(from, ana.subject())), ["rude"]);
    assert_eq!(said(chat.catch_up(from, bo.subject())), ["hidden", "rude"]);
    let removed = json!({"type": "removed", "id": "m2"});
    let position = FeedPosition { epoch: "e".to_owned(), offset: 3 };
    chat.take(&FeedMessage { position, data: Arc::new(removed) }, now()).unwrap();
    assert_eq!(said(chat.catch_up(from, ana.subject())), ["null"], "only the removal");
    assert_eq!(chat.history(ana.subject(), now()).messages.unwrap().len(), 1);
}

#[test]
fn a_chat_that_begins_again_tells_its_watchers() {
    let (chat, ana) = (chat(), outbox("ana"));
    let from = next(&ana, &chat);
    chat.take(&message(1, "bo", "hi"), now()).unwrap();
    assert!(chat.take(&message(3, "bo", "hi"), now()).is_err(), "one is missing");
    let top = FeedPosition { epoch: "e".to_owned(), offset: 2 };
    let messages = Some(vec![message(1, "bo", "hi"), message(2, "bo", "ho")]);
    chat.load(History { top, messages }, now());
    assert_eq!(said(chat.catch_up(from, ana.subject())), ["hi", "ho"], "filled");
    let top = FeedPosition { epoch: "f".to_owned(), offset: 0 };
    chat.load(History { top, messages: Some(vec![]) }, now());
    assert!(matches!(chat.catch_up(from + 2, ana.subject()), Catch::Again { .. }));
}

#[test]
fn what_most_lack_is_encoded_once() {
    let (chat, ana, bo) = (chat(), outbox("ana"), outbox("bo"));
    let from = next(&ana, &chat);
    let lacking = |viewer: &Arc<Outbox>| {
        let Catch::One { frame, .. } = chat.catch_up(from, viewer.subject()) else { panic!() };
        frame
    };
    for offset in 1..=4 {
        chat.take(&message(offset, "cy", "hi"), now()).unwrap();
    }
    assert!(Arc::ptr_eq(&lacking(&ana), &lacking(&bo)));
    assert!(chat.flush() && !chat.flush(), "something new is new once");
    let hidden = json!({"shadow": *message(5, "bo", "hidden").data});
    let position = message(5, "bo", "").position;
    chat.take(&FeedMessage { position, data: Arc::new(hidden) }, now()).unwrap();
    assert!(!Arc::ptr_eq(&lacking(&ana), &lacking(&bo)), "one of them sees more");
    let alone = chat.catch_up(from + 4, ana.subject());
    assert!(
        matches!(alone, Catch::Passed { next } if next == from + 5),
        "it is not looked at again"
    );
}
