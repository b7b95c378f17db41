//! The gate in this process: the embedded default. A restart is an empty gate, which is rebuilt
//! from the log like a Redis that lost its data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::Recorded;
use domain::gate::{GateState, apply_events, load_snapshot};
use domain::ids::SpotlightId;
use domain::ports::{
    Applied, Clock, GateSnapshot, GateView, Loaded, Narrow, Narrowed, PendingEntry, PortError,
    SoldOutVerdict, StockGate, Take, TakeOutcome,
};
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use super::RETAINED_AFTER_CLOSE;

/// The gate of one spotlight.
#[derive(Debug, Clone, Default)]
struct Slot {
    state: Option<GateState>,
    /// What is here may be older than what was answered: nothing is taken before a rebuild.
    lost: bool,
    /// Since when nothing can happen here any more.
    over_since: Option<Timestamp>,
}

impl Slot {
    /// Also where whoever reopened it did not come back to load it.
    fn needs_rebuild(&self) -> bool {
        self.lost || self.state.as_ref().is_some_and(GateState::is_reopening)
    }

    fn is_outlived(&self, now: Timestamp) -> bool {
        let over = self.over_since.is_some_and(|since| now - since >= RETAINED_AFTER_CLOSE);
        over || (self.state.is_none() && !self.lost)
    }
}

type Slots = BTreeMap<SpotlightId, Arc<Mutex<Slot>>>;

/// A gate of [`GateState`]s behind locks that are held for one operation each.
pub struct MemoryGate {
    clock: Arc<dyn Clock>,
    slots: RwLock<Slots>,
}

/// What a [`MemoryGate`] held at one moment; fault tests go back to it, as a stale replica would.
#[derive(Debug, Clone, Default)]
pub struct SavedGates(Vec<(SpotlightId, GateState)>);

impl MemoryGate {
    /// An empty gate.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, slots: RwLock::default() }
    }

    /// What the gate holds now.
    pub fn save(&self) -> SavedGates {
        let slots = self.slots.read();
        let saved = slots
            .iter()
            .filter_map(|(spotlight, slot)| Some((*spotlight, slot.lock().state.clone()?)));
        SavedGates(saved.collect())
    }

    /// Forgets everything and holds what was saved instead. As after a Redis that failed over,
    /// every spotlight in it answers [`TakeOutcome::NoState`] until it is rebuilt under a higher
    /// epoch.
    pub fn roll_back(&self, saved: SavedGates) {
        let slots = saved.0.into_iter().map(|(spotlight, state)| {
            let slot = Slot { state: Some(state), lost: true, over_since: None };
            (spotlight, Arc::new(Mutex::new(slot)))
        });
        *self.slots.write() = slots.collect();
    }

    /// Forgets everything, as an emptied Redis does.
    pub fn wipe(&self) {
        self.slots.write().clear();
    }

    fn existing(&self, spotlight: SpotlightId) -> Option<Arc<Mutex<Slot>>> {
        self.slots.read().get(&spotlight).cloned()
    }

    fn created(&self, spotlight: SpotlightId) -> Arc<Mutex<Slot>> {
        match self.existing(spotlight) {
            Some(slot) => slot,
            None => Arc::clone(self.slots.write().entry(spotlight).or_default()),
        }
    }

    /// Runs an operation on a gate that exists and is not lost.
    fn on<T>(
        &self,
        spotlight: SpotlightId,
        operation: impl FnOnce(&mut GateState, Timestamp) -> T,
    ) -> Option<T> {
        let slot = self.existing(spotlight)?;
        let mut slot = slot.lock();
        if slot.lost {
            return None;
        }
        let now = self.clock.now();
        slot.state.as_mut().map(|state| operation(state, now))
    }

    /// Forgets spotlights that ended long ago, or never began.
    fn retire(&self, now: Timestamp) {
        let outlived = |slot: &Arc<Mutex<Slot>>| {
            // nobody else is about to use it
            Arc::strong_count(slot) == 1 && slot.lock().is_outlived(now)
        };
        let any = self.slots.read().values().any(outlived);
        if any {
            self.slots.write().retain(|_, slot| !outlived(slot));
        }
    }
}

#[async_trait]
impl StockGate for MemoryGate {
    async fn take(&self, take: &Take) -> Result<TakeOutcome, PortError> {
        let outcome = self.on(take.spotlight, |state, now| state.take(take, now));
        Ok(outcome.unwrap_or(TakeOutcome::NoState))
    }

    async fn cancel_unsent(&self, spotlight: SpotlightId, entry: Uuid) -> Result<bool, PortError> {
        Ok(self.on(spotlight, |state, _| state.cancel_unsent(entry)).unwrap_or(false))
    }

    async fn narrow(&self, narrow: &Narrow) -> Result<Narrowed, PortError> {
        let outcome = self.on(narrow.spotlight, |state, now| state.narrow(narrow, now));
        Ok(outcome.unwrap_or(Narrowed::NoState))
    }

    async fn apply(
        &self,
        spotlight: SpotlightId,
        events: &[Recorded],
    ) -> Result<Applied, PortError> {
        let slot = self.created(spotlight);
        let mut slot = slot.lock();
        let applied = apply_events(&mut slot.state, events);
        let over = slot.state.as_ref().is_some_and(GateState::is_over);
        slot.over_since =
            if over { slot.over_since.or_else(|| Some(self.clock.now())) } else { None };
        Ok(applied)
    }

    async fn load(&self, snapshot: &GateSnapshot) -> Result<Loaded, PortError> {
        let slot = self.created(snapshot.spotlight);
        let mut slot = slot.lock();
        let loaded = load_snapshot(&mut slot.state, snapshot);
        if loaded == Loaded::Done {
            slot.lost = false;
            slot.over_since = None;
        }
        Ok(loaded)
    }

    async fn view(&self, spotlight: SpotlightId) -> Result<Option<GateView>, PortError> {
        Ok(self.on(spotlight, |state, now| state.view(now)).flatten())
    }

    async fn sold_out(
        &self,
        spotlight: SpotlightId,
        lease: Duration,
    ) -> Result<Option<SoldOutVerdict>, PortError> {
        Ok(self.on(spotlight, |state, now| state.sold_out(lease, now)).flatten())
    }

    async fn claim_pending(
        &self,
        older_than: Duration,
        limit: usize,
    ) -> Result<Vec<PendingEntry>, PortError> {
        let now = self.clock.now();
        self.retire(now);
        let slots: Vec<_> = self.slots.read().values().cloned().collect();
        let mut claimed = Vec::new();
        for slot in slots {
            let room = limit.saturating_sub(claimed.len());
            if let Some(state) = &mut slot.lock().state {
                claimed.extend(state.claim_pending(older_than, room, now));
            }
        }
        Ok(claimed)
    }

    async fn lost(&self) -> Vec<SpotlightId> {
        let slots = self.slots.read();
        slots
            .iter()
            .filter(|(_, slot)| slot.lock().needs_rebuild())
            .map(|(spotlight, _)| *spotlight)
            .collect()
    }
}
