//! `replay reconcile kafka --apply`: what is missing from the topic is published again.

use std::path::Path;

use domain::envelope::Position;
use domain::ports::{EventLog, EventPublisher};
use serde_json::{Value, json};

use super::program::{Said, replay};
use super::show::{show, write};
use crate::logs::event_log::{Topic, read};
use crate::support::{fresh_database, required};

const BY: [&str; 7] =
    ["--apply", "--author", "kim", "--ticket", "OPS-7", "--reason", "the topic lost records"];

/// A cluster's settings, with topics of their own.
fn settings(dir: &Path, topic: &Topic) -> String {
    let prefix = topic.topics.events.trim_end_matches("onair.events.v1");
    let text = format!("[kafka]\ntopic_prefix = \"{prefix}\"\n");
    std::fs::write(dir.join("cluster.toml"), text).expect("writes");
    dir.join("cluster.toml").display().to_string()
}

fn ask(dir: &Path, (database, file, brokers): (&str, &str, &str), more: &[&str]) -> Said {
    let redis = required("ONAIR_REDIS");
    let cluster = ["--config", file, "--kafka", brokers, "--redis", &redis, "--json"];
    replay(dir, database, &[&["reconcile", "kafka"], &cluster[..], more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_topic_lost_is_published_again_and_what_it_has_is_not() {
    let (show, topic) = (show(), Topic::new(3).await);
    let url = fresh_database().await;
    write(&url, show.story.log()).await;
    let events = {
        let options =
            commands::store::StoreOptions::new(std::sync::Arc::new(commands::clock::SystemClock));
        let readers = commands::store::open_audit(&url, &options).await.expect("opens");
        readers.events.read(Position::START, 1_000).await.expect("reads")
    };
    // two in the middle were lost; what is behind the last record was never published
    let kept: Vec<_> =
        events.iter().filter(|event| ![5, 9].contains(&event.position.0)).cloned().collect();
    topic.publisher().publish(&kept).await.expect("publishes");
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let file = settings(dir, &topic);
    let cluster = (url.as_str(), file.as_str(), topic.brokers.as_str());

    let found: Value = ask(dir, cluster, &[]).ended(1).json("reconcile_kafka");
    assert_eq!(found["topic"]["missing"], json!([5, 9]), "{found:#}");
    assert_eq!(found["published"], 0);
    // without who and why nothing is repaired
    ask(dir, cluster, &["--apply"]).ended(2);
    let found = ask(dir, cluster, &BY).ended(0).json("reconcile_kafka");
    assert_eq!(found["published"], 2, "{found:#}");
    let found = ask(dir, cluster, &[]).ended(0).json("reconcile_kafka");
    assert_eq!((&found["topic"]["missing"], &found["topic"]["repeated"]), (&json!([]), &json!(0)));
    assert_eq!(found["topic"]["records"], events.len(), "{found:#}");
    // again: nothing is left to do
    let found = ask(dir, cluster, &BY).ended(0).json("reconcile_kafka");
    assert_eq!(found["published"], 0);

    // what came again is what the log says, with names opened
    let mut subscription =
        topic.log().subscribe("audit", Position::START).await.expect("subscribes");
    let mut all = read(subscription.as_mut(), events.len()).await;
    all.sort_by_key(|event| event.position);
    assert_eq!(all, events);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_the_log_is_named_and_cannot_be_repaired() {
    let (show, topic) = (show(), Topic::new(3).await);
    let url = fresh_database().await;
    let log = show.story.log();
    write(&url, &log[..log.len() - 2]).await;
    topic.publisher().publish(log).await.expect("publishes");
    let folder = tempfile::tempdir().expect("a folder");
    let file = settings(folder.path(), &topic);
    let cluster = (url.as_str(), file.as_str(), topic.brokers.as_str());
    for more in [&[][..], &BY] {
        let found = ask(folder.path(), cluster, more).ended(1).json("reconcile_kafka");
        assert_eq!(found["topic"]["beyond"], 2, "{found:#}");
        assert_eq!(found["published"], 0, "{found:#}");
    }
}
