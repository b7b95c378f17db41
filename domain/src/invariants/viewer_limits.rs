//! I4: no viewer gets more than the limit.

use super::fast::ById;
use super::{Invariant, LogEnd, Violation};
use crate::envelope::Recorded;
use crate::event::Event;
use crate::ids::{StreamKey, ViewerRef};
use crate::ledger::units_change;
use crate::spotlight::SpotlightEvent;
use serde::{Deserialize, Serialize};

/// I4: after every event, the units that the event's viewer holds and has bought in a spotlight
/// with a per-viewer limit are between 0 and the limit.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ViewerLimits {
    keys: ById<StreamKey, Spotlight>,
    checked: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Spotlight {
    limit: i64,
    units: ById<ViewerRef, i64>,
}

impl Invariant for ViewerLimits {
    fn id(&self) -> &'static str {
        "I4"
    }

    fn check(&mut self, event: &Recorded) -> Vec<Violation> {
        if let Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms }) = &event.event {
            if let Some(limit) = terms.per_viewer_limit {
                let spotlight = Spotlight { limit: i64::from(limit), units: ById::default() };
                self.keys.insert(event.key, spotlight);
            }
            return vec![];
        }
        let Some((viewer, change)) = units_change(&event.event) else { return vec![] };
        let Some(spotlight) = self.keys.get_mut(&event.key) else { return vec![] };
        self.checked += 1;
        let units = spotlight.units.get(viewer).copied().unwrap_or(0).saturating_add(change);
        if units == 0 {
            spotlight.units.remove(viewer);
        } else if let Some(known) = spotlight.units.get_mut(viewer) {
            *known = units;
        } else {
            spotlight.units.insert(viewer.clone(), units);
        }
        if (0..=spotlight.limit).contains(&units) {
            return vec![];
        }
        let limit = spotlight.limit;
        vec![Violation::at(
            event,
            format!("viewer {viewer} has {units} units, the limit is {limit}"),
        )]
    }

    saved!();

    fn forget(&mut self, key: StreamKey) {
        self.keys.remove(&key);
    }

    fn finish(&mut self, _: &LogEnd) -> Vec<Violation> {
        vec![]
    }

    fn checked(&self) -> u64 {
        self.checked
    }
}
