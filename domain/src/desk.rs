//! The state of one stream key, as the writer holds it between batches.

use std::collections::BTreeMap;

use crate::broadcast::Broadcast;
use crate::event::{Event, StreamId};
use crate::ids::{OrderId, ViewerRef};
use crate::ledger::{Ledger, ledger_deltas, units_delta};
use crate::order::{Order, OrderCommand, Scene};
use crate::reservation::{Hold, Reservation, ReservationEvent};
use crate::spotlight::Spotlight;

/// An order and its reservation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderDesk {
    /// The order.
    pub order: Order,
    /// Its reservation.
    pub reservation: Reservation,
    /// Its second one, where the payment came after the hold.
    pub again: Reservation,
    /// Epoch and number of the admission under which it was taken again.
    pub taken_again: Option<(u64, u64)>,
}

impl OrderDesk {
    /// Takes a fact of one of its reservations in.
    fn reserve(&mut self, stream: &StreamId, event: &ReservationEvent) {
        if !stream.is_again() {
            return self.reservation.apply(event);
        }
        if let ReservationEvent::StockReserved { epoch, admission_no, .. } = event {
            self.taken_again = Some((*epoch, *admission_no));
        }
        self.again.apply(event);
    }

    /// What it holds, if it does.
    pub const fn hold(&self) -> Option<&Hold> {
        match self.again.hold() {
            Some(hold) => Some(hold),
            None => self.reservation.hold(),
        }
    }
}

/// Everything that decisions of one stream key look at. The writer loads what a command needs
/// ([`Desk::lacks_order`], [`Desk::lacks_viewer`]) before it decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desk {
    /// The broadcast, where the key is one.
    pub broadcast: Broadcast,
    /// The spotlight, where the key is one.
    pub spotlight: Spotlight,
    /// The spotlight's stock.
    pub ledger: Ledger,
    /// Units that each viewer holds and has bought.
    pub units: BTreeMap<ViewerRef, i64>,
    /// Orders of the spotlight.
    pub orders: BTreeMap<OrderId, OrderDesk>,
    /// The last sequence of each stream.
    pub sequences: BTreeMap<StreamId, u64>,
}

impl Desk {
    /// Whether the order must be loaded first.
    pub fn lacks_order(&self, order: OrderId) -> bool {
        !self.orders.contains_key(&order)
    }

    /// Whether the viewer's units must be loaded first.
    pub fn lacks_viewer(&self, viewer: &ViewerRef) -> bool {
        !self.units.contains_key(viewer)
    }

    /// What an order's decision looks at.
    pub fn scene(&self, command: &OrderCommand) -> Scene<'_> {
        let known = self.orders.get(&command.order_id());
        let viewer_units = self.buyer(command).and_then(|viewer| self.units.get(viewer)).copied();
        Scene {
            spotlight: &self.spotlight,
            ledger: &self.ledger,
            viewer_units: viewer_units.unwrap_or(0),
            reservation: known.map_or(&Reservation::Absent, |known| &known.reservation),
            again: known.map_or(&Reservation::Absent, |known| &known.again),
            taken_again: known.and_then(|known| known.taken_again),
        }
    }

    /// The viewer whose units a command may change.
    pub fn buyer<'a>(&'a self, command: &'a OrderCommand) -> Option<&'a ViewerRef> {
        if let OrderCommand::PlaceOrder { place } = command {
            return Some(&place.viewer_ref);
        }
        let known = self.orders.get(&command.order_id())?;
        known.order.accepted.as_deref().map(|accepted| &accepted.viewer_ref)
    }

    /// The last sequence of a stream; 0 before the first event.
    pub fn sequence(&self, stream: &StreamId) -> u64 {
        self.sequences.get(stream).copied().unwrap_or(0)
    }

    /// Takes a fact in that was decided or that follows what was loaded: stock and units move with
    /// it.
    pub fn apply(&mut self, stream: &StreamId, event: &Event) {
        for delta in ledger_deltas(event) {
            self.ledger.apply(&delta);
        }
        if let Some(delta) = units_delta(event) {
            let units = self.units.entry(delta.viewer).or_default();
            *units = units.saturating_add(delta.units);
        }
        self.fold(stream, event);
    }

    /// Takes a fact in whose effect on stock and units was loaded from the ledger already.
    pub fn fold(&mut self, stream: &StreamId, event: &Event) {
        let sequence = self.sequences.entry(stream.clone()).or_default();
        *sequence = sequence.saturating_add(1);
        match event {
            Event::Broadcast(event) => self.broadcast.apply(event),
            Event::Spotlight(event) => self.spotlight.apply(event),
            Event::Reservation(event) => {
                self.orders.entry(event.order_id()).or_default().reserve(stream, event);
            }
            Event::Order(event) => {
                self.orders.entry(event.order_id()).or_default().order.apply(event);
            }
        }
    }

    /// Forgets an order; it is loaded again when a command needs it.
    pub fn forget_order(&mut self, order: OrderId) {
        self.orders.remove(&order);
        for stream in StreamId::of_order(order) {
            self.sequences.remove(&stream);
        }
    }
}
