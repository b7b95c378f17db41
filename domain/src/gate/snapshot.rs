//! The gate as of a position: folded from the log, loaded under a higher epoch.

use super::entry::{Known, OrderPart, Stock};
use super::state::{GateState, micros};
use crate::envelope::{Position, Recorded};
use crate::event::Event;
use crate::ids::OrderId;
use crate::ports::{EntryState, GateSnapshot, Loaded, SnapshotOrder};
use crate::spotlight::SpotlightEvent;

/// Folds the events of one spotlight's key, in order and from the first, into the state that a gate
/// of nothing but the log would have. The rebuild loads it; `replay verify` compares it (I7).
#[derive(Debug, Clone, Default)]
pub struct SnapshotFold {
    state: Option<GateState>,
}

impl SnapshotFold {
    /// Takes the next event in; repeats are dropped by position.
    pub fn apply(&mut self, recorded: &Recorded) {
        let Some(state) = &mut self.state else {
            self.state = GateState::begin(recorded);
            return;
        };
        if recorded.position <= state.applied {
            return;
        }
        state.apply(recorded);
        if let Event::Spotlight(SpotlightEvent::GateReopened { epoch, .. }) = &recorded.event {
            state.epoch = *epoch;
            state.reopening = false;
        }
    }

    /// The last position that was taken in; [`Position::START`] before the spotlight was scheduled.
    pub fn position(&self) -> Position {
        self.state.as_ref().map_or(Position::START, GateState::applied)
    }

    /// The spotlight's epoch in the log; `None` before it was scheduled.
    pub fn epoch(&self) -> Option<u64> {
        self.state.as_ref().map(GateState::epoch)
    }

    /// The snapshot; `None` where the spotlight was never scheduled.
    pub fn finish(self) -> Option<GateSnapshot> {
        self.state.map(|state| state.to_snapshot())
    }
}

/// Replaces a gate by a snapshot, if its epoch is higher.
pub fn load_snapshot(gate: &mut Option<GateState>, snapshot: &GateSnapshot) -> Loaded {
    let epoch = gate.as_ref().map_or(0, GateState::epoch);
    if snapshot.epoch <= epoch {
        return Loaded::NotHigher { epoch };
    }
    *gate = Some(GateState::from_snapshot(snapshot));
    Loaded::Done
}

impl GateState {
    /// What the log knows of the gate, in the order of admission; pending entries are not in it.
    pub fn to_snapshot(&self) -> GateSnapshot {
        let mut orders: Vec<SnapshotOrder> = self
            .entries
            .iter()
            .filter(|(_, known)| known.state != EntryState::Pending)
            .filter_map(|(id, known)| {
                let part = known.order()?;
                Some(SnapshotOrder {
                    order: OrderId(*id),
                    viewer: part.viewer.clone(),
                    lines: part.lines.clone(),
                    state: known.state,
                    admission: known.admission,
                    fingerprint: part.fingerprint.clone(),
                    deadline: known.deadline,
                    returned: part.returned,
                })
            })
            .collect();
        orders.sort_by_key(|order| (order.admission.epoch, order.admission.number, order.order));
        GateSnapshot {
            spotlight: self.spotlight,
            epoch: self.epoch,
            applied: self.applied,
            status: self.status,
            opens_at: self.opens_at,
            closes_at: self.closes_at,
            offer: self.offer.clone(),
            per_viewer_limit: self.per_viewer_limit,
            limits: self.stock.iter().map(|(sku, stock)| (sku.clone(), stock.limit)).collect(),
            orders,
            kept: self
                .stock
                .iter()
                .filter(|(_, stock)| stock.kept != 0)
                .map(|(sku, stock)| (sku.clone(), stock.kept))
                .collect(),
            waiting: self.waiting.clone(),
        }
    }

    /// The gate that a snapshot describes, with nothing pending.
    pub fn from_snapshot(snapshot: &GateSnapshot) -> Self {
        let stock = snapshot
            .limits
            .iter()
            .map(|(sku, limit)| (sku.clone(), Stock { limit: *limit, ..Stock::default() }));
        let mut state = Self {
            spotlight: snapshot.spotlight,
            epoch: snapshot.epoch,
            number: 0,
            applied: snapshot.applied,
            status: snapshot.status,
            opens_at: snapshot.opens_at.map(micros),
            closes_at: snapshot.closes_at.map(micros),
            offer: snapshot.offer.clone(),
            offers: [(snapshot.offer.offer.version, snapshot.offer.clone())].into(),
            per_viewer_limit: snapshot.per_viewer_limit,
            stock: stock.collect(),
            entries: std::collections::BTreeMap::new(),
            pending: std::collections::BTreeSet::new(),
            holds: std::collections::BTreeSet::new(),
            viewers: std::collections::BTreeMap::new(),
            waiting: std::collections::BTreeMap::new(),
            known: std::sync::Arc::default(),
            halts: super::entry::Halts::default(),
            reopening: false,
            unknown_order: false,
            leased_until: None,
        };
        for order in &snapshot.orders {
            state.restore(order);
        }
        for (sku, kept) in &snapshot.kept {
            let stock = state.stock.entry(sku.clone()).or_default();
            stock.used = stock.used.saturating_add(*kept);
            stock.kept = *kept;
        }
        for (viewer, units) in &snapshot.waiting {
            state.wait(viewer, *units);
        }
        state
    }

    fn restore(&mut self, order: &SnapshotOrder) {
        let part = OrderPart {
            viewer: order.viewer.clone(),
            lines: order.lines.clone(),
            fingerprint: order.fingerprint.clone(),
            returned: 0,
        };
        let mut admission = order.admission;
        admission.at = micros(admission.at);
        let mut known = Known::ended(part.clone(), admission);
        known.state = order.state;
        match order.state {
            EntryState::Held => {
                self.use_units(order.order, &part);
                let deadline = micros(order.deadline.unwrap_or(admission.at));
                known.deadline = Some(deadline);
                self.holds.insert((deadline, order.order.0));
            }
            EntryState::Sold => {
                self.use_units(order.order, &part);
                self.sell_units(order.order, &part);
                self.return_units(order.order, order.returned, &part.viewer);
                known = Known::ended(OrderPart { returned: order.returned, ..part }, admission);
                known.state = order.state;
            }
            EntryState::Ended => {}
            EntryState::Pending => known.state = EntryState::Ended,
        }
        self.insert(order.order.0, known);
    }
}
