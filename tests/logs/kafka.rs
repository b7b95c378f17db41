//! What only Kafka can do to us.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;
use commands::log::kafka::{
    GroupProtocol, KafkaCommandLog, KafkaParkedPublisher, ProducerSettings,
};
use commands::log::partition_of;
use commands::log::topics::{Topics, TopicsError, ensure_topics, inspect};
use commands::writer::ParkedPublisher;
use domain::command::CommandRecord;
use domain::envelope::Source;
use domain::ports::{AppendError, CommandLog, ParkedCommand, PortError};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use uuid::Uuid;

use super::rig::{LIMIT, Member, Offsets, OnKafka, Rig, append_all, key, record};
use crate::support::{eventually, required};

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_start_was_deleted_halts() {
    let rig = OnKafka::new(1, GroupProtocol::default()).await;
    let records: Vec<CommandRecord> = (0..5).map(|number| record(key(1), number)).collect();
    for (_, answer) in append_all(rig.log().as_ref(), &records).await {
        answer.expect("acknowledged");
    }
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &rig.brokers).create().expect("valid");
    let mut until = TopicPartitionList::new();
    until.add_partition_offset(rig.topic(), 0, Offset::Offset(3)).expect("adds");
    admin.delete_records(&until, &AdminOptions::new()).await.expect("deletes");

    let mut offsets = Offsets::from([(0, 2)]);
    let mut member = Member::join(&rig).await;
    let halted = async {
        loop {
            if let Err(error) = member.step(&mut offsets, |_| true).await {
                return error;
            }
        }
    };
    let error = tokio::time::timeout(LIMIT, halted).await.expect("in time");
    assert!(
        matches!(&error, PortError::Corrupt { detail, .. } if detail.contains("starts after")),
        "{error:?}"
    );
    assert!(member.seen.is_empty());
}

/// Asking where a partition ends must not wait behind the fetches of the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_lone_member_takes_all_partitions_at_once() {
    let rig = OnKafka::new(8, GroupProtocol::default()).await;
    let keys = super::rig::key_of_each(8);
    let records: Vec<CommandRecord> =
        keys.iter().zip(0..).map(|(key, number)| record(*key, number)).collect();
    for (_, answer) in append_all(rig.log().as_ref(), &records).await {
        answer.expect("acknowledged");
    }
    let mut member = Member::join(&rig).await;
    let mut offsets = Offsets::new();
    member.until(&mut offsets, |member| !member.seen.is_empty()).await;
    let first = Instant::now();
    member.until(&mut offsets, |member| member.seen.len() == records.len()).await;
    assert!(first.elapsed() < Duration::from_secs(2), "after {:?}", first.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_what_was_queued_stays_unknown() {
    let settings = ProducerSettings {
        queue_depth: 3,
        delivery_timeout: Duration::from_secs(2),
        ..ProducerSettings::default()
    };
    // nobody listens there
    let log = KafkaCommandLog::connect("127.0.0.1:1", "commands", settings).expect("valid");
    let records: Vec<CommandRecord> = (0..8).map(|number| record(key(1), number)).collect();
    let answers = append_all(&log, &records).await;
    let refused =
        |answer: &Result<Source, AppendError>| matches!(answer, Err(AppendError::Refused(_)));
    let unknown =
        |answer: &Result<Source, AppendError>| matches!(answer, Err(AppendError::Unknown(_)));
    assert_eq!(answers.iter().filter(|(_, answer)| refused(answer)).count(), 5);
    assert_eq!(answers.iter().filter(|(_, answer)| unknown(answer)).count(), 3);
    eventually("down", Duration::from_secs(5), async || log.is_down().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_the_one_that_java_clients_choose() {
    let rig = OnKafka::new(5, GroupProtocol::default()).await;
    let records: Vec<CommandRecord> = (0..40).map(|number| record(key(number), number)).collect();
    for (id, answer) in append_all(rig.log().as_ref(), &records).await {
        let key = key(id.0.as_u128()).to_string();
        assert_eq!(answer.expect("acknowledged").partition, partition_of(key.as_bytes(), 5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_once_and_never_changed() {
    let brokers = required("ONAIR_KAFKA");
    let topics = Topics::prefixed(&format!("t{}-", Uuid::new_v4().simple()));
    assert!(inspect(&brokers, &topics).await.expect("answers").iter().all(|topic| !topic.exists));
    let made = ensure_topics(&brokers, &topics, 3, 1).await.expect("creates");
    assert_eq!(made, topics.all());
    assert!(ensure_topics(&brokers, &topics, 3, 1).await.expect("nothing to do").is_empty());
    let refused = ensure_topics(&brokers, &topics, 4, 1).await;
    assert!(
        matches!(refused, Err(TopicsError::PartitionCount { found: 3, wanted: 4, .. })),
        "{refused:?}"
    );
    for report in inspect(&brokers, &topics).await.expect("answers") {
        assert_eq!((report.partitions, report.leaderless), (3, 0));
        assert_eq!((report.replication, report.in_sync, report.min_in_sync), (1, 1, 1));
        assert!(report.exists && !report.unclean_election);
        assert_eq!(report.cleanup_policy, "delete");
        if report.topic == topics.commands {
            assert_eq!(report.retention_ms, -1);
        }
    }
    assert!(ensure_topics("127.0.0.1:1", &topics, 3, 1).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_command_can_be_read_outside() {
    let brokers = required("ONAIR_KAFKA");
    let topics = Topics::prefixed(&format!("t{}-", Uuid::new_v4().simple()));
    ensure_topics(&brokers, &topics, 1, 1).await.expect("creates");
    let parked = ParkedCommand {
        source: Source { topic: topics.commands.clone(), partition: 2, offset: 7 },
        sequence: "order-1".to_owned(),
        value: b"{}".to_vec(),
        error: "no command".to_owned(),
        parked_at: DateTime::UNIX_EPOCH,
        deadline: DateTime::UNIX_EPOCH,
        action: None,
    };
    let publisher = KafkaParkedPublisher::connect(&brokers, &topics.parked).expect("valid");
    publisher.publish(&parked).await.expect("acknowledged");
    let outside: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("group.id", topics.parked.clone())
        .create()
        .expect("valid");
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(&topics.parked, 0, Offset::Beginning).expect("adds");
    outside.assign(&all).expect("assigns");
    let message = outside.poll(LIMIT).expect("in time").expect("reads");
    assert_eq!(message.key(), Some(&b"order-1"[..]));
    assert_eq!(message.payload(), Some(&b"{}"[..]));
    let headers = message.headers().expect("has some");
    let header = |name| headers.iter().find(|header| header.key == name).and_then(|h| h.value);
    assert_eq!(header("offset"), Some(&b"7"[..]));
    assert_eq!(header("error"), Some(&b"no command"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_topic_that_lost_the_old_one_halts() {
    // the store knows an offset that the log has never had: the topic was made again
    let rig = OnKafka::new(1, GroupProtocol::default()).await;
    let mut member = Member::join(&rig).await;
    let mut offsets = Offsets::from([(0, 1_000)]);
    let answer = tokio::time::timeout(LIMIT, member.step(&mut offsets, |_| true)).await;
    assert!(
        matches!(&answer, Ok(Err(PortError::Corrupt { detail, .. })) if detail.contains("ends before")),
        "{answer:?}"
    );
    let _keeps = Arc::new(rig);
}
