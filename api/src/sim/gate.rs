//! The stock gate over a bad line, with faults that can be planted into it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::admission::Admission;
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{Sku, SpotlightId};
use domain::line::Lines;
use domain::ports::{
    Applied, EntryState, GateSnapshot, GateView, Loaded, Narrow, Narrowed, Narrowing, PendingEntry,
    PortError, SoldOutVerdict, StockGate, Take, TakeOutcome,
};
use domain::reservation::ReservationEvent;
use parking_lot::Mutex;
use projections::stock_counter::{MemoryGate, SavedGates};
use uuid::Uuid;

use super::breaks::Break;
use super::faults::Line;

/// Admissions that the planted faults make up begin here.
const MADE_UP: u64 = 1_000_000;

#[derive(Default)]
struct Planted {
    made_up: u64,
    /// Releases that were applied.
    released: BTreeSet<Position>,
    /// Units that were given back once too often.
    extra: BTreeMap<(SpotlightId, Sku), i64>,
}

/// The gate.
pub struct SimGate {
    line: Line,
    inner: Arc<MemoryGate>,
    planted: Option<Break>,
    state: Mutex<Planted>,
}

impl SimGate {
    /// An empty gate.
    pub fn new(line: Line, inner: Arc<MemoryGate>, planted: Option<Break>) -> Self {
        Self { line, inner, planted, state: Mutex::default() }
    }

    /// The gate itself, without the line to it.
    pub fn direct(&self) -> &MemoryGate {
        &self.inner
    }

    /// What it holds now.
    pub fn save(&self) -> SavedGates {
        self.inner.save()
    }

    /// Loses everything, or goes back to an older state.
    pub fn lose(&self, older: Option<SavedGates>) {
        match older {
            Some(saved) => self.inner.roll_back(saved),
            None => self.inner.wipe(),
        }
    }

    async fn made_up(&self, spotlight: SpotlightId) -> Result<Option<Admission>, PortError> {
        let Some(view) = self.inner.view(spotlight).await? else { return Ok(None) };
        let mut state = self.state.lock();
        state.made_up += 1;
        Ok(Some(Admission {
            epoch: view.epoch,
            number: MADE_UP + state.made_up,
            at: self.line.world.now(),
            offer_version: view.offer.offer.version,
        }))
    }

    /// What a take leads to where the planted fault sees units that are not there.
    async fn oversell(&self, take: &Take) -> Result<Option<TakeOutcome>, PortError> {
        let yes = match self.planted {
            Some(Break::SeedLua) => true,
            Some(Break::DoubleRelease) => self.spend_extra(take.spotlight, &take.lines),
            _ => false,
        };
        if !yes {
            return Ok(None);
        }
        let admission = self.made_up(take.spotlight).await?;
        let view = self.inner.view(take.spotlight).await?;
        Ok(admission
            .zip(view)
            .map(|(admission, view)| TakeOutcome::Taken { admission, offer: view.offer }))
    }

    fn spend_extra(&self, spotlight: SpotlightId, lines: &Lines) -> bool {
        let mut state = self.state.lock();
        let units = |line: &domain::line::Line| i64::from(line.quantity.get());
        let enough = lines.iter().all(|line| {
            state
                .extra
                .get(&(spotlight, line.sku.clone()))
                .is_some_and(|extra| *extra >= units(line))
        });
        if enough {
            for line in lines {
                *state.extra.entry((spotlight, line.sku.clone())).or_default() -= units(line);
            }
        }
        enough
    }

    /// Counts releases that are delivered again, as a counter would that only counts up.
    fn count_releases(&self, spotlight: SpotlightId, events: &[Recorded]) {
        let mut state = self.state.lock();
        for recorded in events {
            let Event::Reservation(fact @ ReservationEvent::ReservationReleased { .. }) =
                &recorded.event
            else {
                continue;
            };
            if state.released.insert(recorded.position) {
                continue;
            }
            for line in fact.lines() {
                let units = i64::from(line.quantity.get());
                *state.extra.entry((spotlight, line.sku.clone())).or_default() += units;
            }
        }
    }
}

#[async_trait]
impl StockGate for SimGate {
    async fn take(&self, take: &Take) -> Result<TakeOutcome, PortError> {
        let asked = async {
            let outcome = self.inner.take(take).await?;
            if matches!(outcome, TakeOutcome::SoldOut { .. })
                && let Some(oversold) = self.oversell(take).await?
            {
                return Ok(oversold);
            }
            Ok(outcome)
        };
        let outcome = self.line.call("take", asked).await;
        self.line.world.note(|| match &outcome {
            Ok(TakeOutcome::Taken { admission, .. }) => {
                format!("order {} is taken as {}/{}", take.order, admission.epoch, admission.number)
            }
            Ok(other) => format!("order {} is not taken: {}", take.order, name_of(other)),
            Err(_) => format!("order {}: no answer of the gate", take.order),
        });
        outcome
    }

    async fn cancel_unsent(&self, spotlight: SpotlightId, entry: Uuid) -> Result<bool, PortError> {
        let done = self.inner.cancel_unsent(spotlight, entry);
        let cancelled = self.line.call("cancel_unsent", done).await;
        self.line.world.note(|| format!("entry {entry} is given back unsent: {cancelled:?}"));
        cancelled
    }

    async fn narrow(&self, narrow: &Narrow) -> Result<Narrowed, PortError> {
        let skips = self.planted == Some(Break::ReductionSkipsGate)
            && matches!(narrow.narrowing, Narrowing::Reduce { .. });
        if skips && let Some(admission) = self.made_up(narrow.spotlight).await? {
            return Ok(Narrowed::Done { admission });
        }
        self.line.call("narrow", self.inner.narrow(narrow)).await
    }

    async fn apply(
        &self,
        spotlight: SpotlightId,
        events: &[Recorded],
    ) -> Result<Applied, PortError> {
        if self.planted == Some(Break::DoubleRelease) {
            self.count_releases(spotlight, events);
        }
        self.line.call("gate.apply", self.inner.apply(spotlight, events)).await
    }

    async fn load(&self, snapshot: &GateSnapshot) -> Result<Loaded, PortError> {
        let mut snapshot = snapshot.clone();
        if self.planted == Some(Break::RebuildWithoutConfirmed) {
            snapshot.orders.retain(|order| order.state != EntryState::Sold);
        }
        self.line.world.note(|| format!("the gate is loaded as of {}", snapshot.applied));
        self.line.call("gate.load", self.inner.load(&snapshot)).await
    }

    async fn view(&self, spotlight: SpotlightId) -> Result<Option<GateView>, PortError> {
        self.line.call("gate.view", self.inner.view(spotlight)).await
    }

    async fn sold_out(
        &self,
        spotlight: SpotlightId,
        lease: Duration,
    ) -> Result<Option<SoldOutVerdict>, PortError> {
        if self.planted == Some(Break::SeedLua) {
            return Ok(None);
        }
        self.line.call("sold_out", self.inner.sold_out(spotlight, lease)).await
    }

    async fn claim_pending(
        &self,
        older_than: Duration,
        limit: usize,
    ) -> Result<Vec<PendingEntry>, PortError> {
        self.line.call("claim_pending", self.inner.claim_pending(older_than, limit)).await
    }

    async fn lost(&self) -> Vec<SpotlightId> {
        self.inner.lost().await
    }
}

fn name_of(outcome: &TakeOutcome) -> &'static str {
    match outcome {
        TakeOutcome::Taken { .. } => "taken",
        TakeOutcome::SoldOut { .. } => "sold out",
        TakeOutcome::UnknownSku { .. } => "unknown SKU",
        TakeOutcome::NotOpen { .. } => "not open",
        TakeOutcome::Paused => "paused",
        TakeOutcome::Closed => "closed",
        TakeOutcome::OverLimit { .. } => "over limit",
        TakeOutcome::OfferChanged { .. } => "offer changed",
        TakeOutcome::Changing => "changing",
        TakeOutcome::Stale => "stale",
        TakeOutcome::Conflict => "conflict",
        TakeOutcome::SameAgain { .. } => "same again",
        TakeOutcome::NoState => "no state",
    }
}
