//! The role that fills the read models, and waiting for it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use commands::clock::{ManualClock, SystemClock};
use commands::store::{MemoryStore, StoreOptions, open};
use domain::Timestamp;
use domain::envelope::{NewEvent, Position, Recorded};
use domain::ports::{Batch, Clock, EventStore, PortError};
use projections::consumer::by_position::{
    APPLIED_POLL, BACKOFF_MAX, BACKOFF_MIN, LAST_PAGES_MAX, PAGE_EVENTS_MAX, PositionProjection,
    ReadModel, run, run_all, wait_applied,
};
use tokio_util::sync::CancellationToken;

use super::setup::Books;
use crate::support::events::Story;

/// How long a test waits for what must happen.
const BOUND: Duration = Duration::from_secs(20);

fn memory(story: &Story) -> MemoryStore {
    MemoryStore::new(Arc::new(ManualClock::new(story.now)))
}

/// The event store in the database of the read models.
async fn store_beside(books: &Books, story: &Story) -> Arc<dyn EventStore> {
    match &books.database {
        None => Arc::new(memory(story)),
        Some(url) => open(url, &StoreOptions::new(Arc::new(SystemClock))).await.unwrap(),
    }
}

async fn append(store: &dyn EventStore, events: &[Recorded]) {
    let new = |event: &Recorded| NewEvent {
        event_id: event.event_id,
        stream: event.stream.clone(),
        sequence: event.sequence,
        key: event.key,
        event: event.event.clone(),
        metadata: event.metadata.clone(),
    };
    let events = events.iter().map(new).collect();
    store.append(&Batch { events, ..Batch::default() }).await.unwrap();
}

fn long_story() -> Story {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 10_000)]);
    while story.log().len() <= 2 * PAGE_EVENTS_MAX {
        story.place(sale, "ana", &[("a", 1)]);
    }
    story
}

#[tokio::test]
async fn both_read_models_follow_the_store() {
    for books in [Books::memory(), Books::sqlite().await, Books::postgres().await] {
        let story = long_story();
        let events = store_beside(&books, &story).await;
        let (orders, sales) = (
            ReadModel::order_book(books.orders.clone()),
            ReadModel::sales_board(books.board.clone()),
        );
        let stop = CancellationToken::new();
        let (first, rest) = story.log().split_at(story.log().len() - 30);
        for part in first.chunks(300) {
            append(&*events, part).await;
        }
        let driver = async {
            for part in rest.chunks(10) {
                append(&*events, part).await;
                let Position(head) = part.last().unwrap().position;
                for model in [&orders, &sales] {
                    let applied =
                        wait_applied(model, &SystemClock, Position(head), BOUND).await.unwrap();
                    assert!(applied, "{} has reached {head}", model.name());
                }
            }
            stop.cancel();
        };
        let models = [&orders, &sales];
        tokio::join!(run_all(&models, &*events, &SystemClock, &stop), driver);
        assert_eq!(books.orders.checkpoint().await.unwrap(), story.head());
        assert_eq!(books.board.checkpoint().await.unwrap(), story.head());
        assert_eq!((orders.applied(), sales.applied()), (story.head(), story.head()));
        for order in story.orders().iter().step_by(97) {
            assert!(books.orders.order(*order).await.unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn an_idle_role_stops_at_once() {
    let story = Story::new();
    let events = memory(&story);
    let model = ReadModel::order_book(Books::memory().orders);
    let stop = CancellationToken::new();
    let role = run(&model, &events, &SystemClock, &stop);
    let cancel = async {
        tokio::task::yield_now().await;
        stop.cancel();
    };
    tokio::time::timeout(BOUND, async { tokio::join!(role, cancel) }).await.expect("it stops");
}

/// What the log has at the stop is applied, up to a bound; the next start goes on with the rest.
#[tokio::test]
async fn a_role_that_stops_applies_what_the_log_has() {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 100_000)]);
    while story.log().len() <= LAST_PAGES_MAX * PAGE_EVENTS_MAX {
        story.place(sale, "ana", &[("a", 1)]);
    }
    let events = memory(&story);
    append(&events, story.log()).await;
    let model = ReadModel::order_book(Books::memory().orders);
    let stopped = CancellationToken::new();
    stopped.cancel();
    run(&model, &events, &SystemClock, &stopped).await;
    let most = u64::try_from(LAST_PAGES_MAX * PAGE_EVENTS_MAX).unwrap();
    assert_eq!(model.applied(), Position(most));
    run(&model, &events, &SystemClock, &stopped).await;
    assert_eq!(model.applied(), story.head());
}

/// A clock whose sleeps are over at once, and are written down.
struct Jumping {
    now: Mutex<Timestamp>,
    slept: Mutex<Vec<Duration>>,
}

impl Jumping {
    fn new(story: &Story) -> Self {
        Self { now: Mutex::new(story.now), slept: Mutex::default() }
    }
}

#[async_trait]
impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        self.slept.lock().unwrap().push(duration);
        *self.now.lock().unwrap() += TimeDelta::from_std(duration).unwrap();
        tokio::task::yield_now().await;
    }
}

/// A read model that fails some times before each batch it takes, and moves by itself when asked
/// where it is.
#[derive(Default)]
struct Fickle {
    checkpoint: AtomicU64,
    rises_by: u64,
    failures: AtomicUsize,
    applied: Mutex<Vec<usize>>,
}

#[async_trait]
impl PositionProjection for Fickle {
    fn name(&self) -> &'static str {
        "fickle"
    }

    async fn checkpoint(&self) -> Result<Position, PortError> {
        Ok(Position(self.checkpoint.fetch_add(self.rises_by, Ordering::Relaxed) + self.rises_by))
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        let left = self.failures.load(Ordering::Relaxed);
        if left > 0 {
            self.failures.store(left - 1, Ordering::Relaxed);
            return Err(PortError::unavailable("fickle", "it is fickle"));
        }
        let last = events.last().unwrap().position;
        self.applied.lock().unwrap().push(events.len());
        self.checkpoint.store(last.0, Ordering::Relaxed);
        Ok(last)
    }
}

#[tokio::test]
async fn a_failed_step_is_tried_again_after_a_growing_pause() {
    let story = long_story();
    let events = memory(&story);
    append(&events, story.log()).await;
    let clock = Jumping::new(&story);
    let fickle = Arc::new(Fickle { failures: AtomicUsize::new(9), ..Fickle::default() });
    let model = ReadModel::new(fickle.clone());
    let stop = CancellationToken::new();
    let driver = async {
        assert!(wait_applied(&model, &SystemClock, story.head(), BOUND).await.unwrap());
        stop.cancel();
    };
    tokio::join!(run(&model, &events, &clock, &stop), driver);
    let mut pause = BACKOFF_MIN;
    let mut expected = vec![];
    for _ in 0..9 {
        expected.push(pause);
        pause = (pause * 2).min(BACKOFF_MAX);
    }
    assert_eq!(*clock.slept.lock().unwrap(), expected);
    assert_eq!(expected.last(), Some(&BACKOFF_MAX));
    let pages = fickle.applied.lock().unwrap().clone();
    assert_eq!(pages, [PAGE_EVENTS_MAX, PAGE_EVENTS_MAX, story.log().len() - 2 * PAGE_EVENTS_MAX]);
}

#[tokio::test]
async fn a_read_model_of_another_log_is_not_filled() {
    let mut story = Story::new();
    story.live("show");
    let events = memory(&story);
    append(&events, story.log()).await;
    let fickle = Arc::new(Fickle { checkpoint: AtomicU64::new(3), ..Fickle::default() });
    let model = ReadModel::new(fickle.clone());
    let clock = Jumping::new(&story);
    let stop = CancellationToken::new();
    let driver = async {
        while clock.slept.lock().unwrap().len() < 3 {
            tokio::task::yield_now().await;
        }
        let mut more = Story::new();
        more.live("show");
        more.live("more");
        append(&events, &more.log()[2..]).await;
        assert!(wait_applied(&model, &SystemClock, more.head(), BOUND).await.unwrap());
        stop.cancel();
    };
    tokio::join!(run(&model, &events, &clock, &stop), driver);
    assert_eq!(*fickle.applied.lock().unwrap(), [1], "once the log had come to where it stood");
}

#[tokio::test]
async fn what_another_process_applies_is_noticed_by_polling() {
    let clock = Jumping::new(&Story::new());
    let model = ReadModel::new(Arc::new(Fickle { rises_by: 2, ..Fickle::default() }));
    assert!(wait_applied(&model, &clock, Position(5), BOUND).await.unwrap());
    assert_eq!(*clock.slept.lock().unwrap(), [APPLIED_POLL; 3]);
    assert_eq!(model.applied(), Position(6));
    assert!(wait_applied(&model, &clock, Position(6), Duration::ZERO).await.unwrap());
    assert_eq!(clock.slept.lock().unwrap().len(), 3, "what is known is not asked for");
}

#[tokio::test]
async fn waiting_ends_at_its_bound() {
    let clock = Jumping::new(&Story::new());
    let start = clock.now();
    let model = ReadModel::new(Arc::new(Fickle::default()));
    let bound = APPLIED_POLL * 2 + Duration::from_millis(1);
    assert!(!wait_applied(&model, &clock, Position(1), bound).await.unwrap());
    let last = Duration::from_millis(1);
    assert_eq!(*clock.slept.lock().unwrap(), [APPLIED_POLL, APPLIED_POLL, last]);
    assert_eq!((clock.now() - start).to_std().unwrap(), bound);
    assert!(wait_applied(&model, &clock, Position::START, Duration::ZERO).await.unwrap());
}

#[tokio::test]
async fn an_address_of_no_database_is_refused() {
    for address in ["", "onair.db", "mysql://localhost/x", "sqlite:///no/such/folder/onair.db"] {
        let refused = projections::read_model::open(address).await;
        assert!(matches!(refused, Err(PortError::Unavailable { .. })), "{address}");
    }
}
