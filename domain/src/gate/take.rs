//! What the gate does before the log: take, narrow, cancel, claim.

use std::time::Duration;

use uuid::Uuid;

use super::claim_pause;
use super::entry::{Known, OrderPart, What};
use super::state::{GateState, micros};
use crate::Timestamp;
use crate::admission::Admission;
use crate::ids::ViewerRef;
use crate::ports::{EntryState, Narrow, Narrowed, Narrowing, PendingEntry, Take, TakeOutcome};
use crate::spotlight::SpotlightStatus;

impl GateState {
    /// Takes the units of all lines, or none.
    pub fn take(&mut self, take: &Take, now: Timestamp) -> TakeOutcome {
        let now = micros(now);
        if !self.serves(&take.seller) {
            return TakeOutcome::NoState;
        }
        if let Some(known) = self.entries.get(&take.order.0)
            && !(take.again && known.state == EntryState::Ended && known.order().is_some())
        {
            return self.again(known, take);
        }
        if let Some(refused) = self.refusal(take, now) {
            return refused;
        }
        let admission = self.admit(now);
        let part = OrderPart {
            viewer: take.viewer.clone(),
            lines: take.lines.clone(),
            fingerprint: take.fingerprint.clone(),
            returned: 0,
        };
        self.use_units(take.order, &part);
        let known = Known::pending(What::Order(part), admission, take.command.clone());
        self.insert(take.order.0, known);
        TakeOutcome::Taken { admission, offer: self.offer.clone() }
    }

    fn again(&self, known: &Known, take: &Take) -> TakeOutcome {
        let same = known.order().is_some_and(|order| {
            order.fingerprint.as_str().is_empty() || order.fingerprint == take.fingerprint
        });
        if !same {
            return TakeOutcome::Conflict;
        }
        TakeOutcome::SameAgain {
            entry: known.to_entry(),
            offer: self.offers.get(&known.admission.offer_version).cloned(),
        }
    }

    /// Window, version, SKUs, limit, stock, leased verdicts, in this order.
    fn refusal(&self, take: &Take, now: Timestamp) -> Option<TakeOutcome> {
        match self.status_at(now) {
            SpotlightStatus::Scheduled => {
                return Some(TakeOutcome::NotOpen { opens_at: self.opens_at });
            }
            SpotlightStatus::Paused => return Some(TakeOutcome::Paused),
            SpotlightStatus::Closed => return Some(TakeOutcome::Closed),
            SpotlightStatus::Open => {}
        }
        if self.halts.offers > 0 {
            return Some(TakeOutcome::Changing);
        }
        if !take.again && take.offer_version != self.offer.offer.version {
            return Some(TakeOutcome::OfferChanged { offer: self.offer.clone() });
        }
        if let Some(line) = take.lines.iter().find(|line| !self.stock.contains_key(&line.sku)) {
            return Some(TakeOutcome::UnknownSku { sku: line.sku.clone() });
        }
        if let Some(limit) = self.per_viewer_limit {
            let viewer = self.viewers.get(&take.viewer);
            let has = viewer.map_or(0, |viewer| viewer.units);
            if has.saturating_add(i64::from(take.lines.units())) > i64::from(limit) {
                let open_order = viewer.and_then(|viewer| viewer.open.last().copied());
                return Some(TakeOutcome::OverLimit { limit, open_order });
            }
        }
        let fits = take.lines.iter().all(|line| {
            self.stock
                .get(&line.sku)
                .is_some_and(|stock| stock.free() >= i64::from(line.quantity.get()))
        });
        if !fits {
            return Some(TakeOutcome::SoldOut { remaining: self.remaining() });
        }
        self.leased_until.is_some_and(|until| now < until).then_some(TakeOutcome::Changing)
    }

    const fn admit(&mut self, now: Timestamp) -> Admission {
        self.number = self.number.saturating_add(1);
        Admission {
            epoch: self.epoch,
            number: self.number,
            at: now,
            offer_version: self.offer.offer.version,
        }
    }

    /// Acts on a host's narrowing command before the log does.
    pub fn narrow(&mut self, narrow: &Narrow, now: Timestamp) -> Narrowed {
        if !self.serves(&narrow.seller) {
            return Narrowed::NoState;
        }
        if let Some(known) = self.entries.get(&narrow.entry) {
            return Narrowed::SameAgain { entry: known.to_entry() };
        }
        if self.status == SpotlightStatus::Closed || self.halts.closes > 0 {
            return Narrowed::Closed;
        }
        if let Narrowing::Reduce { sku, units } = &narrow.narrowing {
            let Some(stock) = self.stock.get_mut(sku) else { return Narrowed::UnknownSku };
            let units = i64::from(*units);
            if stock.free() < units {
                return Narrowed::BelowCommitted { remaining: stock.free() };
            }
            stock.used = stock.used.saturating_add(units);
        }
        if let Narrowing::Wait { viewer, units } = &narrow.narrowing {
            if let Some(over) = self.over_limit(viewer, *units) {
                return over;
            }
            self.count_units(viewer, i64::from(*units));
        }
        let admission = self.admit(micros(now));
        let what = What::Narrowing(narrow.narrowing.clone());
        self.insert(narrow.entry, Known::pending(what, admission, narrow.command.clone()));
        Narrowed::Done { admission }
    }

    fn over_limit(&self, viewer: &ViewerRef, units: u32) -> Option<Narrowed> {
        let limit = self.per_viewer_limit?;
        let known = self.viewers.get(viewer);
        let has = known.map_or(0, |known| known.units);
        (has.saturating_add(i64::from(units)) > i64::from(limit)).then(|| Narrowed::OverLimit {
            limit,
            open_order: known.and_then(|known| known.open.last().copied()),
        })
    }

    /// Forgets an entry whose command was certainly not queued; tells whether it did.
    pub fn cancel_unsent(&mut self, entry: Uuid) -> bool {
        let unsent = self
            .entries
            .get(&entry)
            .is_some_and(|known| known.state == EntryState::Pending && known.redriven == 0);
        if !unsent {
            return false;
        }
        if let Some(known) = self.entries.remove(&entry) {
            self.pending.remove(&(known.due, entry));
            self.undo(entry, &known.what);
        }
        true
    }

    /// Claims pending entries that are older than `older_than`, the longest due first.
    pub fn claim_pending(
        &mut self,
        older_than: Duration,
        limit: usize,
        now: Timestamp,
    ) -> Vec<PendingEntry> {
        let now = micros(now);
        let ripe = now - older_than;
        let due: Vec<_> =
            self.pending.iter().take_while(|(due, _)| *due <= ripe).take(limit).copied().collect();
        due.into_iter().filter_map(|(due, id)| self.claim(due, id, now)).collect()
    }

    fn claim(&mut self, due: Timestamp, id: Uuid, now: Timestamp) -> Option<PendingEntry> {
        self.pending.remove(&(due, id));
        let known = self.entries.get_mut(&id)?;
        known.redriven = known.redriven.saturating_add(1);
        known.due = now + claim_pause(known.redriven);
        self.pending.insert((known.due, id));
        Some(PendingEntry {
            spotlight: self.spotlight,
            entry: id,
            admission: known.admission,
            command: known.command.clone()?,
            redriven: known.redriven,
        })
    }
}
