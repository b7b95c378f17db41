//! The writer alone, on a scripted consumer: dedupe, fences, ambiguous commits, poison.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use commands::writer::{self, WriterConfig, WriterError, WriterPorts};
use domain::admission::Admission;
use domain::command::{Command, CommandRecord};
use domain::event::StreamId;
use domain::fingerprint::Fingerprint;
use domain::ids::{OrderId, ViewerRef};
use domain::order::{OrderCommand, PlaceOrder};
use domain::personal::Personal;
use domain::ports::{CommandOutcome, ConsumerEvent, EventReader, EventStore};
use domain::spotlight::SpotlightCommand;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::ports::{Ambiguous, Script, TOPIC, assigned, raw, record};
use super::rig::{Rig, SPOTLIGHT, request, start_time, terms};

struct Running {
    feed: mpsc::Sender<Vec<ConsumerEvent>>,
    started: Arc<Mutex<Vec<i64>>>,
    committed: Arc<Mutex<Vec<i64>>>,
    task: JoinHandle<Result<(), WriterError>>,
}

fn writer_of(rig: &Rig, owner: &str) -> Running {
    let (feed, events) = mpsc::channel(16);
    let (started, committed) = (Arc::default(), Arc::default());
    let script =
        Script { events, started: Arc::clone(&started), committed: Arc::clone(&committed), end: 0 };
    let ports = WriterPorts { consumer: Box::new(script), ..rig.writer_ports() };
    let run = writer::run(ports, WriterConfig::new(owner), CancellationToken::new());
    Running { feed, started, committed, task: TaskTracker::new().spawn(run) }
}

impl Running {
    async fn feed(&self, rig: &Rig, events: Vec<ConsumerEvent>) {
        self.feed.send(events).await.expect("the writer listens");
        rig.settle().await;
    }
}

fn schedule(rig: &Rig) -> CommandRecord {
    let terms = Box::new(terms(3, Some(2)));
    let command = SpotlightCommand::ScheduleSpotlight { terms, open_now: true };
    rig.record(SPOTLIGHT.into(), Command::Spotlight { command }, "schedule")
}

fn order(number: u128) -> OrderId {
    OrderId(Uuid::from_u128(number))
}

fn place(rig: &Rig, number: u128, admission_no: u64, viewer: &str) -> CommandRecord {
    let asked = request(viewer, "k", 1, "none");
    let at = start_time();
    let place = PlaceOrder {
        order_id: order(number),
        spotlight_id: SPOTLIGHT,
        viewer_ref: ViewerRef::try_new(viewer).unwrap(),
        lines: asked.lines,
        offer_version: 1,
        admission: Some(Admission { epoch: 1, number: admission_no, at, offer_version: 1 }),
        payment: None,
        key_fingerprint: Fingerprint::of(b"k"),
        body_fingerprint: asked.fingerprint,
        received_at: at,
        node: "n".to_owned(),
        void_after: None,
        personal: Personal::default(),
    };
    let command = OrderCommand::PlaceOrder { place: Box::new(place) };
    let id = format!("place {number} {admission_no}");
    rig.record(SPOTLIGHT.into(), Command::Order { command }, &id)
}

async fn count(rig: &Rig, event_type: &str) -> usize {
    rig.events().await.iter().filter(|event| event.event_type() == event_type).count()
}

#[tokio::test]
async fn repeats_within_and_across_batches_lead_to_nothing() {
    let rig = Rig::idle();
    let writer = writer_of(&rig, "w");
    let (schedule, first) = (schedule(&rig), place(&rig, 1, 1, "ana"));
    writer
        .feed(
            &rig,
            vec![
                assigned(0, 0),
                record(0, &schedule),
                record(1, &schedule),
                record(2, &first),
                record(3, &first),
            ],
        )
        .await;
    writer.feed(&rig, vec![record(4, &schedule), record(5, &first)]).await;
    assert_eq!(count(&rig, "SpotlightScheduled").await, 1);
    assert_eq!(rig.story(order(1)).await, ["OrderAccepted", "StockReserved"]);
    assert_eq!(rig.voided().await, 0);
    assert_eq!(*writer.committed.lock(), [4, 6]);
    // the same order under another admission gives that one back, and each time it comes
    let again = place(&rig, 1, 2, "ana");
    writer.feed(&rig, vec![record(6, &again), record(7, &again)]).await;
    assert_eq!(rig.voided().await, 2);
    assert_eq!(rig.story(order(1)).await, ["OrderAccepted", "StockReserved"]);
}

#[tokio::test]
async fn stock_and_viewers_limit_are_checked_again() {
    let rig = Rig::idle();
    let writer = writer_of(&rig, "w");
    let mut events = vec![assigned(0, 0), record(0, &schedule(&rig))];
    for (offset, (number, viewer)) in
        (1_i64..).zip([(1, "ana"), (2, "ana"), (3, "ana"), (4, "bob"), (5, "cat")])
    {
        let admission = u64::try_from(offset).unwrap();
        events.push(record(offset, &place(&rig, number, admission, viewer)));
    }
    writer.feed(&rig, events).await;
    for (number, last) in [(1, "StockReserved"), (2, "StockReserved"), (3, "OrderFailed")] {
        assert_eq!(rig.story(order(number)).await.last().unwrap(), last, "{number}");
    }
    assert_eq!(rig.story(order(4)).await.last().unwrap(), "StockReserved");
    assert_eq!(rig.story(order(5)).await.last().unwrap(), "OrderFailed");
    assert_eq!(rig.voided().await, 2);
    assert!(rig.store.ledger(SPOTLIGHT).await.unwrap().is_sound());
}

#[tokio::test]
async fn an_ambiguous_commit_is_settled_by_the_offset() {
    for fault in [Ambiguous::AfterCommit, Ambiguous::BeforeCommit] {
        let rig = Rig::idle();
        let writer = writer_of(&rig, "w");
        writer.feed(&rig, vec![assigned(0, 0), record(0, &schedule(&rig))]).await;
        rig.store.ambiguous.lock().push(fault);
        writer.feed(&rig, vec![record(1, &place(&rig, 1, 1, "ana"))]).await;
        rig.until("the batch is settled", async |_| writer.committed.lock().last() == Some(&2))
            .await;
        assert_eq!(rig.story(order(1)).await, ["OrderAccepted", "StockReserved"], "{fault:?}");
        writer.feed(&rig, vec![record(2, &place(&rig, 2, 2, "bob"))]).await;
        assert_eq!(rig.story(order(2)).await, ["OrderAccepted", "StockReserved"], "{fault:?}");
    }
}

#[tokio::test]
async fn a_store_that_is_away_loses_nothing() {
    let rig = Rig::idle();
    let writer = writer_of(&rig, "w");
    writer.feed(&rig, vec![assigned(0, 0), record(0, &schedule(&rig))]).await;
    rig.store.away.store(true, Ordering::SeqCst);
    writer.feed(&rig, vec![record(1, &place(&rig, 1, 1, "ana"))]).await;
    rig.pass(std::time::Duration::from_secs(5)).await;
    assert!(rig.story(order(1)).await.is_empty());
    rig.store.away.store(false, Ordering::SeqCst);
    rig.until("it is decided", async |rig| rig.story(order(1)).await.len() == 2).await;
}

#[tokio::test]
async fn a_zombie_is_fenced_and_claims_again_only_if_it_is_not_revoked() {
    let rig = Rig::idle();
    let zombie = writer_of(&rig, "zombie");
    zombie.feed(&rig, vec![assigned(0, 0), record(0, &schedule(&rig))]).await;
    let heir = writer_of(&rig, "heir");
    heir.feed(&rig, vec![assigned(0, 1), record(1, &place(&rig, 1, 1, "ana"))]).await;
    assert_eq!(*heir.started.lock(), [1]);
    // the zombie still believes that it owns the partition, and has decided otherwise
    zombie.feed(&rig, vec![record(1, &place(&rig, 2, 2, "bob"))]).await;
    assert!(rig.story(order(2)).await.is_empty());
    assert_eq!(*zombie.committed.lock(), [1]);
    zombie.feed(&rig, vec![ConsumerEvent::Revoked { topic: TOPIC.to_owned(), partition: 0 }]).await;
    rig.pass(writer::RECLAIM_PAUSE * 3).await;
    assert_eq!(*zombie.started.lock(), [0]);
    // a writer that was fenced and keeps the partition takes it back, at its place
    let other = rig.store.inner.claim(TOPIC, 0, "nobody").await.unwrap();
    assert_eq!(other.next_offset, Some(2));
    heir.feed(&rig, vec![record(2, &place(&rig, 3, 3, "bob"))]).await;
    assert!(rig.story(order(3)).await.is_empty());
    rig.until("it claims again", async |_| heir.started.lock().len() == 2).await;
    assert_eq!(*heir.started.lock(), [1, 2]);
    heir.feed(&rig, vec![record(2, &place(&rig, 3, 3, "bob"))]).await;
    assert_eq!(rig.story(order(3)).await.len(), 2);
}

#[tokio::test]
async fn a_log_that_lost_what_is_needed_halts_the_writer() {
    for (low, high) in [(5, 9), (0, 0)] {
        let rig = Rig::idle();
        let first = writer_of(&rig, "first");
        first.feed(&rig, vec![assigned(0, 0), record(0, &schedule(&rig))]).await;
        let second = writer_of(&rig, "second");
        second.feed(&rig, vec![assigned(low, high)]).await;
        let halted = second.task.await.expect("ends");
        assert!(halted.is_err(), "{low}..{high}");
    }
}

#[tokio::test]
async fn poison_is_parked_alone_and_its_sequence_waits() {
    let rig = Rig::idle();
    let writer = writer_of(&rig, "w");
    rig.store.cursed.lock().insert(StreamId::order(order(7)));
    let mut events = vec![assigned(0, 0), record(0, &schedule(&rig)), raw(1, b"{ not json")];
    events.push(record(2, &place(&rig, 1, 1, "ana")));
    events.push(record(3, &place(&rig, 7, 2, "bob")));
    events.push(record(4, &place(&rig, 2, 3, "cat")));
    writer.feed(&rig, events).await;
    assert_eq!(writer.committed.lock().last(), Some(&5));
    for number in [1, 2] {
        assert_eq!(rig.story(order(number)).await, ["OrderAccepted", "StockReserved"]);
    }
    assert!(rig.story(order(7)).await.is_empty());
    let due = rig.store.parked_due(start_time() + chrono::TimeDelta::days(1), 10).await.unwrap();
    let parked: Vec<_> = due.iter().map(|parked| parked.source.offset).collect();
    assert_eq!(parked, [1, 3]);
    assert_eq!(due[1].sequence, order(7).to_string());
    let wait = due[1].deadline - due[1].parked_at;
    assert_eq!(wait.to_std().unwrap(), writer::PARKED_DEADLINE);
    // a later command of the parked order waits as well; one of another order does not
    rig.store.cursed.lock().clear();
    let cancel = |number| {
        let command = OrderCommand::CancelOrder { order_id: order(number), reason: None };
        let id = format!("cancel {number}");
        rig.record(SPOTLIGHT.into(), Command::Order { command }, &id)
    };
    let (behind, beside) = (cancel(7), cancel(1));
    writer.feed(&rig, vec![record(5, &behind), record(6, &beside)]).await;
    let outcomes =
        rig.store.outcomes(&[behind.command_id, beside.command_id]).await.expect("reads");
    assert_eq!(outcomes[&behind.command_id].outcome, CommandOutcome::Parked);
    assert_eq!(outcomes[&beside.command_id].outcome, CommandOutcome::Done);
}

#[tokio::test]
async fn a_command_under_another_key_is_parked() {
    let rig = Rig::idle();
    let writer = writer_of(&rig, "w");
    let mut stray = place(&rig, 1, 1, "ana");
    stray.key.0 = Uuid::from_u128(0xdead);
    writer.feed(&rig, vec![assigned(0, 0), record(0, &schedule(&rig)), record(1, &stray)]).await;
    assert!(rig.story(order(1)).await.is_empty());
    let parked = rig.store.parked_among(&[order(1).to_string()]).await.unwrap();
    assert_eq!(parked, [order(1).to_string()]);
}

#[tokio::test]
async fn one_time_for_a_batch_and_it_never_goes_back() {
    let rig = Rig::idle();
    let writer = writer_of(&rig, "w");
    writer
        .feed(
            &rig,
            vec![assigned(0, 0), record(0, &schedule(&rig)), record(1, &place(&rig, 1, 1, "ana"))],
        )
        .await;
    rig.pass(std::time::Duration::from_millis(30)).await;
    writer.feed(&rig, vec![record(2, &place(&rig, 2, 2, "bob"))]).await;
    let events = rig.store.read(domain::envelope::Position::START, 100).await.unwrap();
    let times: Vec<_> = events.iter().map(|event| event.metadata.decided_at).collect();
    assert!(times.is_sorted());
    let first = times[0];
    assert_eq!(times.iter().filter(|time| **time == first).count(), 4);
    assert!(times.last().unwrap() > &first);
}
