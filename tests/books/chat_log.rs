//! What every chat log does.

use chrono::{DateTime, TimeDelta};
use domain::Timestamp;
use domain::actor::Role;
use domain::ids::{BroadcastId, SellerId, ViewerId};
use domain::ports::ChatRecord;
use uuid::Uuid;

use super::on_every_adapter;
use super::setup::Books;

on_every_adapter!(
    what_was_said_is_read_oldest_first_and_once,
    a_message_is_found_in_its_broadcast,
    what_is_too_old_is_forgotten,
);

fn at(seconds: i64) -> Timestamp {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn record(number: u128, broadcast: u128, seconds: i64) -> ChatRecord {
    ChatRecord {
        id: Uuid::from_u128(number),
        broadcast: BroadcastId(Uuid::from_u128(broadcast)),
        seller: SellerId::try_new("acme").unwrap(),
        viewer: ViewerId::try_new("ana").unwrap(),
        name: "Ana".to_owned(),
        role: Role::Viewer,
        message: format!("안녕 {number}"),
        sent_at: at(seconds),
        hidden: number.is_multiple_of(2),
    }
}

async fn what_was_said_is_read_oldest_first_and_once(books: Books) {
    let log = books.chat;
    // two of one moment, and one of another broadcast between
    let said = [record(3, 1, 30), record(1, 1, 10), record(4, 1, 10), record(9, 2, 20)];
    log.append(&said).await.unwrap();
    log.append(&said).await.unwrap();
    log.append(&[]).await.unwrap();
    let broadcast = said[0].broadcast;
    let first = log.page(broadcast, None, 2).await.unwrap();
    assert_eq!(first.items, [said[1].clone(), said[2].clone()]);
    let cursor = first.next_cursor.expect("there is more");
    let last = log.page(broadcast, Some(&cursor), 2).await.unwrap();
    assert_eq!((last.items, last.next_cursor), (vec![said[0].clone()], None));
    assert!(log.page(broadcast, Some("no cursor"), 2).await.is_err());
    let nowhere = BroadcastId(Uuid::from_u128(7));
    assert!(log.page(nowhere, None, 2).await.unwrap().items.is_empty());
}

async fn a_message_is_found_in_its_broadcast(books: Books) {
    let log = books.chat;
    let said = record(1, 1, 10);
    log.append(std::slice::from_ref(&said)).await.unwrap();
    assert_eq!(log.message(said.broadcast, said.id).await.unwrap(), Some(said.clone()));
    let elsewhere = BroadcastId(Uuid::from_u128(2));
    assert_eq!(log.message(elsewhere, said.id).await.unwrap(), None);
    assert_eq!(log.message(said.broadcast, Uuid::nil()).await.unwrap(), None);
}

async fn what_is_too_old_is_forgotten(books: Books) {
    let log = books.chat;
    let said = [record(1, 1, 10), record(2, 1, 20), record(3, 1, 30)];
    log.append(&said).await.unwrap();
    assert_eq!(log.forget_before(at(20)).await.unwrap(), 1);
    assert_eq!(log.forget_before(at(20)).await.unwrap(), 0);
    assert_eq!(log.page(said[0].broadcast, None, 9).await.unwrap().items, said[1..]);
}
