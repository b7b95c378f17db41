//! I1: never more units than there are.

use super::fast::ById;
use super::{Invariant, LogEnd, Violation};
use crate::envelope::Recorded;
use crate::event::Event;
use crate::ids::{Sku, StreamKey};
use crate::ledger::{LedgerRow, for_each_ledger_change};
use crate::spotlight::SpotlightEvent;
use serde::{Deserialize, Serialize};

/// I1: after every event, for each SKU of the event's spotlight: `held ≥ 0`, `confirmed ≥ 0` and
/// `held + confirmed ≤ limit`, by [`for_each_ledger_change`], the definition that the writer's
/// ledger uses. A SKU that was never scheduled has the limit 0.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Stock {
    // a spotlight has a handful of SKUs: a list is searched faster than a map
    rows: ById<StreamKey, Vec<(Sku, LedgerRow)>>,
    checked: u64,
}

impl Invariant for Stock {
    fn id(&self) -> &'static str {
        "I1"
    }

    fn check(&mut self, event: &Recorded) -> Vec<Violation> {
        let mut found = Vec::new();
        if matches!(event.event, Event::Spotlight(SpotlightEvent::SpotlightScheduled { .. })) {
            self.rows.entry(event.key).or_default();
        } else if !matches!(
            event.event,
            Event::Reservation(_)
                | Event::Spotlight(
                    SpotlightEvent::StockAdjusted { .. }
                        | SpotlightEvent::AdmissionVoided { .. }
                        | SpotlightEvent::UnitsFreed { .. }
                )
        ) {
            return found;
        }
        let Some(rows) = self.rows.get_mut(&event.key) else { return found };
        self.checked += 1;
        for_each_ledger_change(&event.event, |change| {
            if StreamKey::from(change.spotlight) != event.key {
                let detail = format!("moves stock of {} under another key", change.spotlight);
                found.push(Violation::at(event, detail));
                return;
            }
            let row = row_of(rows, change.sku);
            row.limit = row.limit.saturating_add(change.limit);
            row.held = row.held.saturating_add(change.held);
            row.confirmed = row.confirmed.saturating_add(change.confirmed);
            if !row.is_sound() {
                let LedgerRow { limit, held, confirmed } = *row;
                let detail = format!(
                    "{}: {held} held and {confirmed} confirmed of a limit of {limit}",
                    change.sku
                );
                found.push(Violation::at(event, detail));
            }
        });
        found
    }

    saved!();

    fn forget(&mut self, key: StreamKey) {
        self.rows.remove(&key);
    }

    fn finish(&mut self, _: &LogEnd) -> Vec<Violation> {
        vec![]
    }

    fn checked(&self) -> u64 {
        self.checked
    }
}

fn row_of<'a>(rows: &'a mut Vec<(Sku, LedgerRow)>, sku: &Sku) -> &'a mut LedgerRow {
    let index = rows.iter().position(|(known, _)| known == sku).unwrap_or(rows.len());
    if index == rows.len() {
        rows.push((sku.clone(), LedgerRow::default()));
    }
    rows.get_mut(index).map_or_else(|| unreachable!(), |(_, row)| row)
}
