//! The fold of what was refused.

use domain::Timestamp;
use domain::demand::Observed;
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{Sku, SpotlightId, derive_id};
use domain::spotlight::SpotlightEvent;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::NAME;
use crate::key_table::Fold;

/// What of one SKU of a spotlight was asked for and refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemandRow {
    /// Which spotlight.
    pub spotlight_id: SpotlightId,
    /// All of it.
    #[serde(flatten)]
    pub observed: Observed,
    /// In which second it was refused first.
    pub first_second: Timestamp,
    /// And last.
    pub last_second: Timestamp,
}

/// The fold by spotlight and SKU.
#[derive(Debug)]
pub struct DemandFold;

impl DemandFold {
    /// The key of a row.
    pub fn key_of(spotlight: SpotlightId, sku: &Sku) -> Uuid {
        derive_id(NAME, &[spotlight.0.as_bytes(), sku.as_str().as_bytes()])
    }
}

fn fact(recorded: &Recorded) -> Option<(SpotlightId, Timestamp, &Observed)> {
    match &recorded.event {
        Event::Spotlight(SpotlightEvent::DemandObserved {
            spotlight_id, second, observed, ..
        }) => Some((*spotlight_id, *second, observed)),
        _ => None,
    }
}

impl Fold for DemandFold {
    const NAME: &'static str = NAME;
    const VERSION: i32 = 1;
    const EVENTS: &'static [&'static str] = &["DemandObserved"];
    type Row = DemandRow;

    fn key(recorded: &Recorded) -> Option<Uuid> {
        fact(recorded).map(|(spotlight, _, observed)| Self::key_of(spotlight, &observed.sku))
    }

    fn fold(row: Option<DemandRow>, recorded: &Recorded) -> Option<DemandRow> {
        let Some((spotlight_id, second, observed)) = fact(recorded) else { return row };
        let Some(mut row) = row else {
            let observed = observed.clone();
            let (first_second, last_second) = (second, second);
            return Some(DemandRow { spotlight_id, observed, first_second, last_second });
        };
        let all = &mut row.observed;
        all.requests = all.requests.saturating_add(observed.requests);
        all.units = all.units.saturating_add(observed.units);
        all.viewers.merge(&observed.viewers);
        row.first_second = row.first_second.min(second);
        row.last_second = row.last_second.max(second);
        Some(row)
    }

    fn spotlight(row: &DemandRow) -> SpotlightId {
        row.spotlight_id
    }

    fn place(_: &DemandRow) -> Option<Position> {
        None
    }
}
