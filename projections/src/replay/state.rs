//! The state of the show at a position: what the log says was true then.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::broadcast::{BroadcastEvent, BroadcastStatus};
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{BroadcastId, OrderId, Sku, SpotlightId, ViewerRef};
use domain::ledger::for_each_ledger_change;
use domain::money::Money;
use domain::order::{OrderEvent, OrderReason};
use domain::payment::PaymentStatus;
use domain::spotlight::{SpotlightEvent, SpotlightStatus};
use domain::views::{OrderStatus, OrderView};
use serde::Serialize;

use crate::order_book::{fold, order_of};

/// What of the state is wanted; everything, where nothing is named. An order or a viewer stands
/// beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only this spotlight.
    pub spotlight: Option<SpotlightId>,
    /// This order too.
    pub order: Option<OrderId>,
    /// This viewer too, by id or pseudonym.
    pub viewer: Option<String>,
}

/// A broadcast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BroadcastState {
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: BroadcastStatus,
}

/// The stock of one SKU.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SkuState {
    /// Units that may be held and sold.
    pub limit: i64,
    /// Units that are held.
    pub held: i64,
    /// Units that are sold.
    pub sold: i64,
    /// Units that nobody has.
    pub remaining: i64,
}

/// How many orders did what so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OrderCounts {
    /// Were accepted.
    pub accepted: u64,
    /// Were confirmed.
    pub confirmed: u64,
    /// Failed.
    pub failed: u64,
    /// Were called off.
    pub cancelled: u64,
    /// Have not ended.
    pub open: i64,
    /// Got money back, once for each time.
    pub refunds: u64,
}

/// A spotlight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpotlightState {
    /// In which broadcast.
    pub broadcast_id: BroadcastId,
    /// Where it stands.
    pub status: SpotlightStatus,
    /// The gate's epoch.
    pub epoch: u64,
    /// The offer's version.
    pub offer_version: u32,
    /// The price of one unit.
    pub live_price: Money,
    /// By SKU.
    pub stock: BTreeMap<Sku, SkuState>,
    /// Its orders.
    pub orders: OrderCounts,
    /// The last event of it.
    pub position: Position,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderState {
    /// In which spotlight.
    pub spotlight_id: SpotlightId,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<OrderReason>,
    /// Where its payment stands.
    pub payment: PaymentStatus,
    /// Its units.
    pub units: u32,
    /// What it costs.
    pub total: Money,
    /// Its version.
    pub version: u64,
}

/// A viewer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ViewerState {
    /// Units that the viewer holds.
    pub held: i64,
    /// Units that the viewer has bought.
    pub sold: i64,
    /// The viewer's orders.
    pub orders: BTreeMap<OrderId, OrderState>,
}

/// The state at a position. Memory grows with broadcasts and spotlights, and with the orders of the
/// one viewer that is asked for; not with the length of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct State {
    /// The last position that is in it.
    pub position: Position,
    /// When that was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// By id.
    pub broadcasts: BTreeMap<BroadcastId, BroadcastState>,
    /// By id.
    pub spotlights: BTreeMap<SpotlightId, SpotlightState>,
    /// The order that is asked for, once it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderState>,
    /// The viewer who is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewer: Option<ViewerState>,
}

/// Folds the log into the state.
#[derive(Debug, Default)]
pub struct StateFold {
    state: State,
    scope: Scope,
    order: Option<OrderView>,
    pseudonyms: Vec<ViewerRef>,
    of_viewer: BTreeMap<OrderId, OrderView>,
}

impl StateFold {
    /// Nothing yet.
    pub fn new(scope: Scope) -> Self {
        let viewer = scope.viewer.as_ref().map(|_| ViewerState::default());
        Self { state: State { viewer, ..State::default() }, scope, ..Self::default() }
    }

    /// The state so far.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Takes the next event in; tells which spotlight it changed.
    pub fn take(&mut self, recorded: &Recorded) -> Option<SpotlightId> {
        self.state.position = recorded.position;
        self.state.time = Some(recorded.recorded_at);
        if let Event::Broadcast(event) = &recorded.event {
            self.broadcast(event);
        }
        let changed = self.spotlight(recorded);
        if order_of(&recorded.event).is_some() {
            self.ask(recorded);
        }
        changed
    }

    fn broadcast(&mut self, event: &BroadcastEvent) {
        if let BroadcastEvent::BroadcastScheduled { broadcast_id, title, .. } = event {
            let (title, status) = (title.clone(), BroadcastStatus::Scheduled);
            self.state.broadcasts.insert(*broadcast_id, BroadcastState { title, status });
        }
        let status = if matches!(event, BroadcastEvent::BroadcastStarted { .. }) {
            BroadcastStatus::Live
        } else if matches!(event, BroadcastEvent::BroadcastEnded { .. }) {
            BroadcastStatus::Ended
        } else {
            return;
        };
        if let Some(broadcast) = self.state.broadcasts.get_mut(&event.broadcast_id()) {
            broadcast.status = status;
        }
    }

    fn spotlight(&mut self, recorded: &Recorded) -> Option<SpotlightId> {
        let id = SpotlightId(recorded.key.0);
        if self.scope.spotlight.is_some_and(|wanted| wanted != id) {
            return None;
        }
        if let Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms }) = &recorded.event {
            let begun = SpotlightState {
                broadcast_id: terms.broadcast_id,
                status: SpotlightStatus::Scheduled,
                epoch: 1,
                offer_version: terms.offer.version,
                live_price: terms.offer.live_price,
                stock: BTreeMap::new(),
                orders: OrderCounts::default(),
                position: recorded.position,
            };
            self.state.spotlights.insert(id, begun);
        }
        let spotlight = self.state.spotlights.get_mut(&id)?;
        spotlight.position = recorded.position;
        spotlight.take(&recorded.event);
        Some(id)
    }

    /// Follows the order and the viewer that are asked for.
    fn ask(&mut self, recorded: &Recorded) {
        let Some(order) = order_of(&recorded.event) else { return };
        if self.scope.order == Some(order) {
            self.order = fold(self.order.take(), recorded);
            self.state.order = self.order.as_ref().map(OrderState::of);
        }
        let Some(viewer) = &self.scope.viewer else { return };
        if let Event::Order(OrderEvent::OrderAccepted { accepted }) = &recorded.event {
            let named = accepted.personal.viewer.as_ref().is_some_and(|it| it.as_str() == viewer);
            let known = self.pseudonyms.contains(&accepted.viewer_ref);
            if !known && (named || accepted.viewer_ref.as_str() == viewer) {
                self.pseudonyms.push(accepted.viewer_ref.clone());
            }
            if !self.pseudonyms.contains(&accepted.viewer_ref) {
                return;
            }
        } else if !self.of_viewer.contains_key(&order) {
            return;
        }
        let Some(view) = fold(self.of_viewer.remove(&order), recorded) else { return };
        let Some(state) = &mut self.state.viewer else { return };
        state.orders.insert(order, OrderState::of(&view));
        self.of_viewer.insert(order, view);
        let units = |wanted: &[OrderStatus]| {
            let of = |order: &&OrderState| wanted.contains(&order.status);
            state.orders.values().filter(of).map(|order| i64::from(order.units)).sum()
        };
        (state.held, state.sold) =
            (units(&[OrderStatus::Reserved]), units(&[OrderStatus::Confirmed]));
    }
}

impl SpotlightState {
    fn take(&mut self, event: &Event) {
        for_each_ledger_change(event, |change| {
            let row = self.stock.entry(change.sku.clone()).or_default();
            row.limit = row.limit.saturating_add(change.limit);
            row.held = row.held.saturating_add(change.held);
            row.sold = row.sold.saturating_add(change.confirmed);
            row.remaining = row.limit - row.held - row.sold;
        });
        match event {
            Event::Spotlight(event) => match event {
                SpotlightEvent::SpotlightOpened { .. }
                | SpotlightEvent::SpotlightResumed { .. } => {
                    self.status = SpotlightStatus::Open;
                }
                SpotlightEvent::SpotlightPaused { .. } => self.status = SpotlightStatus::Paused,
                SpotlightEvent::SpotlightClosed { .. } => self.status = SpotlightStatus::Closed,
                SpotlightEvent::GateReopened { epoch, .. } => self.epoch = *epoch,
                SpotlightEvent::OfferChanged { offer, .. } => {
                    self.offer_version = offer.version;
                    self.live_price = offer.live_price;
                }
                _ => {}
            },
            Event::Order(event) => self.orders.take(event),
            _ => {}
        }
    }
}

impl OrderCounts {
    fn take(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::OrderAccepted { .. } => {
                self.accepted += 1;
                self.open += 1;
            }
            OrderEvent::OrderConfirmed { .. } => {
                self.confirmed += 1;
                self.open -= 1;
            }
            OrderEvent::OrderFailed { .. } => {
                self.failed += 1;
                self.open -= 1;
            }
            OrderEvent::OrderCancelled { .. } => {
                self.cancelled += 1;
                self.open -= 1;
            }
            OrderEvent::OrderRefunded { .. } => self.refunds += 1,
            _ => {}
        }
    }
}

impl OrderState {
    fn of(view: &OrderView) -> Self {
        Self {
            spotlight_id: view.spotlight_id,
            status: view.status,
            reason: view.reason,
            payment: view.payment.status,
            units: view.lines.iter().map(|line| line.quantity.get()).sum(),
            total: view.total,
            version: view.version,
        }
    }
}
