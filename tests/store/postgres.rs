//! What only a server can show: killed backends, lost answers, the stock repository.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use commands::store::{self, OpenError, PostgresStore};
use cqrs_es::EventStore as _;
use cqrs_es::persist::{PersistedEventRepository, PersistedEventStore, SerializedEvent};
use domain::envelope::{NewEvent, Position};
use domain::event::{Event, StreamId};
use domain::order::{Order, OrderEvent, OrderReason};
use domain::ports::{EventReader, EventStore, StoreError};
use postgres_es::PostgresEventRepository;
use sqlx::{PgPool, Row};

use super::bed::Bed;
use super::made::{self, Show, append, batch, fence, order};
use super::proxy::Proxy;
use crate::support::{eventually, fresh_database};

/// More looks than any server needs.
const LOOKS: u32 = 2_000;

async fn pool(bed: &Bed) -> PgPool {
    PgPool::connect(bed.url()).await.expect("connects")
}

/// Ends the writer's backend once it is in the state that `waits` asks for.
async fn terminate_writer(pool: &PgPool, waits: &str) {
    let kill = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'onair writer' AND {waits}"
    );
    for _ in 0..LOOKS {
        if !sqlx::query(&kill).fetch_all(pool).await.expect("asks").is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the writer never came to {waits}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_killed_in_mid_transaction_wrote_nothing() {
    let bed = Bed::postgres().await;
    let pool = pool(&bed).await;
    let show = Show::new();
    let claim = bed.store.claim(made::TOPIC, 0, "w").await.expect("claims");
    append(bed.store.as_ref(), [show.scheduled(&[("a", 9)])]).await;
    let mut one = batch([show.reserved(order(), "ana", "a", 1)]);
    one.fences.push(fence(0, claim.epoch, None, 1));

    // the batch has moved its fence and its stock, and waits for the lock of positions
    let mut other = pool.begin().await.expect("begins");
    sqlx::query("SELECT es_lock_positions()").execute(&mut *other).await.expect("locks");
    let (result, ()) = futures::join!(
        bed.store.append(&one),
        terminate_writer(&pool, "wait_event_type = 'Lock' AND wait_event = 'advisory'"),
    );
    assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    other.rollback().await.expect("rolls back");

    let stands = bed.store.position_of(made::TOPIC, 0).await.expect("reads").expect("claimed");
    assert_eq!(stands.next_offset, None);
    assert_eq!(bed.store.ledger(show.0).await.expect("reads").rows[&made::sku("a")].held, 0);
    assert_eq!(bed.store.append(&one).await.expect("commits on a new connection"), Position(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_killed_in_commit_leaves_the_answer_to_the_fence() {
    let bed = Bed::postgres().await;
    let pool = pool(&bed).await;
    // COMMIT takes its time in this database, and is killed before it is through
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                    'BEGIN PERFORM pg_sleep(9); RETURN NULL; END';
                CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON events
                    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow();";
    sqlx::raw_sql(slow).execute(&pool).await.expect("creates");
    let claim = bed.store.claim(made::TOPIC, 0, "w").await.expect("claims");
    let mut one = batch([Show::new().scheduled(&[])]);
    one.fences.push(fence(0, claim.epoch, None, 1));
    let (result, ()) = futures::join!(
        bed.store.append(&one),
        terminate_writer(&pool, "query = 'COMMIT' AND state = 'active'"),
    );
    assert!(matches!(result, Err(StoreError::Ambiguous(_))), "{result:?}");
    let stands = bed.store.position_of(made::TOPIC, 0).await.expect("reads").expect("claimed");
    assert_eq!(stands.next_offset, None);
    sqlx::raw_sql("DROP TRIGGER slow ON events").execute(&pool).await.expect("drops");
    assert_eq!(bed.store.append(&one).await.expect("commits"), Position(1));
}

/// Window 13.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_was_lost_is_found_by_its_fence() {
    let bed = Bed::postgres().await;
    let proxy = Proxy::before(bed.url()).await;
    let store = PostgresStore::connect(&proxy.url, &bed.options()).await.expect("connects");
    let claim = store.claim(made::TOPIC, 0, "w").await.expect("claims");
    let mut one = batch([Show::new().scheduled(&[])]);
    one.fences.push(fence(0, claim.epoch, None, 1));
    proxy.lose_the_answer_to(b"COMMIT\0");
    let result = store.append(&one).await;
    assert!(matches!(result, Err(StoreError::Ambiguous(_))), "{result:?}");
    let stands = store.position_of(made::TOPIC, 0).await.expect("reads").expect("claimed");
    assert_eq!(stands.next_offset, Some(1));
    assert!(matches!(store.append(&one).await, Err(StoreError::Fenced)));
    assert_eq!(store.head().await.expect("reads"), Position(1));
    assert_eq!(append(&store, [Show::new().scheduled(&[])]).await, Position(2));
}

fn order_events(of: domain::ids::OrderId, show: Show) -> Vec<NewEvent> {
    let like = show.noted(1);
    let event = |sequence, what| NewEvent {
        event_id: domain::ids::EventId(made::uuid()),
        stream: StreamId::order(of),
        sequence,
        event: Event::Order(what),
        ..like.clone()
    };
    let amount =
        domain::money::Money::new(19_900, domain::money::Currency::try_new("KRW").expect("known"));
    vec![
        event(
            1,
            OrderEvent::PaymentRequested {
                order_id: of,
                attempt: 1,
                provider: "simulated".into(),
                method: "sim_ok".into(),
                amount,
            },
        ),
        event(2, OrderEvent::PaymentCaptured { order_id: of, attempt: 1, amount }),
        event(3, OrderEvent::OrderConfirmed { order_id: of }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stock_repository_reads_and_writes_the_table() {
    let bed = Bed::postgres().await;
    let (show, bought) = (Show::new(), order());
    append(bed.store.as_ref(), [show.scheduled(&[])]).await;
    append(bed.store.as_ref(), order_events(bought, show)).await;

    let repository = PostgresEventRepository::new(pool(&bed).await);
    let stock = PersistedEventStore::<_, Order>::new_event_store(repository);
    let loaded = stock.load_events(&bought.to_string()).await.expect("loads");
    let mut theirs = Order::default();
    for event in &loaded {
        theirs.apply(&event.payload);
    }
    let mut ours = Order::default();
    let log = bed.store.load(&[StreamId::order(bought)]).await.expect("reads");
    for event in &log {
        let Event::Order(event) = &event.event else { panic!("is of the order") };
        ours.apply(event);
    }
    assert_eq!(loaded.len(), 3);
    assert_eq!(theirs, ours);
    assert!(ours.has_ended());

    // one event of theirs, with the envelope of ours: position, key and chain come from the table
    let event = OrderEvent::OrderCancelled {
        order_id: bought,
        reason: OrderReason::CancelledByHost,
        personal: domain::personal::Personal::default(),
    };
    let written = SerializedEvent::new(
        bought.to_string(),
        4,
        "order".to_owned(),
        "OrderCancelled".to_owned(),
        "1".to_owned(),
        serde_json::to_value(&event).expect("serialises"),
        serde_json::to_value(log[0].metadata.to_map()).expect("serialises"),
    );
    let repository = PostgresEventRepository::new(pool(&bed).await);
    repository.persist::<Order>(&[written], None).await.expect("writes");
    let tail = bed.store.read(Position(4), 9).await.expect("reads");
    assert_eq!(tail.len(), 1);
    assert_eq!(
        (tail[0].position, tail[0].prev, tail[0].key),
        (Position(5), Position(4), show.key())
    );
    assert_eq!(tail[0].event, Event::Order(event));
    // and ours go on after it
    assert_eq!(append(bed.store.as_ref(), [show.noted(2)]).await, Position(6));
    assert_eq!(bed.store.read(Position(5), 1).await.expect("reads")[0].prev, Position(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_keep_their_bytes() {
    let bed = Bed::postgres().await;
    let event = Show::new().scheduled(&[("a", 1)]);
    append(bed.store.as_ref(), [event.clone()]).await;
    let row = sqlx::query("SELECT payload::text, metadata::text FROM events")
        .fetch_one(&pool(&bed).await)
        .await
        .expect("reads");
    assert_eq!(row.get::<String, _>(0), event.event.to_payload().expect("serialises"));
    let metadata: BTreeMap<String, String> =
        serde_json::from_str(&row.get::<String, _>(1)).expect("is flat");
    assert_eq!(metadata, event.metadata.to_map());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_migrated_once_and_demanded() {
    let bed = Bed::memory();
    let url = fresh_database().await;
    let refused = PostgresStore::connect(&url, &bed.options()).await.err();
    assert!(matches!(refused, Some(OpenError::NotMigrated(1))), "{refused:?}");
    let all = futures::future::join_all((0..4).map(|_| store::migrate(&url))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    let pool = PgPool::connect(&url).await.expect("connects");
    // a release ahead of this one has taken a step that this one does not know
    let ahead =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'ahead', true, '', 0)";
    sqlx::query(ahead).execute(&pool).await.expect("inserts");
    store::migrate(&url).await.expect("lets it be");
    let store = store::open(&url, &bed.options()).await.expect("connects");
    assert_eq!(append(store.as_ref(), [Show::new().scheduled(&[])]).await, Position(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_another_process_reads_and_waits() {
    let bed = Bed::postgres().await;
    let reader = store::open_reader(bed.url(), &bed.options()).await.expect("connects");
    append(bed.store.as_ref(), [Show::new().scheduled(&[])]).await;
    while reader.head().await.expect("reads") == Position::START {
        reader.wait(Position::START).await;
    }
    assert_eq!(reader.read(Position::START, 9).await.expect("reads").len(), 1);
}

/// A process that only projects or answers would ask 200 times a second for each of its readers.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_another_process_does_not_poll() {
    let bed = Bed::postgres().await;
    let reader = store::open_reader(bed.url(), &bed.options()).await.expect("connects");
    let head = append(bed.store.as_ref(), [Show::new().scheduled(&[])]).await;
    eventually("a wait that is none of a poll", Duration::from_secs(5), async || {
        let began = Instant::now();
        reader.wait(head).await;
        (began.elapsed() >= Duration::from_millis(100)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_leaves_no_connection() {
    let bed = Bed::postgres().await;
    let pool = pool(&bed).await;
    let store = PostgresStore::connect(bed.url(), &bed.options()).await.expect("connects");
    let writers = async || -> i64 {
        let count = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'onair writer'";
        sqlx::query_scalar(count).fetch_one(&pool).await.expect("asks")
    };
    assert_eq!(writers().await, 2);
    store.close().await;
    for _ in 0..LOOKS {
        if writers().await == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the closed store kept its connection");
}
