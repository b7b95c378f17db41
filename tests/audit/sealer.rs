//! The role that seals while the log grows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commands::clock::SystemClock;
use commands::log::topics::{Topics, ensure_topics};
use commands::sealer::{self, FolderWitness, KafkaWitness, SEALER_ROLE, SealerPorts, WitnessSink};
use commands::store::{self, StoreOptions};
use domain::envelope::Position;
use domain::ports::{PortError, RowReader};
use domain::seal::{KeyRecord, Seal, SealSigner};
use parking_lot::Mutex;
use projections::replay::read_witness;
use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::Message;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::program::replay;
use super::show::{Base, Rows, show};
use crate::support::{eventually, required};

const WITHIN: Duration = Duration::from_secs(20);

/// Refuses once, then keeps what it is told in a list.
struct Moody(Arc<Mutex<(bool, Vec<u64>)>>);

#[async_trait]
impl WitnessSink for Moody {
    async fn keep(&self, seal: &Seal, _: &[KeyRecord]) -> Result<(), PortError> {
        let mut kept = self.0.lock();
        if !kept.0 {
            kept.0 = true;
            return Err(PortError::unavailable("the witness", "not today"));
        }
        kept.1.push(seal.number);
        Ok(())
    }
}

/// A sealer at work on a database; its key is in a file.
struct Sealer {
    stop: CancellationToken,
    tasks: TaskTracker,
    rows: Arc<dyn RowReader>,
    store: Arc<dyn domain::ports::EventStore>,
}

impl Sealer {
    async fn start(base: &Base, key: &Path, witnesses: Vec<Box<dyn WitnessSink>>) -> Self {
        let options = StoreOptions::new(Arc::new(SystemClock));
        let store = store::open(&base.url, &options).await.expect("opens");
        let rows = store::open_audit(&base.url, &options).await.expect("opens").rows;
        let (stop, tasks, key) = (CancellationToken::new(), TaskTracker::new(), key.to_owned());
        let ports = SealerPorts {
            store: store.clone(),
            rows: rows.clone(),
            witnesses,
            signer: Box::new(move || {
                let seed = std::fs::read(&key).expect("reads");
                Ok(SealSigner::from_seed(&seed.try_into().expect("32 bytes")))
            }),
            clock: Arc::new(SystemClock),
        };
        let every = Duration::from_millis(1);
        let sink = store::open_seal_sink(&base.url).await.expect("opens");
        tasks.spawn(sealer::run(ports, sink, every, "one".to_owned(), stop.clone()));
        tasks.close();
        Self { stop, tasks, rows, store }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_grows_is_sealed_by_the_key_of_the_moment_and_told_to_every_witness() {
    let show = show();
    for base in Base::both(&Rows::of(show.story.log())).await {
        let key = base.dir.path().join("key");
        std::fs::write(&key, [1; 32]).expect("writes");
        let folder = base.dir.path().join("witness");
        let kept = Arc::new(Mutex::new((false, vec![])));
        let witnesses: Vec<Box<dyn WitnessSink>> = vec![
            Box::new(FolderWitness::open(&folder).expect("makes the folder")),
            Box::new(Moody(kept.clone())),
        ];
        let sealer = Sealer::start(&base, &key, witnesses).await;
        let told = async |seal: u64| {
            eventually("a witness is told", WITHIN, async || {
                kept.lock().1.contains(&seal).then_some(())
            })
            .await;
        };
        told(1).await;
        std::fs::write(&key, [2; 32]).expect("writes");
        let mut more = show.story.log().last().expect("an event").clone();
        more.stream.id.push_str("-more");
        let batch = domain::ports::Batch {
            events: vec![domain::envelope::NewEvent {
                event_id: domain::ids::EventId(uuid::Uuid::from_u128(77)),
                stream: more.stream,
                sequence: 1,
                key: more.key,
                event: more.event,
                metadata: more.metadata,
            }],
            ..domain::ports::Batch::default()
        };
        let last = sealer.store.append(&batch).await.expect("appends");
        told(2).await;
        let seals = sealer.rows.seals(0, 10).await.expect("reads");
        assert_eq!((seals.len(), seals[1].last), (2, last));
        assert_ne!(seals[0].key_id, seals[1].key_id, "another key went on");
        assert_eq!(sealer.rows.keys().await.expect("reads").len(), 2);
        eventually("the checkpoint", WITHIN, async || {
            let at = sealer.store.checkpoint(SEALER_ROLE).await.expect("reads");
            (at == Position(2)).then_some(())
        })
        .await;
        sealer.stop().await;
        let witness = read_witness(&folder).expect("is a witness");
        assert_eq!((witness.seals.len(), witness.keys.len()), (2, 2));
        let asked = ["verify", "--witness", folder.to_str().expect("text"), "--json"];
        let report = replay(base.dir.path(), &base.url, &asked).json("verify");
        let sealed = report["invariants"].as_array().expect("a list");
        let sealed = sealed.iter().find(|found| found["id"] == "I11").expect("I11");
        assert_eq!(sealed["violations_total"], 0, "{report:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_on_kafka_gets_the_seal_and_the_keys() {
    let base = Base::sqlite(&Rows::of(show().story.log())).await;
    let key = base.dir.path().join("key");
    std::fs::write(&key, [3; 32]).expect("writes");
    let brokers = required("ONAIR_KAFKA");
    let topics = Topics::prefixed(&format!("w{}.", uuid::Uuid::new_v4().simple()));
    ensure_topics(&brokers, &topics, 1, 1).await.expect("makes the topics");
    let topic = topics.witness;
    let witness = KafkaWitness::connect(&brokers, &topic).expect("connects");
    let sealer = Sealer::start(&base, &key, vec![Box::new(witness)]).await;
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .set("group.id", &topic)
        .set("auto.offset.reset", "earliest")
        .set("topic.metadata.refresh.interval.ms", "200")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[&topic]).expect("subscribes");
    let told = eventually("the topic has the seal", Duration::from_mins(1), async || {
        let message = tokio::time::timeout(Duration::from_secs(1), consumer.recv()).await;
        let message = message.ok()?.ok()?.detach();
        serde_json::from_slice::<Seal>(message.payload()?).ok()
    })
    .await;
    let seals = sealer.rows.seals(0, 10).await.expect("reads");
    assert_eq!(json!(told), json!(seals[0]));
    assert_eq!(told.check(&sealer.rows.keys().await.expect("reads")), Ok(()));
    sealer.stop().await;
}
