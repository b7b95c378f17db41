//! The invariants of the log, as incremental checkers: one definition for the simulator, the chaos
//! tests, the writer's tests and `onair replay verify`.
//!
//! Every checker takes the events in the order of positions, does constant work per event and keeps
//! state for *open* things only. A key (a spotlight or a broadcast) that is closed, whose orders,
//! payments and refunds have all ended, and that had no event for [`GRACE_POSITIONS`] positions is
//! forgotten, so memory does not grow with the length of the log.
//!
//! | id | what holds |
//! |---|---|
//! | I1 | [`Stock`]: `0 ≤ held`, `0 ≤ confirmed`, `held + confirmed ≤ limit` of each SKU at every prefix |
//! | I2 | [`Ends`]: an accepted order ends at most once at every prefix, exactly once in a settled log |
//! | I3 | [`Holds`]: a reservation ends at most once, and with exactly the units that it reserved |
//! | I4 | [`ViewerLimits`]: no viewer holds and has bought more than the limit at any prefix |
//! | I5 | [`Chain`]: positions dense, `prev` per key right, sequences dense, gate epochs grow by one |
//! | I6 | [`Admissions`]: each of the gate's takes ends exactly once, offsets do not go backwards |
//! | I9 | [`Payments`]: confirmed ⇔ captured; money of an order that is not sold is asked back |
//! | I10 | [`Inputs`]: an accepted order holds every input of its decision and of its receipt |
//! | I13 | [`Line`]: who waits is served in order, and units stay taken meanwhile |
//!
//! I7 (gate = fold), I8 (read models = fold), I11 (seals) and I12 (liveness) need more than the log;
//! `projections::replay` checks those of them that it can reach.

/// What a checker is saved as, and goes on from: all of it.
macro_rules! saved {
    () => {
        fn save(&self) -> Result<Box<serde_json::value::RawValue>, serde_json::Error> {
            serde_json::value::to_raw_value(self)
        }

        fn load(&mut self, saved: &serde_json::value::RawValue) -> Result<(), serde_json::Error> {
            *self = serde_json::from_str(saved.get())?;
            Ok(())
        }
    };
}

mod admissions;
mod chain;
mod decision;
mod ends;
mod fast;
mod holds;
mod inputs;
mod line;
mod payments;
mod retirement;
mod stock;
mod viewer_limits;

pub use admissions::Admissions;
pub use chain::Chain;
pub use ends::Ends;
pub use holds::Holds;
pub use inputs::Inputs;
pub use line::Line;
pub use payments::Payments;
pub use stock::Stock;
pub use viewer_limits::ViewerLimits;

use std::collections::BTreeMap;

use crate::envelope::{Position, Recorded};
use crate::ids::{EventId, StreamKey};
use retirement::Retirement;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Positions without an event after which a closed key is forgotten. An order that the gate
/// admitted before the close and that is decided later is still checked against the whole state.
pub const GRACE_POSITIONS: u64 = 200_000;

/// Where an invariant is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The position of the event that breaks it, or that was never answered.
    pub position: Position,
    /// That event.
    pub event_id: EventId,
    /// In words.
    pub detail: String,
}

impl Violation {
    fn at(event: &Recorded, detail: impl Into<String>) -> Self {
        Mark::of(event).violation(detail)
    }
}

/// An event to come back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    position: Position,
    event_id: EventId,
}

impl Mark {
    fn of(event: &Recorded) -> Self {
        Self { position: event.position, event_id: event.event_id }
    }

    fn violation(self, detail: impl Into<String>) -> Violation {
        Violation { position: self.position, event_id: self.event_id, detail: detail.into() }
    }
}

/// What is known of the log's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// Nothing is under way any more: every order must have ended and every refund be done.
    pub settled: bool,
}

/// One invariant, checked event by event.
///
/// A checker judges only keys that it has seen from their first event; whether a key begins as it
/// must is I5's business, so that no event escapes.
pub trait Invariant: Send {
    /// Its name, such as `I1`.
    fn id(&self) -> &'static str;
    /// Takes the next event in and tells what it breaks.
    fn check(&mut self, event: &Recorded) -> Vec<Violation>;
    /// What it knows, to go on from later.
    ///
    /// # Errors
    /// None that can be met.
    fn save(&self) -> Result<Box<RawValue>, serde_json::Error>;
    /// Goes on from what was saved.
    ///
    /// # Errors
    /// Another release saved it, or another checker.
    fn load(&mut self, saved: &RawValue) -> Result<(), serde_json::Error>;
    /// Drops what is known of a key on which nothing more is expected.
    fn forget(&mut self, key: StreamKey);
    /// Tells what the end of the log leaves broken.
    fn finish(&mut self, end: &LogEnd) -> Vec<Violation>;
    /// How many events it has judged.
    fn checked(&self) -> u64;
}

/// A violation and the invariant that it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The invariant.
    pub invariant: &'static str,
    /// Where and how.
    pub violation: Violation,
}

/// What the checkers knew at a position.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedInvariants {
    checkers: BTreeMap<String, Box<RawValue>>,
    retirement: Box<RawValue>,
}

/// All checkers, driven together.
pub struct Invariants {
    checkers: Vec<Box<dyn Invariant>>,
    retirement: Retirement,
}

impl std::fmt::Debug for Invariants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.counts()).finish()
    }
}

impl Default for Invariants {
    fn default() -> Self {
        Self::all()
    }
}

impl Invariants {
    /// All of them, for a log that is read from its beginning.
    pub fn all() -> Self {
        Self::after(Position::START)
    }

    /// All of them, for a log that is read from after a position: keys that began before are only
    /// followed by I5.
    pub fn after(position: Position) -> Self {
        Self::with_grace(position, GRACE_POSITIONS)
    }

    /// As [`Invariants::after`], with another grace than [`GRACE_POSITIONS`].
    pub fn with_grace(position: Position, grace: u64) -> Self {
        Self {
            checkers: vec![
                Box::new(Stock::default()),
                Box::new(Ends::default()),
                Box::new(Holds::default()),
                Box::new(ViewerLimits::default()),
                Box::new(Chain::after(position, grace)),
                Box::new(Admissions::default()),
                Box::new(Payments::default()),
                Box::new(Inputs::default()),
                Box::new(Line::default()),
            ],
            retirement: Retirement::new(grace),
        }
    }

    /// What all of them know, to go on from later.
    ///
    /// # Errors
    /// None that can be met.
    pub fn save(&self) -> Result<SavedInvariants, serde_json::Error> {
        let checkers = self.checkers.iter();
        let saved = checkers.map(|checker| Ok((checker.id().to_owned(), checker.save()?)));
        let retirement = serde_json::value::to_raw_value(&self.retirement)?;
        Ok(SavedInvariants { checkers: saved.collect::<Result<_, _>>()?, retirement })
    }

    /// Goes on from what was saved.
    ///
    /// # Errors
    /// Another release saved it: these checkers are of no use then.
    pub fn load(&mut self, saved: &SavedInvariants) -> Result<(), serde_json::Error> {
        let missing = |id| serde::de::Error::custom(format!("{id} was not saved"));
        for checker in &mut self.checkers {
            let id = checker.id();
            checker.load(saved.checkers.get(id).ok_or_else(|| missing(id))?)?;
        }
        self.retirement = serde_json::from_str(saved.retirement.get())?;
        Ok(())
    }

    /// Takes the next event in and tells what it breaks.
    pub fn check(&mut self, event: &Recorded) -> Vec<Finding> {
        let mut findings = Vec::new();
        for checker in &mut self.checkers {
            let id = checker.id();
            findings.extend(named(id, checker.check(event)));
        }
        if let Some(key) = self.retirement.note(event) {
            for checker in &mut self.checkers {
                checker.forget(key);
            }
        }
        findings
    }

    /// Tells what the end of the log leaves broken.
    pub fn finish(&mut self, end: &LogEnd) -> Vec<Finding> {
        self.checkers
            .iter_mut()
            .flat_map(|checker| {
                let id = checker.id();
                named(id, checker.finish(end))
            })
            .collect()
    }

    /// Each invariant and how many events it has judged.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        self.checkers.iter().map(|checker| (checker.id(), checker.checked())).collect()
    }

    /// Keys whose state is kept.
    pub fn open_keys(&self) -> usize {
        self.retirement.len()
    }

    /// Checks a whole log at once.
    pub fn of_log<'a>(events: impl IntoIterator<Item = &'a Recorded>, end: LogEnd) -> Vec<Finding> {
        let mut invariants = Self::all();
        let mut findings: Vec<Finding> =
            events.into_iter().flat_map(|event| invariants.check(event)).collect();
        findings.extend(invariants.finish(&end));
        findings
    }
}

fn named(id: &'static str, violations: Vec<Violation>) -> impl Iterator<Item = Finding> {
    violations.into_iter().map(move |violation| Finding { invariant: id, violation })
}
