//! One suite for every log of commands.

use std::collections::BTreeMap;

use commands::log::RECORD_MAX_BYTES;
use commands::log::kafka::GroupProtocol;
use domain::command::CommandRecord;
use domain::envelope::Source;
use domain::ids::{CommandId, StreamKey};
use domain::ports::{AppendError, PortError};
use uuid::Uuid;

use super::rig::{
    InProcess, LIMIT, Member, Offsets, OnKafka, Rig, append_all, key, key_of_each, parse, record,
};

/// Appends while the member reads, then reads until it saw as many.
async fn append_and_read(
    rig: &dyn Rig,
    member: &mut Member,
    offsets: &mut Offsets,
    records: &[CommandRecord],
) -> BTreeMap<CommandId, Source> {
    let log = rig.log();
    let before = member.seen.len();
    let appending = append_all(log.as_ref(), records);
    let reading = member.until(offsets, |member| member.seen.len() >= before + records.len());
    let (answers, ()) = tokio::join!(appending, reading);
    answers.into_iter().map(|(id, answer)| (id, answer.expect("acknowledged"))).collect()
}

async fn acked_means_readable_in_order(rig: &dyn Rig) {
    let records: Vec<CommandRecord> =
        (0..400).map(|number| record(key(number % 7), number)).collect();
    let (mut member, mut offsets) = (Member::join(rig).await, Offsets::new());
    let acked = append_and_read(rig, &mut member, &mut offsets, &records).await;
    assert_eq!(acked.len(), records.len());
    let mut last: BTreeMap<StreamKey, Uuid> = BTreeMap::new();
    for delivered in &member.seen {
        let read = parse(delivered);
        assert_eq!(acked[&read.command_id], delivered.source);
        let before = last.insert(read.key, read.command_id.0);
        assert!(before < Some(read.command_id.0), "out of order");
    }
    assert_eq!(member.seen.len(), records.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn acked_means_readable_in_order_in_process() {
    acked_means_readable_in_order(&InProcess::new(3, 1_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acked_means_readable_in_order_on_kafka() {
    acked_means_readable_in_order(&OnKafka::new(3, GroupProtocol::default()).await).await;
}

/// What was stored is not seen again; what was not is, at the same place.
async fn a_restart_goes_on_at_the_stored_offset(rig: &dyn Rig) {
    let records: Vec<CommandRecord> = (0..20).map(|number| record(key(1), number)).collect();
    let (log, mut offsets) = (rig.log(), Offsets::new());
    let (mut first, mut second) = (Member::join(rig).await, None);
    let decided = |delivered: &domain::ports::Delivered| delivered.source.offset < 10;
    let appending = append_all(log.as_ref(), &records);
    let reading = async {
        while first.seen.len() < records.len() {
            first.step(&mut offsets, decided).await.expect("reads");
        }
        let seen = std::mem::take(&mut first.seen);
        drop(first);
        let mut member = Member::join(rig).await;
        member.until(&mut offsets, |member| member.seen.len() >= 10).await;
        second = Some(member);
        seen
    };
    let (_, seen) = tokio::time::timeout(LIMIT, async { tokio::join!(appending, reading) })
        .await
        .expect("in time");
    let member = second.expect("joined");
    assert_eq!(member.seen, seen[10..]);
    assert_eq!(offsets.values().sum::<i64>(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_at_the_stored_offset_in_process() {
    a_restart_goes_on_at_the_stored_offset(&InProcess::new(1, 1_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_at_the_stored_offset_on_kafka() {
    let rig = OnKafka::new(1, GroupProtocol::default()).await;
    a_restart_goes_on_at_the_stored_offset(&rig).await;
}

async fn start_outside_of_the_log_halts(rig: &dyn Rig) {
    let records: Vec<CommandRecord> = (0..5).map(|number| record(key(1), number)).collect();
    let (mut member, mut offsets) = (Member::join(rig).await, Offsets::new());
    append_and_read(rig, &mut member, &mut offsets, &records).await;
    let answer = member.consumer.start_at(rig.topic(), 0, 6).await;
    assert!(matches!(answer, Err(PortError::Corrupt { .. })), "{answer:?}");
    member.consumer.start_at(rig.topic(), 0, 5).await.expect("the end is a place");
}

#[tokio::test(flavor = "multi_thread")]
async fn start_outside_of_the_log_halts_in_process() {
    start_outside_of_the_log_halts(&InProcess::new(1, 1_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn start_outside_of_the_log_halts_on_kafka() {
    start_outside_of_the_log_halts(&OnKafka::new(1, GroupProtocol::default()).await).await;
}

/// Partitions go to whoever is there; nothing is skipped and what is repeated is the same.
async fn members_share_the_partitions(rig: &dyn Rig, partitions: i32) {
    let keys = key_of_each(partitions);
    let records = |round: u128| -> Vec<CommandRecord> {
        keys.iter().zip(0..).map(|(key, n)| record(*key, round * 100 + n)).collect()
    };
    let (mut first, mut offsets) = (Member::join(rig).await, Offsets::new());
    append_and_read(rig, &mut first, &mut offsets, &records(0)).await;
    assert_eq!(first.owned, (0..partitions).collect());

    let mut second = Member::join(rig).await;
    let share = usize::try_from(partitions / 2).expect("small");
    let sharing = async {
        while first.owned.len() != share || second.owned.len() != share {
            // each in its turn, so that both share one table of offsets
            for member in [&mut first, &mut second] {
                let step = member.step(&mut offsets, |_| true);
                let turn = tokio::time::timeout(std::time::Duration::from_millis(100), step).await;
                turn.unwrap_or(Ok(())).expect("reads");
            }
        }
    };
    tokio::time::timeout(LIMIT, sharing).await.expect("shared in time");
    assert!(first.owned.is_disjoint(&second.owned));

    drop(second);
    append_and_read(rig, &mut first, &mut offsets, &records(1)).await;
    assert_eq!(first.owned, (0..partitions).collect());
    let mut seen = first.commands();
    seen.dedup();
    let all = [records(0), records(1)].concat();
    assert_eq!(seen.len(), all.len());
    assert!(all.iter().all(|record| seen.contains(&record.command_id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_the_partitions_in_process() {
    members_share_the_partitions(&InProcess::new(4, 1_000), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_the_partitions_by_the_newer_protocol() {
    members_share_the_partitions(&OnKafka::new(4, GroupProtocol::Consumer).await, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_the_partitions_on_kafka() {
    members_share_the_partitions(&OnKafka::new(4, GroupProtocol::default()).await, 4).await;
}

async fn too_large_is_refused(rig: &dyn Rig) {
    let mut record = record(key(1), 1);
    let bytes = serde_json::to_vec(&record).expect("encodes").len();
    let field = br#","traceparent":"""#.len();
    record.traceparent = Some("x".repeat(RECORD_MAX_BYTES + 1 - bytes - field));
    let answer = rig.log().append(&record).await;
    assert!(matches!(answer, Err(AppendError::Refused(_))), "{answer:?}");
    let (mut member, mut offsets) = (Member::join(rig).await, Offsets::new());
    record.traceparent = record.traceparent.map(|text| text[1..].to_owned());
    append_and_read(rig, &mut member, &mut offsets, &[record]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_is_refused_in_process() {
    too_large_is_refused(&InProcess::new(1, 10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_is_refused_on_kafka() {
    too_large_is_refused(&OnKafka::new(1, GroupProtocol::default()).await).await;
}
