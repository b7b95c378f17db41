//! What the log in process promises.

use chrono::DateTime;
use domain::actor::Actor;
use domain::broadcast::BroadcastCommand;
use domain::command::Command;
use domain::ids::{BroadcastId, CommandId, CorrelationId, SellerId, StreamKey};
use futures::FutureExt;
use uuid::Uuid;

use domain::ports::{CommandConsumer, PortError};

use super::*;

fn record(number: u128) -> CommandRecord {
    let id = BroadcastId(Uuid::from_u128(1));
    CommandRecord {
        command_id: CommandId(Uuid::from_u128(number)),
        seller: SellerId::try_new("acme").expect("valid"),
        key: StreamKey::from(id),
        correlation: CorrelationId(Uuid::from_u128(number)),
        causation: None,
        traceparent: None,
        actor: Actor::system(),
        issued_at: DateTime::UNIX_EPOCH,
        command: Command::Broadcast { command: BroadcastCommand::StartBroadcast },
    }
}

fn offsets(events: &[ConsumerEvent]) -> Vec<i64> {
    let offset = |event: &ConsumerEvent| match event {
        ConsumerEvent::Record(delivered) => Some(delivered.source.offset),
        _ => None,
    };
    events.iter().filter_map(offset).collect()
}

#[tokio::test]
async fn an_append_is_acknowledged_by_the_commit_and_by_nothing_else() {
    let log = MemoryCommandLog::new("c", 1, 8);
    let mut writer = log.consumer();
    let one = record(1);
    let mut append = log.append(&one);
    assert!((&mut append).now_or_never().is_none());
    assert!(matches!(
        writer.next(9).await.expect("runs")[..],
        [ConsumerEvent::Assigned { low: 0, high: i64::MAX, .. }]
    ));
    writer.start_at("c", 0, 500).await.expect("fits");
    assert_eq!(offsets(&writer.next(9).await.expect("runs")), [500]);
    assert!((&mut append).now_or_never().is_none());
    writer.committed("c", 0, 500).await;
    assert!((&mut append).now_or_never().is_none());
    writer.committed("c", 0, 501).await;
    assert_eq!(append.await.expect("acknowledged").offset, 500);
    assert_eq!(log.waiting(), 0);
}

#[tokio::test]
async fn the_queue_has_a_bound_and_a_commit_makes_room() {
    let log = MemoryCommandLog::new("c", 1, 2);
    let mut writer = log.consumer();
    let records = [record(1), record(2), record(3)];
    let mut first = log.append(&records[0]);
    let mut second = log.append(&records[1]);
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    assert!(matches!(log.append(&records[2]).await, Err(AppendError::Refused(_))));
    writer.next(9).await.expect("runs");
    writer.start_at("c", 0, 0).await.expect("fits");
    assert_eq!(offsets(&writer.next(1).await.expect("runs")), [0]);
    writer.committed("c", 0, 1).await;
    assert_eq!(first.await.expect("acknowledged").offset, 0);
    assert!(log.append(&records[2]).now_or_never().is_none());
    assert_eq!(offsets(&writer.next(9).await.expect("runs")), [1, 2]);
}

#[tokio::test]
async fn an_expelled_member_loses_its_partition_and_learns_of_it_late() {
    let log = MemoryCommandLog::new("c", 1, 8);
    let (mut old, mut new) = (log.consumer(), log.consumer());
    let one = record(1);
    let mut append = log.append(&one);
    assert!((&mut append).now_or_never().is_none());
    old.next(9).await.expect("runs");
    old.start_at("c", 0, 7).await.expect("fits");
    assert_eq!(offsets(&old.next(9).await.expect("runs")), [7]);
    log.expel(old.member());
    assert!(matches!(
        new.next(9).await.expect("runs")[..],
        [ConsumerEvent::Assigned { low: 7, high: 8, .. }]
    ));
    new.start_at("c", 0, 7).await.expect("fits");
    assert_eq!(offsets(&new.next(9).await.expect("runs")), [7]);
    new.committed("c", 0, 8).await;
    assert_eq!(append.await.expect("acknowledged").offset, 7);
    assert!(matches!(old.next(9).await.expect("runs")[0], ConsumerEvent::Revoked { .. }));
}

#[tokio::test]
async fn a_start_outside_of_what_is_kept_halts() {
    let log = MemoryCommandLog::new("c", 1, 8);
    let mut writer = log.consumer();
    writer.next(9).await.expect("runs");
    writer.start_at("c", 0, 7).await.expect("a fresh log fits any start");
    for wrong in [6, 8] {
        assert!(matches!(writer.start_at("c", 0, wrong).await, Err(PortError::Corrupt { .. })));
    }
}

#[tokio::test]
async fn without_a_writer_nothing_is_promised() {
    let log = MemoryCommandLog::new("c", 1, 8);
    let mut writer = log.consumer();
    assert!(!log.is_down());
    let one = record(1);
    let mut append = log.append(&one);
    assert!((&mut append).now_or_never().is_none());
    writer.next(9).await.expect("runs");
    writer.start_at("c", 0, 0).await.expect("fits");
    writer.next(9).await.expect("runs");
    drop(writer);
    assert!(log.is_down());
    assert!(matches!(append.await, Err(AppendError::Unknown(_))));
    assert!(matches!(log.append(&one).await, Err(AppendError::Refused(_))));
    let mut next = log.consumer();
    next.next(9).await.expect("runs");
    next.start_at("c", 0, 0).await.expect("fits");
    assert_eq!(offsets(&next.next(9).await.expect("runs")), [0]);
    log.close();
    assert!(matches!(next.next(9).await, Err(PortError::Closed)));
}
