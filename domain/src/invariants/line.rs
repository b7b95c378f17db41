//! I13: who waits is served in order, and nobody passes them by.

use std::collections::BTreeMap;

use super::decision::DecisionId;
use super::fast::ById;
use super::{Invariant, LogEnd, Mark, Violation};
use crate::envelope::Recorded;
use crate::event::Event;
use crate::ids::{Sku, StreamKey, ViewerRef};
use crate::line::Lines;
use crate::reservation::ReservationEvent;
use crate::spotlight::{SpotlightEvent, UnitsBySku, VoidCause, units_of};
use crate::waitlist::OFFER_ADMISSION;
use serde::{Deserialize, Serialize};

/// I13, the waitlist:
/// - units of a SKU that are given up or added while somebody waits for it stay taken;
/// - an offer takes no more than is kept, of what its viewer waits for, and nobody who came before
///   and waits for one of its SKUs is passed by;
/// - what the facts keep is what `UnitsCarried` says, and after a decision nothing is kept of a SKU
///   that nobody waits for.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Line {
    keys: ById<StreamKey, Spotlight>,
    /// The decision that is being read, where it concerns a line.
    open: Option<(DecisionId, StreamKey, Mark)>,
    checked: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Spotlight {
    /// Who waits, in the order of the log.
    line: Vec<(ViewerRef, Lines)>,
    kept: BTreeMap<Sku, i64>,
    /// What was kept and not yet carried, by the decision that is being read.
    uncarried: BTreeMap<Sku, i64>,
    closing: bool,
}

impl Spotlight {
    fn wants(&self, sku: &Sku) -> bool {
        self.line.iter().any(|(_, lines)| lines.iter().any(|line| line.sku == *sku))
    }

    fn keep(&mut self, units: &UnitsBySku, sign: i64) {
        for (sku, units) in units {
            for sums in [&mut self.kept, &mut self.uncarried] {
                let sum = sums.entry(sku.clone()).or_default();
                *sum += sign * i64::from(*units);
            }
        }
    }

    fn give_up(&mut self, units: &UnitsBySku, kept: &UnitsBySku) -> Option<String> {
        let lost = units
            .keys()
            .find(|sku| !self.closing && self.wants(sku) && kept.get(*sku) != units.get(*sku));
        let wrong = lost.map(|sku| format!("{sku} is given up although somebody waits for it"));
        self.keep(kept, 1);
        wrong
    }

    fn offer(&mut self, viewer: &ViewerRef, lines: &Lines) -> Option<String> {
        let Some(place) = self.line.iter().position(|(waiting, _)| waiting == viewer) else {
            return Some(format!("viewer {viewer} is made an offer and does not wait"));
        };
        let (_, wanted) = self.line.remove(place);
        if wanted != *lines {
            return Some(format!("viewer {viewer} is offered something else"));
        }
        let shared =
            |other: &Lines| other.iter().any(|one| lines.iter().any(|line| line.sku == one.sku));
        let passed = self.line.iter().take(place).find(|(_, other)| shared(other));
        passed.map(|(earlier, _)| format!("viewer {viewer} passes by viewer {earlier}"))
    }

    fn take(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Reservation(ReservationEvent::ReservationReleased { kept, .. })
                if self.line.is_empty() && kept.is_empty() =>
            {
                None
            }
            Event::Reservation(ReservationEvent::ReservationReleased { lines, kept, .. }) => {
                self.give_up(&units_of(lines), kept)
            }
            Event::Reservation(ReservationEvent::StockReserved {
                lines,
                admission_no: OFFER_ADMISSION,
                ..
            }) => {
                for (sku, units) in units_of(lines) {
                    let kept = self.kept.entry(sku.clone()).or_default();
                    *kept -= i64::from(units);
                    if *kept < 0 {
                        return Some(format!("more of {sku} is offered than is kept"));
                    }
                }
                None
            }
            Event::Spotlight(event) => self.take_fact(event),
            _ => None,
        }
    }

    fn take_fact(&mut self, event: &SpotlightEvent) -> Option<String> {
        match event {
            SpotlightEvent::StockAdjusted { sku, delta, kept, .. } => {
                let added = u32::try_from(*delta).ok().filter(|added| *added > 0);
                let units = added.map(|added| (sku.clone(), added)).into_iter().collect();
                self.give_up(&units, kept)
            }
            SpotlightEvent::AdmissionVoided { kept, cause, .. } => {
                self.keep(kept, 1);
                (*cause == VoidCause::Duplicate && !kept.is_empty())
                    .then(|| "a void that is told again keeps units".to_owned())
            }
            SpotlightEvent::UnitsCarried { units, .. } => {
                for (sku, units) in units {
                    let sum = self.uncarried.entry(sku.clone()).or_default();
                    *sum -= i64::from(*units);
                }
                None
            }
            SpotlightEvent::UnitsFreed { units, .. } => {
                for (sku, units) in units {
                    *self.kept.entry(sku.clone()).or_default() -= i64::from(*units);
                }
                let wanted = units.keys().find(|sku| !self.closing && self.wants(sku));
                wanted.map(|sku| format!("{sku} is freed although somebody waits for it"))
            }
            SpotlightEvent::WaitlistJoined { wait, .. } => {
                let twice = self.line.iter().any(|(viewer, _)| *viewer == wait.viewer_ref);
                self.line.push((wait.viewer_ref.clone(), wait.lines.clone()));
                twice.then(|| format!("viewer {} waits twice", wait.viewer_ref))
            }
            SpotlightEvent::WaitlistOffered { viewer_ref, lines, .. } => {
                self.offer(viewer_ref, lines)
            }
            SpotlightEvent::WaitlistEnded { viewer_ref, order_id: None, .. } => {
                let before = self.line.len();
                self.line.retain(|(viewer, _)| viewer != viewer_ref);
                (self.line.len() == before)
                    .then(|| format!("viewer {viewer_ref} stops waiting and does not wait"))
            }
            SpotlightEvent::SpotlightClosed { .. } => {
                self.closing = true;
                None
            }
            _ => None,
        }
    }

    /// What a decision left wrong.
    fn end(&mut self) -> Option<String> {
        self.uncarried.retain(|_, units| *units != 0);
        self.kept.retain(|_, units| *units != 0);
        let uncarried = std::mem::take(&mut self.uncarried);
        if let Some((sku, units)) = uncarried.into_iter().next() {
            return Some(format!("{units} of {sku} are kept and not carried"));
        }
        if self.closing && !self.line.is_empty() {
            self.line.clear();
            return Some("the spotlight is closed and somebody waits".to_owned());
        }
        let unwanted = self.kept.iter().find(|(sku, units)| **units < 0 || !self.wants(sku));
        unwanted.map(|(sku, units)| format!("{units} of {sku} are kept and nobody waits for it"))
    }
}

impl Line {
    /// What the last decision left wrong, if this event is not of it.
    fn close_decision(&mut self, event: Option<&Recorded>) -> Option<Violation> {
        let is_over = |id: &DecisionId| event.is_none_or(|event| *id != DecisionId::of(event));
        let (_, key, mark) = self.open.take_if(|(id, ..)| is_over(id))?;
        self.keys.get_mut(&key)?.end().map(|detail| mark.violation(detail))
    }
}

impl Invariant for Line {
    fn id(&self) -> &'static str {
        "I13"
    }

    fn check(&mut self, event: &Recorded) -> Vec<Violation> {
        let mut found: Vec<Violation> = self.close_decision(Some(event)).into_iter().collect();
        if matches!(event.event, Event::Spotlight(SpotlightEvent::SpotlightScheduled { .. })) {
            self.keys.entry(event.key).or_default();
        }
        let Some(spotlight) = self.keys.get_mut(&event.key) else { return found };
        if !matches!(event.event, Event::Spotlight(_) | Event::Reservation(_)) {
            return found;
        }
        self.checked += 1;
        found.extend(spotlight.take(&event.event).map(|detail| Violation::at(event, detail)));
        let concerns = !spotlight.line.is_empty()
            || !spotlight.kept.is_empty()
            || !spotlight.uncarried.is_empty();
        if concerns {
            self.open = Some((DecisionId::of(event), event.key, Mark::of(event)));
        }
        found
    }

    saved!();

    fn forget(&mut self, key: StreamKey) {
        self.keys.remove(&key);
    }

    fn finish(&mut self, _: &LogEnd) -> Vec<Violation> {
        self.close_decision(None).into_iter().collect()
    }

    fn checked(&self) -> u64 {
        self.checked
    }
}
