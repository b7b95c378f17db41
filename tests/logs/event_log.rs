//! One suite for every log of events, and the runner on top.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use commands::clock::SystemClock;
use commands::log::topics::{Topics, ensure_topics};
use commands::relay::KafkaEventPublisher;
use commands::store::MemoryStore;
use domain::envelope::{NewEvent, Position, Recorded};
use domain::ids::StreamKey;
use domain::ports::{
    Batch, EventLog, EventPublisher, EventReader, EventStore, EventSubscription, PortError,
};
use projections::consumer::{
    GroupProtocol, KafkaEventLog, KeyedRunner, KeyedTarget, StoreEventLog, run_keyed,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::rig::LIMIT;
use crate::support::events::Story;
use crate::support::{eventually, required};

/// Three shows, some orders of each: some hundred events of six keys.
pub fn story() -> Vec<Recorded> {
    let mut story = Story::new();
    for show in 0..3 {
        let broadcast = story.live(&format!("show {show}"));
        let spotlight = story.spotlight(broadcast, &[("sku", 50)]);
        for buyer in 0..20 {
            let order = story.place(spotlight, &format!("viewer {buyer}"), &[("sku", 1)]);
            if buyer % 3 == 0 {
                story.capture(order);
            }
        }
    }
    story.log().to_vec()
}

/// A store that holds the events at the same positions.
pub async fn store_of(events: &[Recorded]) -> MemoryStore {
    let store = MemoryStore::new(Arc::new(SystemClock));
    append_to(&store, events).await;
    store
}

/// Appends what follows in the story.
pub async fn append_to(store: &MemoryStore, events: &[Recorded]) {
    let new = |recorded: &Recorded| NewEvent {
        event_id: recorded.event_id,
        stream: recorded.stream.clone(),
        sequence: recorded.sequence,
        key: recorded.key,
        event: recorded.event.clone(),
        metadata: recorded.metadata.clone(),
    };
    let batch = Batch { events: events.iter().map(new).collect(), ..Batch::default() };
    let last = store.append(&batch).await.expect("appends");
    assert_eq!(last, events.last().map_or(Position::START, |recorded| recorded.position));
}

pub struct Topic {
    pub brokers: String,
    pub topics: Topics,
}

impl Topic {
    pub async fn new(partitions: i32) -> Self {
        let brokers = required("ONAIR_KAFKA");
        let topics = Topics::prefixed(&format!("t{}-", Uuid::new_v4().simple()));
        ensure_topics(&brokers, &topics, partitions, 1).await.expect("creates");
        Self { brokers, topics }
    }

    pub fn publisher(&self) -> KafkaEventPublisher {
        KafkaEventPublisher::connect(&self.brokers, &self.topics.events).expect("valid")
    }

    pub fn log(&self) -> KafkaEventLog {
        let group = format!("{}-", self.topics.events);
        KafkaEventLog::new(&self.brokers, &self.topics.events, group, GroupProtocol::default())
    }
}

pub async fn read(subscription: &mut dyn EventSubscription, count: usize) -> Vec<Recorded> {
    let reading = async {
        let mut read = vec![];
        while read.len() < count {
            read.extend(subscription.next(count - read.len()).await.expect("reads"));
        }
        read
    };
    tokio::time::timeout(LIMIT, reading).await.expect("in time")
}

fn by_key(events: &[Recorded]) -> BTreeMap<StreamKey, Vec<Recorded>> {
    let mut keys: BTreeMap<StreamKey, Vec<Recorded>> = BTreeMap::new();
    for recorded in events {
        keys.entry(recorded.key).or_default().push(recorded.clone());
    }
    keys
}

/// Every event, in order per key with its chain whole; what was not applied comes again.
async fn events_come_in_order_and_again(log: &dyn EventLog, expected: &[Recorded]) {
    let mut first = log.subscribe("reader", Position::START).await.expect("subscribes");
    let events = read(first.as_mut(), expected.len()).await;
    for (key, events) in by_key(&events) {
        let mut last = Position::START;
        for recorded in &events {
            assert_eq!(recorded.prev, last);
            last = recorded.position;
        }
        assert_eq!(events, by_key(expected)[&key]);
    }
    // nothing was said to be done
    drop(first);
    let mut again = log.subscribe("reader", Position::START).await.expect("subscribes");
    let repeated = read(again.as_mut(), expected.len()).await;
    assert_eq!(by_key(&repeated), by_key(expected));
    again.done().await.expect("notes");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_order_and_again_from_the_store() {
    let events = story();
    let store = store_of(&events).await;
    let stored = store.read(Position::START, events.len()).await.expect("reads");
    events_come_in_order_and_again(&StoreEventLog::new(Arc::new(store)), &stored).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_order_and_again_from_kafka() {
    let (events, topic) = (story(), Topic::new(3).await);
    topic.publisher().publish(&events).await.expect("publishes");
    events_come_in_order_and_again(&topic.log(), &events).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_does_not_come_again_from_kafka() {
    let (events, topic) = (story(), Topic::new(3).await);
    let (old, new) = events.split_at(events.len() - 1);
    topic.publisher().publish(old).await.expect("publishes");
    let mut first = topic.log().subscribe("reader", Position::START).await.expect("subscribes");
    read(first.as_mut(), old.len()).await;
    first.done().await.expect("notes");
    drop(first);
    topic.publisher().publish(new).await.expect("publishes");
    let mut second = topic.log().subscribe("reader", Position::START).await.expect("subscribes");
    assert_eq!(read(second.as_mut(), 1).await, new);
}

/// Keeps what was applied; fails where it is told to.
#[derive(Default)]
struct Book {
    applied: Mutex<BTreeMap<StreamKey, Vec<Recorded>>>,
    failures: Mutex<u32>,
}

#[async_trait]
impl KeyedTarget for Book {
    async fn last(&self, key: StreamKey) -> Result<Position, PortError> {
        let applied = self.applied.lock().expect("not poisoned");
        let last = applied.get(&key).and_then(|events| events.last());
        Ok(last.map_or(Position::START, |recorded| recorded.position))
    }

    async fn apply(&self, key: StreamKey, events: &[Recorded]) -> Result<(), PortError> {
        let mut failures = self.failures.lock().expect("not poisoned");
        if *failures > 0 {
            *failures -= 1;
            return Err(PortError::unavailable("the book", "told to"));
        }
        let mut applied = self.applied.lock().expect("not poisoned");
        applied.entry(key).or_default().extend_from_slice(events);
        Ok(())
    }
}

impl Book {
    fn total(&self) -> usize {
        self.applied.lock().expect("not poisoned").values().map(Vec::len).sum()
    }

    fn ids(&self) -> BTreeMap<StreamKey, Vec<u64>> {
        let applied = self.applied.lock().expect("not poisoned");
        let ids = |events: &Vec<Recorded>| events.iter().map(|e| e.position.0).collect();
        applied.iter().map(|(key, events)| (*key, ids(events))).collect()
    }
}

fn positions(events: &[Recorded]) -> BTreeMap<StreamKey, Vec<u64>> {
    let ids = |events: &Vec<Recorded>| events.iter().map(|e| e.position.0).collect();
    by_key(events).iter().map(|(key, events)| (*key, ids(events))).collect()
}

/// Each event is applied once although the target fails and the log repeats itself.
#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_applied_once() {
    let (events, topic) = (story(), Topic::new(3).await);
    let store: Arc<dyn EventReader> = Arc::new(store_of(&events).await);
    let publisher = topic.publisher();
    publisher.publish(&events).await.expect("publishes");
    publisher.publish(&events[20..]).await.expect("publishes again");
    let logs: [Arc<dyn EventLog>; 2] =
        [Arc::new(topic.log()), Arc::new(StoreEventLog::new(Arc::clone(&store)))];
    for log in logs {
        let book = Arc::new(Book::default());
        *book.failures.lock().expect("not poisoned") = 3;
        let runner = KeyedRunner::new("book", Arc::clone(&store), book.clone());
        let shutdown = CancellationToken::new();
        let running =
            run_keyed(log, runner, Position::START, Arc::new(SystemClock), shutdown.clone());
        let watching = async {
            eventually("applied", LIMIT, async || (book.total() >= events.len()).then_some(()))
                .await;
            shutdown.cancel();
        };
        tokio::join!(running, watching);
        assert_eq!(book.ids(), positions(&events));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_filled_from_the_store_and_counted() {
    let (events, topic) = (story(), Topic::new(3).await);
    let store: Arc<dyn EventReader> = Arc::new(store_of(&events).await);
    // not the last of its key: that one would be noticed with the next event
    let followed = |at: usize| events[at + 1..].iter().any(|later| later.key == events[at].key);
    let hole = (10..events.len()).find(|at| followed(*at)).expect("has one");
    let mut lossy = events.clone();
    lossy.remove(hole);
    topic.publisher().publish(&lossy).await.expect("publishes");

    let book = Arc::new(Book::default());
    let mut runner = KeyedRunner::new("book", store, book.clone());
    let mut subscription =
        topic.log().subscribe("book", Position::START).await.expect("subscribes");
    let applying = async {
        while book.total() < events.len() {
            let next = subscription.next(7).await.expect("reads");
            runner.apply(&next).await.expect("applies");
        }
    };
    tokio::time::timeout(LIMIT, applying).await.expect("in time");
    assert_eq!(book.ids(), positions(&events));
    assert_eq!(runner.gaps(), 1);
}

#[tokio::test]
async fn a_log_that_has_what_the_store_lacks_is_not_believed() {
    let events = story();
    let key = events.last().expect("has some").key;
    let of_key = &by_key(&events)[&key];
    let store: Arc<dyn EventReader> = Arc::new(store_of(&[]).await);
    let book = Arc::new(Book::default());
    let mut runner = KeyedRunner::new("book", store, book.clone());
    let applied = runner.apply(&of_key[1..]).await;
    assert!(matches!(applied, Err(PortError::Corrupt { .. })), "{applied:?}");
    assert_eq!(book.total(), 0);
}

#[tokio::test]
async fn a_key_that_another_member_had_meanwhile_is_no_gap() {
    let events = story();
    let key = events.last().expect("has some").key;
    let of_key = &by_key(&events)[&key];
    let store: Arc<dyn EventReader> = Arc::new(store_of(&events).await);
    let book = Arc::new(Book::default());
    let mut runner = KeyedRunner::new("book", store, book.clone());
    runner.apply(&of_key[..2]).await.expect("applies");
    book.apply(key, &of_key[2..4]).await.expect("the other member");
    runner.apply(&of_key[4..]).await.expect("applies");
    assert_eq!(runner.gaps(), 0);
    assert_eq!(book.ids()[&key], positions(of_key)[&key]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_of_ours_is_never_passed_over() {
    let topic = Topic::new(1).await;
    let producer: rdkafka::producer::FutureProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &topic.brokers)
        .create()
        .expect("valid");
    let stray = rdkafka::producer::FutureRecord::<str, str>::to(&topic.topics.events).payload("{}");
    producer.send(stray, Duration::from_secs(10)).await.expect("acknowledged");
    topic.publisher().publish(&story()).await.expect("publishes");
    let mut subscription =
        topic.log().subscribe("reader", Position::START).await.expect("subscribes");
    for _ in 0..2 {
        let read = tokio::time::timeout(LIMIT, subscription.next(10)).await.expect("in time");
        assert!(matches!(read, Err(PortError::Corrupt { .. })), "{read:?}");
    }
}
