//! Kafka goes away and comes back.

use std::collections::BTreeSet;
use std::time::Duration;

use commands::log::kafka::GroupProtocol;
use domain::command::CommandRecord;
use domain::ids::CommandId;
use domain::ports::AppendError;

use super::rig::{LIMIT, Member, Offsets, OnKafka, Rig, append_all, key, record};
use crate::support::cluster::OwnServers;
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_and_the_rest_is_never_called_accepted() {
    let dir = tempfile::tempdir().expect("a folder");
    let servers = OwnServers::start(dir.path(), &["kafka"], &[]);
    let rig = OnKafka::on(servers.setting("ONAIR_KAFKA"), 1, GroupProtocol::default()).await;
    let log = rig.log();
    let mut member = Member::join(&rig).await;
    let mut offsets = Offsets::new();
    let records = |numbers: std::ops::Range<u128>| -> Vec<CommandRecord> {
        numbers.map(|number| record(key(1), number)).collect()
    };
    let mut acked: BTreeSet<CommandId> = BTreeSet::new();
    for (id, answer) in append_all(log.as_ref(), &records(0..100)).await {
        answer.expect("acknowledged");
        acked.insert(id);
    }
    assert!(!log.is_down());

    // records are on their way while the broker dies
    let in_flight = records(100..2_000);
    let (answers, ()) = tokio::join!(append_all(log.as_ref(), &in_flight), async {
        tokio::task::block_in_place(|| servers.run(&["kill", "kafka"]));
    });
    let mut refused: BTreeSet<CommandId> = BTreeSet::new();
    for (id, answer) in answers {
        match answer {
            Ok(_) => drop(acked.insert(id)),
            Err(AppendError::Refused(_)) => drop(refused.insert(id)),
            Err(AppendError::Unknown(_)) => {}
        }
    }
    eventually("known to be down", Duration::from_secs(5), async || log.is_down().then_some(()))
        .await;
    for (_, answer) in append_all(log.as_ref(), &records(2_000..2_010)).await {
        assert!(answer.is_err(), "acknowledged by nobody");
    }

    tokio::task::block_in_place(|| servers.run(&["restart", "kafka"]));
    eventually("known to be up", LIMIT, async || (!log.is_down()).then_some(())).await;
    let retried = records(3_000..3_001);
    let after = eventually("acknowledged again", LIMIT, async || {
        append_all(log.as_ref(), &retried)
            .await
            .into_iter()
            .find_map(|(id, answer)| answer.ok().map(|_| id))
    })
    .await;
    acked.insert(after);
    member.until(&mut offsets, |member| member.commands().contains(&after)).await;
    let read: BTreeSet<CommandId> = member.commands().into_iter().collect();
    let lost: Vec<_> = acked.difference(&read).collect();
    assert!(lost.is_empty(), "acknowledged and not in the log: {lost:?}");
    assert!(read.is_disjoint(&refused), "refused and in the log");
    let places: Vec<i64> = member.seen.iter().map(|delivered| delivered.source.offset).collect();
    assert!(places.is_sorted() && places.windows(2).all(|pair| pair[0] < pair[1]));
}
