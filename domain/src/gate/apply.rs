//! What the log tells the gate.

use uuid::Uuid;

use super::entry::{Known, OrderPart, What};
use super::state::{GateState, micros};
use crate::admission::Admission;
use crate::envelope::Recorded;
use crate::event::Event;
use crate::fingerprint::Fingerprint;
use crate::ids::{OrderId, Sku};
use crate::line::{Line, Lines};
use crate::order::{Accepted, OrderEvent};
use crate::ports::{Applied, EntryState, GateOffer};
use crate::reservation::ReservationEvent;
use crate::spotlight::{SpotlightEvent, SpotlightStatus, units_of};
use crate::waitlist::OFFER_ADMISSION;

/// Applies events of one spotlight to its gate, which may not exist yet: it begins with
/// `SpotlightScheduled`. Each event is applied once, by its position.
pub fn apply_events(gate: &mut Option<GateState>, events: &[Recorded]) -> Applied {
    for recorded in events {
        match gate {
            Some(state) => {
                if recorded.position <= state.applied {
                    continue;
                }
                if recorded.prev != state.applied {
                    return Applied::Gap { applied: state.applied };
                }
                state.apply(recorded);
            }
            None => match GateState::begin(recorded) {
                Some(state) => *gate = Some(state),
                None => return Applied::NoState,
            },
        }
    }
    gate.as_ref().map_or(Applied::NoState, |state| Applied::Done {
        position: state.applied,
        unknown_order: state.unknown_order,
    })
}

impl GateState {
    /// The gate that begins with this event, if one does.
    pub(super) fn begin(recorded: &Recorded) -> Option<Self> {
        match &recorded.event {
            Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms }) => {
                Some(Self::scheduled(terms, recorded.position))
            }
            _ => None,
        }
    }

    /// Takes the next fact in.
    pub(super) fn apply(&mut self, recorded: &Recorded) {
        self.applied = recorded.position;
        match &recorded.event {
            Event::Spotlight(event) => {
                self.apply_spotlight(event, recorded.metadata.command_id.0);
            }
            Event::Reservation(event) => self.apply_reservation(event, recorded),
            Event::Order(OrderEvent::OrderAccepted { accepted }) => self.accepted(accepted),
            Event::Order(OrderEvent::RefundRequested {
                order_id, returned: Some(back), ..
            }) => {
                let units = back.lines.units();
                self.return_units(*order_id, units, &back.viewer_ref);
                let entry = self.entries.get_mut(&order_id.0);
                if let Some(Known { what: What::Order(part), .. }) = entry {
                    part.returned = part.returned.saturating_add(units);
                }
            }
            Event::Order(_) | Event::Broadcast(_) => {}
        }
    }

    fn apply_spotlight(&mut self, event: &SpotlightEvent, command: Uuid) {
        match event {
            // the pause of the same decision says what the gate does
            SpotlightEvent::SpotlightScheduled { .. }
            | SpotlightEvent::OfferWithdrawn { .. }
            | SpotlightEvent::WithdrawalProgressed { .. }
            | SpotlightEvent::DemandObserved { .. }
            | SpotlightEvent::HoldAbandoned { .. }
            // what gave the units up has kept them
            | SpotlightEvent::UnitsCarried { .. }
            | SpotlightEvent::WaitlistEnded { order_id: Some(_), .. } => {}
            SpotlightEvent::SpotlightOpened { .. } | SpotlightEvent::SpotlightResumed { .. } => {
                self.status = SpotlightStatus::Open;
            }
            SpotlightEvent::SpotlightPaused { .. } => {
                self.end_pending(command);
                self.status = SpotlightStatus::Paused;
            }
            SpotlightEvent::SpotlightClosed { .. } => {
                self.end_pending(command);
                self.status = SpotlightStatus::Closed;
            }
            SpotlightEvent::OfferChanged { offer, .. } => {
                self.end_pending(command);
                self.offer = GateOffer { offer: offer.clone(), ..self.offer.clone() };
                self.offers.insert(offer.version, self.offer.clone());
            }
            SpotlightEvent::StockAdjusted { sku, delta, gate_entry, kept, .. } => {
                self.adjusted(sku, *delta, *gate_entry);
                self.keep_units(kept, 1);
            }
            SpotlightEvent::GateReopened { epoch, .. } => {
                self.reopening = self.reopening || *epoch > self.epoch;
            }
            SpotlightEvent::AdmissionVoided { entry, epoch, admission_no, kept, .. } => {
                let meant = self
                    .entries
                    .get(entry)
                    .is_some_and(|known| known.is_admission(*epoch, *admission_no));
                if meant {
                    self.end_pending(*entry);
                }
                self.keep_units(kept, 1);
            }
            SpotlightEvent::UnitsFreed { units, .. } => self.keep_units(units, -1),
            SpotlightEvent::WaitlistJoined { entry, wait, .. } => {
                self.end_pending(*entry);
                self.wait(&wait.viewer_ref, wait.lines.units());
            }
            SpotlightEvent::WaitlistOffered { viewer_ref, .. }
            | SpotlightEvent::WaitlistEnded { viewer_ref, order_id: None, .. } => {
                self.wait_no_longer(viewer_ref);
            }
        }
    }

    /// What the gate took for a reduction turns into a lower limit: what is free stays the same.
    fn adjusted(&mut self, sku: &Sku, delta: i64, gate_entry: Option<Uuid>) {
        if let Some(entry) = gate_entry {
            self.end_pending(entry);
        }
        let stock = self.stock.entry(sku.clone()).or_default();
        stock.limit = stock.limit.saturating_add(delta);
    }

    /// Ends an entry that is still pending and takes its effect back; any other is left alone.
    fn end_pending(&mut self, id: Uuid) {
        let Some(known) = self.entries.get_mut(&id) else { return };
        if known.state != EntryState::Pending {
            return;
        }
        known.state = EntryState::Ended;
        known.command = None;
        self.pending.remove(&(known.due, id));
        let what = known.what.clone();
        self.undo(id, &what);
    }

    /// An order of this epoch that the gate has no entry for, or another one, was lost. One of an
    /// older epoch was on its way while the gate was rebuilt: that is expected, and what follows
    /// makes the gate exact, so that rebuilding under load comes to an end.
    fn notice(&mut self, order: OrderId, epoch: u64, number: u64) {
        if number == OFFER_ADMISSION {
            return;
        }
        let held = self.entries.get(&order.0).is_some_and(|known| {
            known.is_admission(epoch, number) || known.state != EntryState::Pending
        });
        self.unknown_order = self.unknown_order || (!held && epoch >= self.epoch);
    }

    fn accepted(&mut self, accepted: &Accepted) {
        let Accepted { order_id, admission, .. } = accepted;
        self.notice(*order_id, admission.epoch, admission.number);
        let fingerprint = accepted.body_fingerprint.clone();
        if let Some(known) = self.entries.get_mut(&order_id.0) {
            if let What::Order(part) = &mut known.what {
                part.fingerprint = fingerprint;
            }
            return;
        }
        let lines = accepted
            .lines
            .iter()
            .map(|line| Line { sku: line.sku.clone(), quantity: line.quantity });
        let Ok(lines) = Lines::try_new(lines.collect()) else { return };
        let viewer = accepted.viewer_ref.clone();
        let part = OrderPart { viewer, lines, fingerprint, returned: 0 };
        self.insert(order_id.0, Known::ended(part, *admission));
    }

    fn apply_reservation(&mut self, event: &ReservationEvent, recorded: &Recorded) {
        let order = event.order_id();
        match event {
            ReservationEvent::StockReserved { .. } => self.reserved(event, recorded),
            ReservationEvent::ReservationConfirmed { .. } => match self.leave_hold(order) {
                Some(part) => {
                    self.set_state(order, EntryState::Sold);
                    self.sell_units(order, &part);
                }
                None => {
                    self.unknown_order = self.unknown_order || !self.entries.contains_key(&order.0);
                }
            },
            ReservationEvent::ReservationReleased { kept, .. } => {
                // in this order, so that nothing is free in between
                self.keep_units(kept, 1);
                if let Some(part) = self.leave_hold(order) {
                    self.set_state(order, EntryState::Ended);
                    self.free_units(order, &part);
                }
            }
        }
    }

    /// The log's word is final: whatever the gate has of the order, afterwards it holds exactly the
    /// units of the event.
    fn reserved(&mut self, event: &ReservationEvent, recorded: &Recorded) {
        let ReservationEvent::StockReserved {
            order_id: order,
            viewer_ref,
            lines,
            epoch,
            admission_no,
            deadline,
            ..
        } = event
        else {
            return;
        };
        self.notice(*order, *epoch, *admission_no);
        let mut part = OrderPart {
            viewer: viewer_ref.clone(),
            lines: lines.clone(),
            fingerprint: Fingerprint::from_text(""),
            returned: 0,
        };
        let mut admission = Admission {
            epoch: *epoch,
            number: *admission_no,
            at: micros(recorded.metadata.decided_at),
            offer_version: self.offer.offer.version,
        };
        let mut moves = true;
        if let Some(known) = self.entries.remove(&order.0) {
            if matches!(known.state, EntryState::Held | EntryState::Sold) {
                self.entries.insert(order.0, known);
                return;
            }
            if known.state == EntryState::Pending {
                self.pending.remove(&(known.due, order.0));
                moves = !known
                    .order()
                    .is_some_and(|taken| taken.lines == part.lines && taken.viewer == part.viewer);
                if moves {
                    self.undo(order.0, &known.what);
                }
            }
            if known.is_admission(*epoch, *admission_no) {
                admission = known.admission;
            }
            if let What::Order(known) = known.what {
                part.fingerprint = known.fingerprint;
            }
        }
        if moves {
            self.use_units(*order, &part);
        }
        if *admission_no == OFFER_ADMISSION {
            self.keep_units(&units_of(&part.lines), -1);
        }
        let deadline = micros(*deadline);
        let mut known = Known::ended(part, admission);
        known.state = EntryState::Held;
        known.deadline = Some(deadline);
        self.holds.insert((deadline, order.0));
        self.insert(order.0, known);
    }

    /// What an order holds, if it does: after this it is the caller's to end.
    fn leave_hold(&mut self, order: OrderId) -> Option<OrderPart> {
        let known = self.entries.get_mut(&order.0)?;
        if known.state != EntryState::Held {
            return None;
        }
        if let Some(deadline) = known.deadline.take() {
            self.holds.remove(&(deadline, order.0));
        }
        known.order().cloned()
    }

    fn set_state(&mut self, order: OrderId, state: EntryState) {
        if let Some(known) = self.entries.get_mut(&order.0) {
            known.state = state;
        }
    }
}
