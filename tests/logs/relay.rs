//! From the store to Kafka: in order, whole, by one relay at a time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use commands::clock::SystemClock;
use commands::relay::{RELAY_ROLE, run};
use domain::envelope::{Position, Recorded};
use domain::ports::{EventLog, EventPublisher, EventStore, PortError};
use tokio_util::sync::CancellationToken;

use super::event_log::{Topic, read, store_of, story};
use super::rig::LIMIT;
use crate::support::eventually;

/// Fails now and then, sometimes after it published a part.
#[derive(Default)]
struct Flaky {
    published: Mutex<Vec<Recorded>>,
    calls: AtomicU32,
}

#[async_trait]
impl EventPublisher for Flaky {
    async fn publish(&self, events: &[Recorded]) -> Result<(), PortError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let part = match call {
            0 => 0,
            1 => events.len() / 2,
            _ => events.len(),
        };
        self.published.lock().expect("not poisoned").extend_from_slice(&events[..part]);
        // the third is published and its answer lost
        if call < 3 { Err(PortError::unavailable("Kafka", "told to")) } else { Ok(()) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_repeat_events_and_never_skip_one() {
    let events = story();
    let store = Arc::new(store_of(&events).await);
    let (publisher, shutdown) = (Arc::new(Flaky::default()), CancellationToken::new());
    let relaying = run(
        store.clone(),
        publisher.clone(),
        Arc::new(SystemClock),
        "one".to_owned(),
        shutdown.clone(),
    );
    let watching = async {
        let last = Position(events.len() as u64);
        eventually("published", LIMIT, async || {
            (store.checkpoint(RELAY_ROLE).await.expect("reads") == last).then_some(())
        })
        .await;
        shutdown.cancel();
    };
    tokio::join!(relaying, watching);
    let sent = publisher.published.lock().expect("not poisoned");
    assert!(sent.len() > events.len());
    let mut reached = 0;
    for recorded in sent.iter() {
        assert!(recorded.position.0 <= reached + 1, "skipped to {}", recorded.position);
        reached = reached.max(recorded.position.0);
    }
    assert_eq!(reached, events.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_relay_goes_on_where_one_died() {
    let (events, topic) = (story(), Topic::new(3).await);
    let (old, new) = events.split_at(events.len() / 2);
    let store = Arc::new(store_of(old).await);
    let relay = |owner: &str, stop: &CancellationToken| {
        run(
            store.clone(),
            Arc::new(topic.publisher()),
            Arc::new(SystemClock),
            owner.to_owned(),
            stop.clone(),
        )
    };
    let (first, second) = (CancellationToken::new(), CancellationToken::new());
    let at = async |position: usize| {
        eventually("published", LIMIT, async || {
            let at = store.checkpoint(RELAY_ROLE).await.expect("reads");
            (at.0 == position as u64).then_some(())
        })
        .await;
    };
    let driving = async {
        at(old.len()).await;
        // it dies with the lease in its hand
        first.cancel();
        super::event_log::append_to(store.as_ref(), new).await;
        at(events.len()).await;
        second.cancel();
    };
    tokio::join!(relay("one", &first), relay("two", &second), driving);
    let mut subscription =
        topic.log().subscribe("reader", Position::START).await.expect("subscribes");
    let mut published = read(subscription.as_mut(), events.len()).await;
    published.sort_by_key(|recorded| recorded.position);
    let ids = |events: &[Recorded]| events.iter().map(|e| e.event_id).collect::<Vec<_>>();
    assert_eq!(ids(&published), ids(&events));
}
