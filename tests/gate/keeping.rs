//! The projection keeps gates by the log, on every adapter.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::envelope::Position;
use domain::ports::{Clock, EventReader, GateView, TakeOutcome};
use projections::consumer::StoreEventLog;
use projections::stock_counter::{Presence, run};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::adapters::TestClock;
use super::story::{Story, fresh, order, time};
use super::suite::{Gate, on_every_gate, taken};
use super::world::World;
use crate::support::eventually;

on_every_gate!(keeping:
    creates_a_gate_and_keeps_it,
    fills_a_gap_from_the_store,
    rebuilds_a_gate_that_lacks_an_order,
    rebuilds_rather_than_begins_again,
    tells_unknown_from_young_from_lost,
    loads_an_epoch_once,
    rebuilds_once_for_many,
);

struct Keeping {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Keeping {
    #[expect(clippy::disallowed_methods, reason = "a role of its own, awaited at the end")]
    fn start(world: &Arc<World>, gate: &Gate, after: Position) -> Self {
        let shutdown = CancellationToken::new();
        let reader: Arc<dyn EventReader> = Arc::clone(world) as _;
        let task = tokio::spawn(run(
            Arc::clone(gate),
            Arc::new(StoreEventLog::new(Arc::clone(&reader))),
            reader,
            world.rebuilder(Arc::clone(gate)),
            Arc::new(TestClock),
            after,
            shutdown.clone(),
        ));
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("ends");
    }
}

async fn until(gate: &Gate, world: &World, what: &str, is: impl Fn(&GateView) -> bool) {
    let spotlight = world.spotlight().await;
    let mut last = None;
    for _ in 0..2_000 {
        last = gate.view(spotlight).await.expect("answers");
        if last.as_ref().is_some_and(&is) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never {what}: {last:?}");
}

async fn creates_a_gate_and_keeps_it(gate: Gate) {
    let mut story = Story::new();
    story.open(&[("a", 5)]);
    let world = World::new(story);
    world.recorded_at(TestClock.now()).await;
    let keeping = Keeping::start(&world, &gate, Position::START);
    let last = world.head().await.expect("reads");
    until(&gate, &world, "created", |view| view.applied == last).await;
    let take = world.story().await.take(&[("a", 2)]);
    let admission = taken(&gate, &take).await;
    assert_eq!(admission.epoch, 1);
    world.story().await.reserved(&take, admission);
    world.story().await.released(&take);
    world.wake();
    let last = world.head().await.expect("reads");
    until(&gate, &world, "released", |view| view.applied == last).await;
    let view = gate.view(world.spotlight().await).await.expect("answers").expect("has state");
    assert_eq!(view.inventory.values().next().expect("one SKU").remaining, 5);
    assert_eq!(world.epoch().await, 1);
    keeping.stop().await;
}

async fn fills_a_gap_from_the_store(gate: Gate) {
    let mut story = Story::new();
    let events = story.open(&[("a", 5)]);
    gate.apply(story.spotlight, &events).await.expect("applies");
    for _ in 0..3 {
        story.paused(fresh());
        story.resumed();
    }
    let (before_last, last) = (story.events[story.events.len() - 2].position, story.last);
    let world = World::new(story);
    let keeping = Keeping::start(&world, &gate, before_last);
    until(&gate, &world, "caught up", |view| view.applied == last).await;
    assert_eq!(world.epoch().await, 1);
    keeping.stop().await;
}

async fn rebuilds_a_gate_that_lacks_an_order(gate: Gate) {
    let mut story = Story::new();
    let events = story.open(&[("a", 5)]);
    gate.apply(story.spotlight, &events).await.expect("applies");
    let lost = story.take(&[("a", 2)]);
    let admission =
        domain::admission::Admission { epoch: 1, number: 1, at: time(0), offer_version: 1 };
    story.reserved(&lost, admission);
    let world = World::new(story);
    let keeping = Keeping::start(&world, &gate, Position::START);
    until(&gate, &world, "rebuilt", |view| view.epoch == 2).await;
    let Ok(TakeOutcome::SameAgain { .. }) = gate.take(&lost).await else { panic!("forgotten") };
    keeping.stop().await;
}

/// The events come again to a gate that lost everything: units may be admitted that are not decided
/// yet, so it must not begin at epoch 1 again.
async fn rebuilds_rather_than_begins_again(gate: Gate) {
    let mut story = Story::new();
    story.open(&[("a", 5)]);
    let sold = story.take(&[("a", 2)]);
    let admission =
        domain::admission::Admission { epoch: 1, number: 1, at: time(0), offer_version: 1 };
    story.reserved(&sold, admission);
    story.confirmed(&sold);
    let world = World::new(story);
    let keeping = Keeping::start(&world, &gate, Position::START);
    until(&gate, &world, "rebuilt", |view| view.epoch == 2).await;
    let view = gate.view(world.spotlight().await).await.expect("answers").expect("has state");
    assert_eq!(view.inventory.values().next().expect("one SKU").sold, 2);
    keeping.stop().await;
}

async fn tells_unknown_from_young_from_lost(gate: Gate) {
    let world = World::new(Story::new());
    let rebuilder = world.rebuilder(Arc::clone(&gate));
    let spotlight = world.spotlight().await;
    assert_eq!(rebuilder.ensure(spotlight).await.expect("asks"), Presence::Unknown);
    // remembered for a moment: the store is not asked again
    world.story().await.open(&[("a", 1)]);
    world.recorded_at(TestClock.now()).await;
    assert_eq!(rebuilder.ensure(spotlight).await.expect("asks"), Presence::Unknown);

    let rebuilder = world.rebuilder(Arc::clone(&gate));
    assert_eq!(rebuilder.ensure(spotlight).await.expect("asks"), Presence::Rebuilding);
    assert_eq!(world.epoch().await, 1);
    world.recorded_at(time(1_700_000_000)).await;
    assert_eq!(rebuilder.ensure(spotlight).await.expect("rebuilds"), Presence::Ready);
    assert_eq!(world.epoch().await, 2);
    assert_eq!(rebuilder.ensure(spotlight).await.expect("asks"), Presence::Ready);
    assert_eq!(world.epoch().await, 2);
}

/// An epoch that were loaded twice could bring back what the gate held at first, after a loss in
/// between.
async fn loads_an_epoch_once(gate: Gate) {
    let mut story = Story::new();
    story.open(&[("a", 3)]);
    let spotlight = story.spotlight;
    let world = World::new(story);
    let held = world.gate.lock().await;
    // two processes notice at once: both have read the store when the first one's command comes
    let rebuilders = [0, 1].map(|_| world.rebuilder(Arc::clone(&gate)));
    let [one, two] = rebuilders.map(|rebuilder| {
        tokio::task::spawn(async move { rebuilder.ensure(spotlight).await.expect("asks") })
    });
    eventually("both ask", Duration::from_secs(5), async || {
        (world.asked.load(Ordering::SeqCst) == 2).then_some(())
    })
    .await;
    drop(held);
    let mut presences = [one.await.expect("ends"), two.await.expect("ends")];
    presences.sort_unstable_by_key(|presence| *presence == Presence::Rebuilding);
    assert_eq!(presences, [Presence::Ready, Presence::Rebuilding]);
    assert_eq!(world.epoch().await, 2);
    taken(&gate, &world.story().await.take(&[("a", 1)])).await;
}

async fn rebuilds_once_for_many(gate: Gate) {
    let mut story = Story::new();
    story.open(&[("a", 1)]);
    let world = World::new(story);
    let spotlight = world.spotlight().await;
    let rebuilder = world.rebuilder(Arc::clone(&gate));
    let many = (0..50).map(|_| rebuilder.ensure(spotlight));
    let told = futures::future::join_all(many).await;
    let ready = told.iter().filter(|told| matches!(told, Ok(Presence::Ready))).count();
    assert!(ready >= 1, "{told:?}");
    assert_eq!(world.epoch().await, 2);
    let take = world.story().await.take_by(order(), super::story::viewer("ana"), &[("a", 1)]);
    assert_eq!(taken(&gate, &take).await.epoch, 2);
}
