//! The stock of one spotlight as the log knows it; the second and last oversell check.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::ids::{Sku, SpotlightId, ViewerRef};
use crate::line::{Line, Lines};
use crate::order::OrderEvent;
use crate::reservation::ReservationEvent;
use crate::spotlight::{SpotlightEvent, UnitsBySku};
use crate::waitlist::OFFER_ADMISSION;

/// The stock of one SKU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Units that may be held and sold.
    pub limit: i64,
    /// Units in open reservations.
    pub held: i64,
    /// Units in confirmed reservations.
    pub confirmed: i64,
}

impl LedgerRow {
    /// Units that nobody holds.
    pub const fn free(&self) -> i64 {
        self.limit - self.held - self.confirmed
    }

    /// `held ≥ 0`, `confirmed ≥ 0`, `held + confirmed ≤ limit` (invariant I1).
    pub const fn is_sound(&self) -> bool {
        self.held >= 0 && self.confirmed >= 0 && self.free() >= 0
    }
}

/// The stock of one spotlight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ledger {
    /// By SKU.
    pub rows: BTreeMap<Sku, LedgerRow>,
}

/// A change of one SKU's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerDelta {
    /// Of which spotlight.
    pub spotlight: SpotlightId,
    /// Of which SKU.
    pub sku: Sku,
    /// Added to the limit.
    pub limit: i64,
    /// Added to what is held.
    pub held: i64,
    /// Added to what is confirmed.
    pub confirmed: i64,
}

/// A change of the units that one viewer holds and has bought in one spotlight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitsDelta {
    /// Of which spotlight.
    pub spotlight: SpotlightId,
    /// Of which viewer.
    pub viewer: ViewerRef,
    /// Added to the viewer's units.
    pub units: i64,
}

impl Ledger {
    /// The row of a SKU.
    pub fn get(&self, sku: &Sku) -> Option<&LedgerRow> {
        self.rows.get(sku)
    }

    /// Whether all lines fit.
    pub fn has_room(&self, lines: &Lines) -> bool {
        lines.iter().all(|line| self.get(&line.sku).is_some_and(|row| row.free() >= units_of(line)))
    }

    /// Takes a change in.
    pub fn apply(&mut self, delta: &LedgerDelta) {
        let row = self.rows.entry(delta.sku.clone()).or_default();
        row.limit = row.limit.saturating_add(delta.limit);
        row.held = row.held.saturating_add(delta.held);
        row.confirmed = row.confirmed.saturating_add(delta.confirmed);
    }

    /// Whether every row is sound (invariant I1).
    pub fn is_sound(&self) -> bool {
        self.rows.values().all(LedgerRow::is_sound)
    }
}

fn units_of(line: &Line) -> i64 {
    i64::from(line.quantity.get())
}

/// A change of one SKU's row, borrowed from its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerChange<'a> {
    /// Of which spotlight.
    pub spotlight: SpotlightId,
    /// Of which SKU.
    pub sku: &'a Sku,
    /// Added to the limit.
    pub limit: i64,
    /// Added to what is held.
    pub held: i64,
    /// Added to what is confirmed.
    pub confirmed: i64,
}

/// What an event changes in the ledger: the one definition that the writer, the projections, the
/// invariants and a rebuild share.
pub fn for_each_ledger_change<'a>(event: &'a Event, mut change: impl FnMut(LedgerChange<'a>)) {
    match event {
        Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms }) => {
            for sku in &terms.skus {
                change(LedgerChange {
                    spotlight: terms.spotlight_id,
                    sku: &sku.sku,
                    limit: i64::from(sku.limited_quantity),
                    held: 0,
                    confirmed: 0,
                });
            }
        }
        Event::Spotlight(SpotlightEvent::StockAdjusted {
            spotlight_id, sku, delta, kept, ..
        }) => {
            let (spotlight, limit) = (*spotlight_id, *delta);
            let held = i64::from(kept.get(sku).copied().unwrap_or(0));
            change(LedgerChange { spotlight, sku, limit, held, confirmed: 0 });
        }
        Event::Spotlight(SpotlightEvent::AdmissionVoided { spotlight_id, kept, .. }) => {
            hold(*spotlight_id, kept, 1, change);
        }
        Event::Spotlight(SpotlightEvent::UnitsFreed { spotlight_id, units }) => {
            hold(*spotlight_id, units, -1, change);
        }
        Event::Reservation(event) => {
            let (held, confirmed) = match event {
                // they were held for whoever is next in line
                ReservationEvent::StockReserved { admission_no: OFFER_ADMISSION, .. } => return,
                ReservationEvent::StockReserved { .. } => (1, 0),
                ReservationEvent::ReservationConfirmed { .. } => (-1, 1),
                ReservationEvent::ReservationReleased { .. } => (-1, 0),
            };
            for line in event.lines() {
                let kept = i64::from(event.kept(&line.sku));
                change(LedgerChange {
                    spotlight: event.spotlight_id(),
                    sku: &line.sku,
                    limit: 0,
                    held: held * units_of(line) + kept,
                    confirmed: confirmed * units_of(line),
                });
            }
        }
        _ => {}
    }
}

/// Units that are held for those who wait, or are not any more.
fn hold<'a>(
    spotlight: SpotlightId,
    units: &'a UnitsBySku,
    sign: i64,
    mut change: impl FnMut(LedgerChange<'a>),
) {
    for (sku, units) in units {
        let held = sign * i64::from(*units);
        change(LedgerChange { spotlight, sku, limit: 0, held, confirmed: 0 });
    }
}

/// What an event changes in the ledger ([`for_each_ledger_change`]), owned.
pub fn ledger_deltas(event: &Event) -> Vec<LedgerDelta> {
    let mut deltas = Vec::new();
    for_each_ledger_change(event, |change| {
        let LedgerChange { spotlight, sku, limit, held, confirmed } = change;
        deltas.push(LedgerDelta { spotlight, sku: sku.clone(), limit, held, confirmed });
    });
    deltas
}

/// The viewer whose units an event changes, and by how many.
pub fn units_change(event: &Event) -> Option<(&ViewerRef, i64)> {
    if let Event::Order(OrderEvent::RefundRequested { returned: Some(returned), .. }) = event {
        return Some((&returned.viewer_ref, -i64::from(returned.lines.units())));
    }
    let Event::Reservation(event) = event else { return None };
    let sign = match event {
        ReservationEvent::StockReserved { .. } => 1,
        ReservationEvent::ReservationReleased { .. } => -1,
        ReservationEvent::ReservationConfirmed { .. } => return None,
    };
    Some((event.viewer_ref(), sign * i64::from(event.lines().units())))
}

/// What an event changes in a viewer's units ([`units_change`]), owned.
pub fn units_delta(event: &Event) -> Option<UnitsDelta> {
    let (viewer, units) = units_change(event)?;
    let spotlight = match event {
        Event::Reservation(event) => event.spotlight_id(),
        Event::Order(OrderEvent::RefundRequested { returned: Some(returned), .. }) => {
            returned.spotlight_id
        }
        _ => return None,
    };
    Some(UnitsDelta { spotlight, viewer: viewer.clone(), units })
}
