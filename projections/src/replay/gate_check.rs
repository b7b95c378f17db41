//! I7: the gate shows what the log says.

use std::collections::BTreeMap;

use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::gate::SnapshotFold;
use domain::ids::{EventId, Sku, SpotlightId};
use domain::invariants::{Finding, Violation};
use domain::ports::{EntryState, EventReader, GateSnapshot, GateView, PortError, StockGate};
use domain::spotlight::SpotlightEvent;
use uuid::Uuid;

use super::pages::Pages;

const PAGE_EVENTS: usize = 1_000;

/// Compares the gate of every spotlight that the log has not closed with the fold of the log as of
/// the gate's applied position. A gate may hold more than the log, because it takes before the log
/// decides, and never less; it sells nothing by itself.
pub struct GateCheck<'a> {
    gate: &'a dyn StockGate,
    reader: &'a dyn EventReader,
    open: BTreeMap<SpotlightId, EventId>,
    checked: u64,
}

impl<'a> GateCheck<'a> {
    pub const fn new(gate: &'a dyn StockGate, reader: &'a dyn EventReader) -> Self {
        Self { gate, reader, open: BTreeMap::new(), checked: 0 }
    }

    /// How many gates were compared.
    pub const fn checked(&self) -> u64 {
        self.checked
    }

    /// The spotlights that are followed.
    pub fn save(&self) -> BTreeMap<SpotlightId, EventId> {
        self.open.clone()
    }

    /// Goes on from what was saved.
    pub fn load(&mut self, saved: BTreeMap<SpotlightId, EventId>) {
        self.open = saved;
    }

    /// Follows which spotlights there are.
    pub fn take(&mut self, event: &Recorded) {
        follow(&mut self.open, event);
    }

    /// Compares them all. A gate that knows nothing is being rebuilt, or was never asked.
    ///
    /// # Errors
    /// The gate or the store cannot be reached.
    pub async fn compare(&mut self, settled: bool) -> Result<Vec<Finding>, PortError> {
        let mut findings = Vec::new();
        for (spotlight, scheduled) in std::mem::take(&mut self.open) {
            let Some(view) = self.gate.view(spotlight).await? else { continue };
            let (snapshot, event_id) = self.fold(spotlight, view.applied, scheduled).await?;
            self.checked += 1;
            let wrong = match snapshot {
                Some(snapshot) => differences(&snapshot, &view, settled),
                None => vec!["the gate has applied what the log does not hold".to_owned()],
            };
            findings.extend(wrong.into_iter().map(|detail| Finding {
                invariant: "I7",
                violation: Violation {
                    position: view.applied,
                    event_id,
                    detail: format!("spotlight {spotlight}: {detail}"),
                },
            }));
        }
        Ok(findings)
    }

    async fn fold(
        &self,
        spotlight: SpotlightId,
        up_to: Position,
        scheduled: EventId,
    ) -> Result<(Option<GateSnapshot>, EventId), PortError> {
        let mut fold = SnapshotFold::default();
        let (mut after, mut event_id) = (Position::START, scheduled);
        loop {
            let page = self.reader.read_key(spotlight.into(), after, PAGE_EVENTS).await?;
            let Some(last) = page.last() else { break };
            after = last.position;
            for event in page.iter().filter(|event| event.position <= up_to) {
                fold.apply(event);
                event_id = event.event_id;
            }
            if after >= up_to {
                break;
            }
        }
        let reached = fold.position() == up_to;
        Ok((
            fold.finish().filter(|_| reached),
            if reached { event_id } else { EventId(Uuid::nil()) },
        ))
    }
}

/// The spotlights that the log has not closed.
///
/// # Errors
/// The log cannot be read, or an event does not decode.
pub async fn open_spotlights(reader: &dyn EventReader) -> Result<Vec<SpotlightId>, PortError> {
    let mut open = BTreeMap::new();
    let mut pages = Pages::new(reader, None, reader.head().await?);
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(open.into_keys().collect());
        }
        for event in &page {
            follow(&mut open, event);
        }
    }
}

fn follow(open: &mut BTreeMap<SpotlightId, EventId>, event: &Recorded) {
    if let Event::Spotlight(fact) = &event.event {
        match fact {
            SpotlightEvent::SpotlightScheduled { .. } => {
                open.insert(fact.spotlight_id(), event.event_id);
            }
            SpotlightEvent::SpotlightClosed { .. } => {
                open.remove(&fact.spotlight_id());
            }
            _ => {}
        }
    }
}

/// What the gate of a spotlight shows otherwise than the log, in words; `None` where the gate knows
/// nothing of it: it is rebuilt when it is asked for.
///
/// # Errors
/// The gate or the store cannot be reached.
pub async fn gate_differences(
    gate: &dyn StockGate,
    reader: &dyn EventReader,
    spotlight: SpotlightId,
) -> Result<Option<Vec<String>>, PortError> {
    let Some(view) = gate.view(spotlight).await? else { return Ok(None) };
    let check = GateCheck::new(gate, reader);
    let (snapshot, _) = check.fold(spotlight, view.applied, EventId(Uuid::nil())).await?;
    Ok(Some(match snapshot {
        Some(snapshot) => differences(&snapshot, &view, false),
        None => vec!["the gate has applied what the log does not hold".to_owned()],
    }))
}

/// What the gate shows otherwise than the fold.
fn differences(log: &GateSnapshot, gate: &GateView, settled: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    if log.epoch != gate.epoch {
        wrong.push(format!("epoch {} of {}", gate.epoch, log.epoch));
    }
    if log.offer.offer != gate.offer.offer {
        wrong.push(format!(
            "offer version {} of {}",
            gate.offer.offer.version, log.offer.offer.version
        ));
    }
    let units = units_of(log);
    for (sku, limit) in &log.limits {
        let (held, sold) = units.get(sku).copied().unwrap_or_default();
        let Some(shown) = gate.inventory.get(sku) else {
            wrong.push(format!("{sku} is missing"));
            continue;
        };
        let pending = shown.held - held;
        let adds_up = shown.remaining + shown.held + shown.sold == shown.limited_quantity;
        if shown.limited_quantity != *limit || shown.sold != sold || !adds_up {
            wrong.push(format!(
                "{sku}: {} left, {} held and {} sold of {}; the log has {sold} sold of {limit}",
                shown.remaining, shown.held, shown.sold, shown.limited_quantity
            ));
        }
        if pending < 0 || (settled && pending > 0) {
            wrong.push(format!("{sku}: {} held, the log has {held}", shown.held));
        }
    }
    wrong
}

/// Units held and sold by the log.
fn units_of(log: &GateSnapshot) -> BTreeMap<Sku, (i64, i64)> {
    let mut units: BTreeMap<Sku, (i64, i64)> = BTreeMap::new();
    for order in &log.orders {
        for line in &order.lines {
            let (held, sold) = units.entry(line.sku.clone()).or_default();
            match order.state {
                EntryState::Held => *held += i64::from(line.quantity.get()),
                EntryState::Sold => *sold += i64::from(line.quantity.get()),
                EntryState::Pending | EntryState::Ended => {}
            }
        }
    }
    // what is kept for those who wait is nobody else's
    for (sku, kept) in &log.kept {
        units.entry(sku.clone()).or_default().0 += kept;
    }
    units
}
