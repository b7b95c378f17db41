//! The state of one spotlight's gate and what it shows.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::SubsecRound;
use uuid::Uuid;

use super::entry::{Due, Halts, Known, OrderPart, Stock, Viewer, What};
use crate::Timestamp;
use crate::envelope::Position;
use crate::ids::{OrderId, SellerId, Sku, SpotlightId, ViewerRef};
use crate::line::Lines;
use crate::ports::{EntryState, GateOffer, GateView, Narrowing, SoldOutVerdict};
use crate::spotlight::{SpotlightStatus, SpotlightTerms, UnitsBySku};
use crate::views::Inventory;

/// The gate of one spotlight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateState {
    pub(super) spotlight: SpotlightId,
    pub(super) epoch: u64,
    pub(super) number: u64,
    pub(super) applied: Position,
    pub(super) status: SpotlightStatus,
    pub(super) opens_at: Option<Timestamp>,
    pub(super) closes_at: Option<Timestamp>,
    pub(super) offer: GateOffer,
    /// Every version that this epoch has sold.
    pub(super) offers: BTreeMap<u32, GateOffer>,
    pub(super) per_viewer_limit: Option<u32>,
    pub(super) stock: BTreeMap<Sku, Stock>,
    pub(super) entries: BTreeMap<Uuid, Known>,
    pub(super) pending: BTreeSet<Due>,
    pub(super) holds: BTreeSet<Due>,
    pub(super) viewers: BTreeMap<ViewerRef, Viewer>,
    /// Units that viewers wait for; they count for them, and are kept only where that matters.
    pub(super) waiting: BTreeMap<ViewerRef, u32>,
    pub(super) known: Arc<HashSet<OrderId>>,
    pub(super) halts: Halts,
    /// The log has a higher epoch: nothing is taken or shown until it is loaded.
    pub(super) reopening: bool,
    /// The log reserved an order of this epoch that the gate does not hold.
    pub(super) unknown_order: bool,
    /// Until when nodes may answer that it is sold out.
    pub(super) leased_until: Option<Timestamp>,
}

/// Times of the gate are whole microseconds, as Redis counts them.
pub(super) fn micros(at: Timestamp) -> Timestamp {
    at.trunc_subsecs(6)
}

impl GateState {
    /// The gate of a spotlight that was just scheduled; its epoch is 1.
    pub fn scheduled(terms: &SpotlightTerms, position: Position) -> Self {
        let offer = GateOffer {
            broadcast: terms.broadcast_id,
            seller: terms.seller.clone(),
            offer: terms.offer.clone(),
            hold_seconds: terms.hold_seconds,
        };
        let stock = terms.skus.iter().map(|sku| {
            let limit = i64::from(sku.limited_quantity);
            (sku.sku.clone(), Stock { limit, ..Stock::default() })
        });
        Self {
            spotlight: terms.spotlight_id,
            epoch: 1,
            number: 0,
            applied: position,
            status: SpotlightStatus::Scheduled,
            opens_at: terms.opens_at.map(micros),
            closes_at: terms.closes_at.map(micros),
            offers: BTreeMap::from([(offer.offer.version, offer.clone())]),
            offer,
            per_viewer_limit: terms.per_viewer_limit,
            stock: stock.collect(),
            entries: BTreeMap::new(),
            pending: BTreeSet::new(),
            holds: BTreeSet::new(),
            viewers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            known: Arc::default(),
            halts: Halts::default(),
            reopening: false,
            unknown_order: false,
            leased_until: None,
        }
    }

    /// The gate's epoch.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The last applied position of the spotlight.
    pub const fn applied(&self) -> Position {
        self.applied
    }

    /// Whether the log has a higher epoch, which was not loaded yet.
    pub const fn is_reopening(&self) -> bool {
        self.reopening
    }

    /// Whether nothing can happen here any more but a repeat: closed, nothing pending, nothing
    /// held.
    pub fn is_over(&self) -> bool {
        self.status == SpotlightStatus::Closed && self.pending.is_empty() && self.holds.is_empty()
    }

    pub(super) fn serves(&self, seller: &SellerId) -> bool {
        !self.reopening && self.offer.seller == *seller
    }

    /// Where the spotlight stands as orders see it. Closed is final, so it comes before the rest.
    pub(super) fn status_at(&self, now: Timestamp) -> SpotlightStatus {
        let out_of_time = self.closes_at.is_some_and(|closes_at| now >= closes_at);
        if self.status == SpotlightStatus::Closed || self.halts.closes > 0 || out_of_time {
            SpotlightStatus::Closed
        } else if self.status == SpotlightStatus::Open && self.halts.pauses > 0 {
            SpotlightStatus::Paused
        } else {
            self.status
        }
    }

    pub(super) fn remaining(&self) -> BTreeMap<Sku, i64> {
        self.stock.iter().map(|(sku, stock)| (sku.clone(), stock.free())).collect()
    }

    /// What the gate shows; `None` while it waits to be rebuilt.
    pub fn view(&self, now: Timestamp) -> Option<GateView> {
        if self.reopening {
            return None;
        }
        let inventory = self.stock.iter().map(|(sku, stock)| {
            let shown = Inventory {
                limited_quantity: stock.limit,
                remaining: stock.free(),
                held: stock.used.saturating_sub(stock.sold),
                sold: stock.sold,
            };
            (sku.clone(), shown)
        });
        Some(GateView {
            status: self.status_at(now),
            epoch: self.epoch,
            applied: self.applied,
            inventory: inventory.collect(),
            next_release_at: self.holds.first().map(|(deadline, _)| *deadline),
            offer: self.offer.clone(),
        })
    }

    /// What may be answered for `lease` while no SKU has a free unit; `None` where one has.
    pub fn sold_out(&mut self, lease: Duration, now: Timestamp) -> Option<SoldOutVerdict> {
        if self.reopening || self.stock.values().any(|stock| stock.free() > 0) {
            return None;
        }
        self.leased_until = self.leased_until.max(Some(micros(now) + lease));
        let open = self.status_at(now) == SpotlightStatus::Open && self.halts.offers == 0;
        Some(SoldOutVerdict {
            remaining: self.remaining(),
            orders: Arc::clone(&self.known),
            offer_version: self.offer.offer.version,
            open,
        })
    }

    pub(super) fn insert(&mut self, id: Uuid, known: Known) {
        match &known.what {
            What::Order(_) => {
                Arc::make_mut(&mut self.known).insert(OrderId(id));
            }
            What::Narrowing(narrowing) => self.halts.count(narrowing, true),
        }
        if known.state == EntryState::Pending {
            self.pending.insert((known.due, id));
        }
        self.entries.insert(id, known);
    }

    /// Takes an order's units, whether they are free or not.
    pub(super) fn use_units(&mut self, order: OrderId, part: &OrderPart) {
        self.move_used(&part.lines, 1);
        if self.per_viewer_limit.is_some() {
            let viewer = self.viewers.entry(part.viewer.clone()).or_default();
            viewer.units = viewer.units.saturating_add(i64::from(part.lines.units()));
            viewer.open.push(order);
        }
    }

    /// Gives an order's units back; the caller has made sure that its entry holds them.
    pub(super) fn free_units(&mut self, order: OrderId, part: &OrderPart) {
        self.move_used(&part.lines, -1);
        let Some(viewer) = self.viewers.get_mut(&part.viewer) else { return };
        viewer.units = viewer.units.saturating_sub(i64::from(part.lines.units()));
        viewer.open.retain(|open| *open != order);
        if viewer.units == 0 && viewer.open.is_empty() {
            self.viewers.remove(&part.viewer);
        }
    }

    /// A viewer gave units of a sale back: they may buy as many again. The units stay sold.
    pub(super) fn return_units(&mut self, order: OrderId, units: u32, viewer: &ViewerRef) {
        let held = self.entries.get(&order.0).is_none_or(|known| known.state == EntryState::Sold);
        let Some(known) = self.viewers.get_mut(viewer).filter(|_| held) else { return };
        known.units = known.units.saturating_sub(i64::from(units));
        if known.units == 0 && known.open.is_empty() {
            self.viewers.remove(viewer);
        }
    }

    fn move_used(&mut self, lines: &Lines, sign: i64) {
        for line in lines {
            let units = sign.saturating_mul(i64::from(line.quantity.get()));
            let stock = self.stock.entry(line.sku.clone()).or_default();
            stock.used = stock.used.saturating_add(units);
        }
    }

    /// Turns an order's units into sold ones.
    pub(super) fn sell_units(&mut self, order: OrderId, part: &OrderPart) {
        for line in &part.lines {
            let stock = self.stock.entry(line.sku.clone()).or_default();
            stock.sold = stock.sold.saturating_add(i64::from(line.quantity.get()));
        }
        if let Some(viewer) = self.viewers.get_mut(&part.viewer) {
            viewer.open.retain(|open| *open != order);
        }
    }

    /// Takes a pending entry's effect back: its units, or its halt.
    pub(super) fn undo(&mut self, id: Uuid, what: &What) {
        match what {
            What::Order(part) => self.free_units(OrderId(id), part),
            What::Narrowing(Narrowing::Reduce { sku, units }) => {
                let stock = self.stock.entry(sku.clone()).or_default();
                stock.used = stock.used.saturating_sub(i64::from(*units));
            }
            What::Narrowing(Narrowing::Wait { viewer, units }) => {
                self.count_units(viewer, -i64::from(*units));
            }
            What::Narrowing(narrowing) => self.halts.count(narrowing, false),
        }
    }

    /// Keeps units for those who wait, or no longer.
    pub(super) fn keep_units(&mut self, units: &UnitsBySku, sign: i64) {
        for (sku, units) in units {
            let units = sign.saturating_mul(i64::from(*units));
            let stock = self.stock.entry(sku.clone()).or_default();
            stock.used = stock.used.saturating_add(units);
            stock.kept = stock.kept.saturating_add(units);
        }
    }

    /// Adds to the units that count for a viewer.
    pub(super) fn count_units(&mut self, viewer: &ViewerRef, units: i64) {
        if self.per_viewer_limit.is_none() {
            return;
        }
        let known = self.viewers.entry(viewer.clone()).or_default();
        known.units = known.units.saturating_add(units);
        if known.units == 0 && known.open.is_empty() {
            self.viewers.remove(viewer);
        }
    }

    /// What a viewer waits for counts as if they had it.
    pub(super) fn wait(&mut self, viewer: &ViewerRef, units: u32) {
        if self.per_viewer_limit.is_some() {
            self.wait_no_longer(viewer);
            self.waiting.insert(viewer.clone(), units);
            self.count_units(viewer, i64::from(units));
        }
    }

    pub(super) fn wait_no_longer(&mut self, viewer: &ViewerRef) {
        if let Some(units) = self.waiting.remove(viewer) {
            self.count_units(viewer, -i64::from(units));
        }
    }
}
