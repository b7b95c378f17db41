//! Random operations give the same on Redis as on the state machine, and the same as the ledger.

mod steps;

use std::collections::BTreeMap;
use std::time::Duration;

use domain::admission::Admission;
use domain::gate::{GateState, SnapshotFold, apply_events, load_snapshot};
use domain::ids::ViewerRef;
use domain::ledger::{Ledger, ledger_deltas};
use domain::ports::{
    Applied, Clock, EntryState, Loaded, Narrow, Narrowed, Narrowing, Take, TakeOutcome,
};
use domain::spotlight::{UnitsBySku, VoidCause, units_of};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use self::steps::{Step, step};
use super::adapters::{TestClock, redis};
use super::story::{Story, sku, time, viewer};
use super::suite::Gate;

const ORDERS: usize = 6;
const HOST_COMMANDS: usize = 7;
/// Random sequences of one run.
const CASES: u32 = 40;
/// Operations of one sequence.
const STEPS: usize = 60;

/// What the log has of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logged {
    No,
    Held,
    Ended,
}

struct Both {
    gate: Gate,
    model: Option<GateState>,
    story: Story,
    /// What the log has and the gates have not been given: always empty but after a skip.
    given: usize,
    takes: Vec<Take>,
    admissions: BTreeMap<usize, Admission>,
    logged: Vec<Logged>,
    narrows: Vec<Narrow>,
    narrowed: BTreeMap<usize, Admission>,
    epoch: u64,
    /// What the log keeps for those who wait.
    kept: UnitsBySku,
}

fn untimed_admission(admission: Admission) -> Admission {
    Admission { at: time(0), ..admission }
}

fn untimed(outcome: TakeOutcome) -> TakeOutcome {
    match outcome {
        TakeOutcome::Taken { admission, offer } => {
            TakeOutcome::Taken { admission: untimed_admission(admission), offer }
        }
        TakeOutcome::SameAgain { mut entry, offer } => {
            entry.admission = untimed_admission(entry.admission);
            TakeOutcome::SameAgain { entry, offer }
        }
        other => other,
    }
}

fn untimed_narrowed(outcome: Narrowed) -> Narrowed {
    match outcome {
        Narrowed::Done { admission } => Narrowed::Done { admission: untimed_admission(admission) },
        Narrowed::SameAgain { mut entry } => {
            entry.admission = untimed_admission(entry.admission);
            Narrowed::SameAgain { entry }
        }
        other => other,
    }
}

impl Both {
    async fn new(gate: Gate, limit: Option<u32>) -> Self {
        let mut story = Story { per_viewer_limit: limit, ..Story::new() };
        story.open(&[("a", 6), ("b c", 3)]);
        let wanted: [&[(&str, u32)]; ORDERS] = [
            &[("a", 1)],
            &[("a", 2), ("b c", 1)],
            &[("b c", 2)],
            &[("a", 3)],
            &[("b c", 1), ("a", 1)],
            &[("z", 1), ("a", 1)],
        ];
        let names: [ViewerRef; 2] = [viewer("ana maria"), viewer("bob")];
        let takes = wanted.iter().enumerate().map(|(index, lines)| {
            story.take_by(super::story::order(), names[index % 2].clone(), lines)
        });
        let takes = takes.collect();
        let narrowings = [
            Narrowing::Pause,
            Narrowing::Reduce { sku: sku("a"), units: 2 },
            Narrowing::ChangeOffer,
            Narrowing::Pause,
            Narrowing::Reduce { sku: sku("b c"), units: 9 },
            Narrowing::Wait { viewer: viewer("ana maria"), units: 1 },
            Narrowing::Wait { viewer: viewer("bob"), units: 2 },
        ];
        let narrows = narrowings.into_iter().map(|narrowing| story.narrow(narrowing)).collect();
        let mut both = Self {
            gate,
            model: None,
            story,
            given: 0,
            takes,
            admissions: BTreeMap::new(),
            logged: vec![Logged::No; ORDERS],
            narrows,
            narrowed: BTreeMap::new(),
            epoch: 1,
            kept: UnitsBySku::new(),
        };
        both.give().await;
        both
    }

    /// Gives both gates what the log has that they were not given.
    async fn give(&mut self) {
        let events = &self.story.events[self.given..];
        let on_model = apply_events(&mut self.model, events);
        let on_redis = self.gate.apply(self.story.spotlight, events).await.expect("answers");
        assert_eq!(on_redis, on_model);
        if matches!(on_model, Applied::Done { .. }) {
            self.given = self.story.events.len();
        }
    }

    fn model(&mut self) -> &mut GateState {
        self.model.as_mut().expect("scheduled")
    }

    async fn step(&mut self, step: &Step) {
        let now = TestClock.now();
        match step {
            Step::Take { order, wrong_version, other_body } => {
                let mut take = self.takes[*order].clone();
                take.offer_version = self.story.version + u32::from(*wrong_version);
                if *other_body {
                    take.fingerprint = domain::fingerprint::Fingerprint::of(b"other");
                }
                let on_model = self.model().take(&take, now);
                let on_redis = self.gate.take(&take).await.expect("answers");
                if let TakeOutcome::Taken { admission, .. } = &on_redis {
                    self.admissions.insert(*order, *admission);
                    self.takes[*order].fingerprint = take.fingerprint;
                }
                assert_eq!(untimed(on_redis), untimed(on_model));
            }
            Step::TakeAgain(order) => {
                let take = Take { again: true, ..self.takes[*order].clone() };
                let on_model = self.model().take(&take, now);
                let on_redis = self.gate.take(&take).await.expect("answers");
                if let TakeOutcome::Taken { admission, .. } = &on_redis {
                    self.admissions.insert(*order, *admission);
                    self.logged[*order] = Logged::No;
                }
                assert_eq!(untimed(on_redis), untimed(on_model));
            }
            Step::Cancel(order) => {
                let entry = self.takes[*order].order.0;
                self.cancel(entry).await;
            }
            Step::Narrow(index) => {
                let narrow = self.narrows[*index].clone();
                let on_model = self.model().narrow(&narrow, now);
                let on_redis = self.gate.narrow(&narrow).await.expect("answers");
                if let Narrowed::Done { admission } = &on_redis {
                    self.narrowed.insert(*index, *admission);
                }
                assert_eq!(untimed_narrowed(on_redis), untimed_narrowed(on_model));
            }
            Step::CancelNarrow(index) => {
                let entry = self.narrows[*index].entry;
                self.cancel(entry).await;
            }
            Step::Claim => {
                let zero = std::time::Duration::ZERO;
                // both have taken before now, by their own clocks
                let later = now + chrono::TimeDelta::milliseconds(1);
                let mut on_model = self.model().claim_pending(zero, 99, later);
                let mut on_redis = self.gate.claim_pending(zero, 99).await.expect("answers");
                for claimed in [&mut on_model, &mut on_redis] {
                    claimed.sort_by_key(|entry| entry.entry);
                    for entry in claimed.iter_mut() {
                        entry.admission = untimed_admission(entry.admission);
                    }
                }
                assert_eq!(on_redis, on_model);
            }
            log => {
                self.log(log).await;
            }
        }
    }

    async fn cancel(&mut self, entry: uuid::Uuid) {
        let on_model = self.model().cancel_unsent(entry);
        let on_redis = self.gate.cancel_unsent(self.story.spotlight, entry).await;
        assert_eq!(on_redis.expect("answers"), on_model);
    }

    fn admission(&self, order: usize, known: bool) -> Admission {
        match self.admissions.get(&order) {
            Some(admission) if known => *admission,
            _ => Admission { epoch: self.epoch, number: 99, at: time(9), offer_version: 1 },
        }
    }

    /// Offers what is kept, if it is enough; an offer has an order of its own, which no gate was
    /// asked for.
    fn offer(&mut self, order: usize) {
        let take = self.takes[order].clone();
        let units = units_of(&take.lines);
        let fits = |(sku, units)| self.kept.get(sku).is_some_and(|kept| kept >= units);
        if self.admissions.contains_key(&order) || !units.iter().all(fits) {
            return;
        }
        for (sku, units) in &units {
            *self.kept.get_mut(sku).expect("fits") -= units;
        }
        self.story.offered(&take, self.epoch);
        self.logged[order] = Logged::Held;
    }

    async fn log(&mut self, step: &Step) {
        match step {
            Step::Reserve { order, known } if self.logged[*order] == Logged::No && *order != 5 => {
                let admission = self.admission(*order, *known);
                self.story.reserved(&self.takes[*order].clone(), admission);
                self.logged[*order] = Logged::Held;
            }
            Step::Fail { order, of_known } if self.logged[*order] == Logged::No && *order != 5 => {
                let (take, admission) =
                    (self.takes[*order].clone(), self.admission(*order, *of_known));
                self.story.accepted(&take, admission);
                self.story.voided(take.order.0, admission, VoidCause::NotReserved);
                self.logged[*order] = Logged::Ended;
            }
            Step::Void { order, known } => {
                let admission = self.admission(*order, *known);
                let entry = self.takes[*order].order.0;
                self.story.voided(entry, admission, VoidCause::Duplicate);
            }
            Step::Confirm(order) if self.logged[*order] == Logged::Held => {
                self.story.confirmed(&self.takes[*order].clone());
                self.logged[*order] = Logged::Ended;
            }
            Step::Release { order, keep } if self.logged[*order] == Logged::Held => {
                let take = self.takes[*order].clone();
                if *keep {
                    self.story.keeps = units_of(&take.lines);
                    for (sku, units) in &self.story.keeps {
                        *self.kept.entry(sku.clone()).or_default() += units;
                    }
                }
                self.story.released(&take);
                self.logged[*order] = Logged::Ended;
            }
            Step::Offer(order) if self.logged[*order] == Logged::No && *order != 5 => {
                self.offer(*order);
            }
            Step::Leave(which) => {
                let names = [viewer("ana maria"), viewer("bob")];
                self.story.left(&names[*which]);
            }
            Step::Free => {
                let mut units = std::mem::take(&mut self.kept);
                units.retain(|_, units| *units > 0);
                self.story.freed(units);
            }
            Step::EndNarrow(index) => {
                let entry = self.narrows[*index].entry;
                match &self.narrows[*index].narrowing.clone() {
                    Narrowing::Reduce { sku, units } => {
                        let units = i64::from(*units);
                        self.story.adjusted(sku.as_str(), -units, Some(entry));
                    }
                    Narrowing::ChangeOffer => {
                        self.story.repriced(entry);
                    }
                    Narrowing::Wait { viewer, units } => {
                        self.story.joined(entry, viewer, &[("a", *units)]);
                    }
                    _ => {
                        self.story.paused(entry);
                    }
                }
            }
            Step::VoidNarrow(index) => {
                if let Some(admission) = self.narrowed.get(index).copied() {
                    self.story.voided(self.narrows[*index].entry, admission, VoidCause::Refused);
                }
            }
            Step::Resume => {
                self.story.resumed();
            }
            Step::Restock => {
                self.story.adjusted("a", 2, None);
            }
            Step::Repeat => self.given = self.given.saturating_sub(3),
            Step::SkipOne => {
                self.story.resumed();
                self.story.resumed();
                let last = [self.story.events[self.story.events.len() - 1].clone()];
                let on_model = apply_events(&mut self.model, &last);
                let on_redis = self.gate.apply(self.story.spotlight, &last).await;
                assert_eq!(on_redis.expect("answers"), on_model);
            }
            Step::Reopen => {
                self.epoch += 1;
                self.story.reopened(self.epoch);
            }
            Step::Load => return self.load().await,
            _ => {}
        }
        self.give().await;
    }

    async fn load(&mut self) {
        let mut fold = SnapshotFold::default();
        let mut ledger = Ledger::default();
        for recorded in &self.story.events {
            fold.apply(recorded);
            for delta in ledger_deltas(&recorded.event) {
                ledger.apply(&delta);
            }
        }
        let snapshot = fold.finish().expect("scheduled");
        let on_model = load_snapshot(&mut self.model, &snapshot);
        let on_redis = self.gate.load(&snapshot).await.expect("answers");
        assert_eq!(on_redis, on_model);
        if on_model != Loaded::Done {
            return;
        }
        self.given = self.story.events.len();
        assert!(snapshot.orders.iter().all(|order| order.state != EntryState::Pending));
        let view = self.gate.view(self.story.spotlight).await.expect("answers").expect("loaded");
        for (sku, row) in &ledger.rows {
            let shown = view.inventory[sku];
            let of_gate = (shown.limited_quantity, shown.held, shown.sold, shown.remaining);
            assert_eq!(of_gate, (row.limit, row.held, row.confirmed, row.free()));
        }
    }

    async fn agree(&mut self) {
        let now = TestClock.now();
        let spotlight = self.story.spotlight;
        let on_redis = self.gate.view(spotlight).await.expect("answers");
        assert_eq!(on_redis, self.model().view(now));
        for (sku, shown) in on_redis.iter().flat_map(|view| &view.inventory) {
            let parts = shown.remaining + shown.held + shown.sold;
            assert_eq!(shown.limited_quantity, parts, "{sku}");
        }
        let on_redis = self.gate.sold_out(spotlight, Duration::ZERO).await.expect("answers");
        let on_model = self.model().sold_out(Duration::ZERO, now);
        assert_eq!(on_redis, on_model);
    }
}

#[test]
fn redis_does_what_the_state_machine_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("builds");
    let mut runner =
        TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let steps = prop::collection::vec(step(), 1..STEPS);
    let inputs = (prop::option::of(2_u32..5), steps);
    let result = runner.run(&inputs, |(limit, steps)| {
        runtime.block_on(async {
            // a gate of its own: claims go over all of its spotlights
            let mut both = Both::new(redis().await, limit).await;
            for step in &steps {
                both.step(step).await;
                both.agree().await;
            }
        });
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
