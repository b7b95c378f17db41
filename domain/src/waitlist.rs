//! What a decision means for those who wait: units that it gives up are kept and offered in order
//! of the line, in the same decision, so that they never become free in between.

use std::collections::{BTreeMap, BTreeSet};

use crate::admission::Admission;
use crate::command::{Command, CommandRecord, Context};
use crate::desk::Desk;
use crate::event::{Event, StreamId};
use crate::fingerprint::Fingerprint;
use crate::ids::{OrderId, Sku, SpotlightId, ViewerRef, derive_id};
use crate::ledger::{for_each_ledger_change, units_change};
use crate::line::{Line, total};
use crate::order::{Accepted, OrderCommand, OrderEvent};
use crate::reservation::ReservationEvent;
use crate::spotlight::{
    SpotlightEvent, SpotlightStatus, UnitsBySku, VoidCause, WaitOutcome, Waiting, units_of,
};

/// The number of an admission that no gate gave: an offer to somebody who waited, whose units were
/// never free. The gate counts from 1.
pub const OFFER_ADMISSION: u64 = 0;

type Facts = Vec<(StreamId, Event)>;

/// Adds to the facts of a decision what they mean for the line of the spotlight.
pub fn settle(desk: &Desk, record: &CommandRecord, context: &Context, facts: &mut Facts) {
    if desk.spotlight.waitlist.is_idle() || !facts.iter().any(|(_, event)| stirs(event)) {
        return;
    }
    let mut settling = Settling::new(desk, record, context, facts);
    settling.end_offers();
    let mut settled = settling.carry();
    settling.offer(&mut settled);
    settling.end_line(&mut settled);
    *facts = settled;
}

/// Whether an event can concern the line.
const fn stirs(event: &Event) -> bool {
    match event {
        Event::Spotlight(event) => matches!(
            event,
            SpotlightEvent::SpotlightOpened { .. }
                | SpotlightEvent::SpotlightResumed { .. }
                | SpotlightEvent::SpotlightClosed { .. }
                | SpotlightEvent::StockAdjusted { .. }
                | SpotlightEvent::AdmissionVoided { .. }
                | SpotlightEvent::WaitlistEnded { .. }
        ),
        Event::Reservation(event) => !matches!(event, ReservationEvent::StockReserved { .. }),
        Event::Order(_) | Event::Broadcast(_) => false,
    }
}

struct Settling<'a> {
    desk: &'a Desk,
    record: &'a CommandRecord,
    context: &'a Context,
    spotlight_id: SpotlightId,
    facts: Facts,
    status: SpotlightStatus,
    /// Who left the line in this decision.
    gone: BTreeSet<ViewerRef>,
    /// Units that are kept by now.
    kept: UnitsBySku,
    /// What the decision adds to the units of viewers.
    units: BTreeMap<ViewerRef, i64>,
}

impl<'a> Settling<'a> {
    fn new(
        desk: &'a Desk,
        record: &'a CommandRecord,
        context: &'a Context,
        facts: &mut Facts,
    ) -> Self {
        let facts = std::mem::take(facts);
        let mut settling = Self {
            desk,
            record,
            context,
            spotlight_id: SpotlightId(record.key.0),
            status: desk.spotlight.status,
            gone: BTreeSet::new(),
            kept: desk.spotlight.waitlist.kept.clone(),
            units: BTreeMap::new(),
            facts: vec![],
        };
        for (_, event) in &facts {
            match event {
                Event::Spotlight(SpotlightEvent::SpotlightClosed { .. }) => {
                    settling.status = SpotlightStatus::Closed;
                }
                Event::Spotlight(SpotlightEvent::SpotlightPaused { .. }) => {
                    settling.status = SpotlightStatus::Paused;
                }
                Event::Spotlight(
                    SpotlightEvent::SpotlightOpened { .. }
                    | SpotlightEvent::SpotlightResumed { .. },
                ) => settling.status = SpotlightStatus::Open,
                Event::Spotlight(SpotlightEvent::WaitlistEnded {
                    viewer_ref,
                    order_id: None,
                    ..
                }) => {
                    settling.gone.insert(viewer_ref.clone());
                }
                _ => {}
            }
            if let Some((viewer, units)) = units_change(event) {
                *settling.units.entry(viewer.clone()).or_default() += units;
            }
        }
        settling.facts = facts;
        settling
    }

    fn on_spotlight(&self, event: SpotlightEvent) -> (StreamId, Event) {
        (StreamId::spotlight(self.spotlight_id), Event::Spotlight(event))
    }

    /// Those who still wait, in order.
    fn line(&self) -> impl Iterator<Item = &'a Waiting> {
        let gone = self.gone.clone();
        let line = self.desk.spotlight.waitlist.line.values();
        line.filter(move |waiting| !gone.contains(&waiting.wait.viewer_ref))
    }

    fn wants(&self, sku: &Sku) -> bool {
        self.status != SpotlightStatus::Closed
            && self.line().any(|waiting| waiting.wait.lines.iter().any(|line| line.sku == *sku))
    }

    /// Offers whose reservation ended: paid, declined or run out.
    fn end_offers(&mut self) {
        let offers = &self.desk.spotlight.waitlist.offers;
        let ended: Vec<(ViewerRef, WaitOutcome, OrderId)> = self
            .facts
            .iter()
            .filter_map(|(_, event)| {
                let Event::Reservation(event) = event else { return None };
                let order = event.order_id();
                let offered = offers.get(&order)?;
                let outcome = outcome(&self.facts, event)?;
                Some((offered.viewer_ref.clone(), outcome, order))
            })
            .collect();
        for (viewer_ref, outcome, order) in ended {
            let spotlight_id = self.spotlight_id;
            let order_id = Some(order);
            let event =
                SpotlightEvent::WaitlistEnded { spotlight_id, viewer_ref, outcome, order_id };
            self.facts.push(self.on_spotlight(event));
        }
    }

    /// Marks what the facts give up and somebody waits for: it stays taken.
    fn carry(&mut self) -> Facts {
        let mut ledger = self.desk.ledger.clone();
        let mut settled = Vec::with_capacity(self.facts.len() + 1);
        for (stream, mut event) in std::mem::take(&mut self.facts) {
            for_each_ledger_change(&event, |change| {
                ledger.apply(&crate::ledger::LedgerDelta {
                    spotlight: change.spotlight,
                    sku: change.sku.clone(),
                    limit: change.limit,
                    held: change.held,
                    confirmed: change.confirmed,
                });
            });
            let carried = self.keep(&mut event, &ledger);
            for (sku, units) in &carried {
                let row = ledger.rows.entry(sku.clone()).or_default();
                row.held = row.held.saturating_add(i64::from(*units));
                let kept = self.kept.entry(sku.clone()).or_default();
                *kept = kept.saturating_add(*units);
            }
            settled.push((stream, event));
            if !carried.is_empty() {
                let spotlight_id = self.spotlight_id;
                let event = SpotlightEvent::UnitsCarried { spotlight_id, units: carried };
                settled.push(self.on_spotlight(event));
            }
        }
        settled
    }

    /// What of the units that an event gives up is kept.
    fn keep(&self, event: &mut Event, ledger: &crate::ledger::Ledger) -> UnitsBySku {
        match event {
            Event::Reservation(ReservationEvent::ReservationReleased { lines, kept, .. }) => {
                *kept = self.wanted(units_of(lines));
                kept.clone()
            }
            Event::Spotlight(SpotlightEvent::StockAdjusted { sku, delta, kept, .. }) => {
                let added = u32::try_from(*delta).ok().filter(|added| *added > 0);
                let added = added.map(|added| (sku.clone(), added));
                *kept = self.wanted(added.into_iter().collect());
                kept.clone()
            }
            Event::Spotlight(SpotlightEvent::AdmissionVoided { epoch, cause, kept, .. }) => {
                // what is told again gives nothing back again, and an older gate holds nothing
                let first = *cause != VoidCause::Duplicate;
                if first && *epoch == self.desk.spotlight.epoch {
                    let mut units = self.wanted(self.taken());
                    for (sku, units) in &mut units {
                        let free = ledger.get(sku).map_or(0, crate::ledger::LedgerRow::free);
                        *units = (*units).min(u32::try_from(free).unwrap_or(0));
                    }
                    units.retain(|_, units| *units > 0);
                    *kept = units;
                }
                kept.clone()
            }
            _ => UnitsBySku::new(),
        }
    }

    fn wanted(&self, mut units: UnitsBySku) -> UnitsBySku {
        units.retain(|sku, _| self.wants(sku));
        units
    }

    /// What the gate took for the command.
    fn taken(&self) -> UnitsBySku {
        let Command::Order { command } = &self.record.command else { return UnitsBySku::new() };
        match command {
            OrderCommand::PlaceOrder { place } | OrderCommand::FailParked { place } => {
                units_of(&place.lines)
            }
            OrderCommand::TakeAgain { order_id, .. } => {
                let known = self.desk.orders.get(order_id);
                let accepted = known.and_then(|known| known.order.accepted.as_deref());
                let lines = accepted.map_or(&[][..], |accepted| &accepted.lines);
                lines.iter().map(|line| (line.sku.clone(), line.quantity.get())).collect()
            }
            _ => UnitsBySku::new(),
        }
    }

    /// Offers what is kept, in the order of the line: who waits for a SKU that somebody before them
    /// waits for as well comes after them.
    fn offer(&mut self, settled: &mut Facts) {
        if self.status != SpotlightStatus::Open {
            return;
        }
        let mut blocked: BTreeSet<&Sku> = BTreeSet::new();
        let line: Vec<&Waiting> = self.line().collect();
        for waiting in line {
            if self.kept.keys().all(|sku| blocked.contains(sku)) {
                break;
            }
            let lines = &waiting.wait.lines;
            let fits = lines.iter().all(|line| {
                !blocked.contains(&line.sku)
                    && self.kept.get(&line.sku).is_some_and(|kept| *kept >= line.quantity.get())
            });
            if !fits {
                blocked.extend(lines.iter().map(|line| &line.sku));
                continue;
            }
            match self.offer_to(waiting) {
                Some(facts) => {
                    settled.extend(facts);
                    for Line { sku, quantity } in lines {
                        let left = self.kept.get(sku).map_or(0, |kept| kept - quantity.get());
                        self.kept.insert(sku.clone(), left);
                    }
                    self.kept.retain(|_, kept| *kept > 0);
                }
                None => settled.push(self.end(waiting)),
            }
            self.gone.insert(waiting.wait.viewer_ref.clone());
        }
    }

    /// An order that waits for its payment; `None` where the viewer may not have it.
    fn offer_to(&mut self, waiting: &Waiting) -> Option<Facts> {
        let Waiting { entry, wait } = waiting;
        let terms = self.desk.spotlight.terms.as_deref()?;
        let units = i64::from(wait.lines.units());
        let known = self.desk.units.get(&wait.viewer_ref).copied().unwrap_or(0);
        let more = self.units.entry(wait.viewer_ref.clone()).or_default();
        let has = known.saturating_add(*more).saturating_add(units);
        if terms.per_viewer_limit.is_some_and(|limit| has > i64::from(limit)) {
            return None;
        }
        let offer = self.desk.spotlight.current_offer()?;
        let lines = offer.price(&wait.lines);
        let total = total(&lines).ok()?;
        *more = more.saturating_add(units);
        let order_id = OrderId(derive_id("waitlist_offer", &[entry.as_bytes()]));
        let decided_at = self.context.decided_at;
        let epoch = self.desk.spotlight.epoch;
        let accepted = Accepted {
            order_id,
            spotlight_id: self.spotlight_id,
            broadcast_id: terms.broadcast_id,
            viewer_ref: wait.viewer_ref.clone(),
            lines,
            total,
            admission: Admission {
                epoch,
                number: OFFER_ADMISSION,
                at: decided_at,
                offer_version: offer.version,
            },
            payment_method: None,
            key_fingerprint: Fingerprint::of(entry.as_bytes()),
            body_fingerprint: Fingerprint::of(entry.as_bytes()),
            received_at: wait.received_at,
            node: wait.node.clone(),
            accepted_at: decided_at,
            personal: wait.personal.clone(),
        };
        let deadline = self.desk.spotlight.hold_deadline(&wait.viewer_ref, decided_at);
        let reserved = ReservationEvent::StockReserved {
            order_id,
            spotlight_id: self.spotlight_id,
            viewer_ref: wait.viewer_ref.clone(),
            lines: wait.lines.clone(),
            epoch,
            admission_no: OFFER_ADMISSION,
            deadline,
        };
        let offered = SpotlightEvent::WaitlistOffered {
            spotlight_id: self.spotlight_id,
            viewer_ref: wait.viewer_ref.clone(),
            order_id,
            lines: wait.lines.clone(),
            expires_at: deadline,
        };
        let accepted = OrderEvent::OrderAccepted { accepted: Box::new(accepted) };
        Some(vec![
            (StreamId::order(order_id), Event::Order(accepted)),
            (StreamId::reservation(order_id), Event::Reservation(reserved)),
            self.on_spotlight(offered),
        ])
    }

    fn end(&self, waiting: &Waiting) -> (StreamId, Event) {
        self.on_spotlight(SpotlightEvent::WaitlistEnded {
            spotlight_id: self.spotlight_id,
            viewer_ref: waiting.wait.viewer_ref.clone(),
            outcome: WaitOutcome::Ended,
            order_id: None,
        })
    }

    /// Closing ends the line; what nobody waits for any more is free.
    fn end_line(&mut self, settled: &mut Facts) {
        if self.status == SpotlightStatus::Closed {
            settled.extend(self.line().map(|waiting| self.end(waiting)).collect::<Vec<_>>());
        }
        let kept = std::mem::take(&mut self.kept);
        let units: UnitsBySku = kept.into_iter().filter(|(sku, _)| !self.wants(sku)).collect();
        if !units.is_empty() {
            let spotlight_id = self.spotlight_id;
            settled.push(self.on_spotlight(SpotlightEvent::UnitsFreed { spotlight_id, units }));
        }
    }
}

/// How an offer ended whose reservation did; `None` for one that begins.
fn outcome(facts: &Facts, event: &ReservationEvent) -> Option<WaitOutcome> {
    let order = event.order_id();
    let cancelled = || {
        facts.iter().any(|(_, event)| {
            matches!(event, Event::Order(OrderEvent::OrderCancelled { order_id, .. })
                if *order_id == order)
        })
    };
    match event {
        ReservationEvent::StockReserved { .. } => None,
        ReservationEvent::ReservationConfirmed { .. } => Some(WaitOutcome::Accepted),
        ReservationEvent::ReservationReleased { reason, .. } => Some(match reason {
            crate::reservation::ReleaseReason::HoldExpired => WaitOutcome::Expired,
            _ if cancelled() => WaitOutcome::Declined,
            _ => WaitOutcome::Ended,
        }),
    }
}
