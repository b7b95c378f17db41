//! The rows of the sales board, and the one way in which events change them.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::broadcast::BroadcastStatus;
use domain::envelope::Recorded;
use domain::ids::{BroadcastId, SpotlightId};
use domain::ports::SalesTotals;
use domain::spotlight::SpotlightStatus;
use domain::views::{BroadcastView, SpotlightView};
use serde::{Deserialize, Serialize};

use super::fold::{broadcast_of, fold_broadcast, fold_spotlight, fold_totals, spotlight_of};

/// One row of a spotlight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpotlightRow {
    /// What readers see.
    pub view: SpotlightView,
    /// What it has sold.
    pub totals: SalesTotals,
}

/// Takes an event into a spotlight's row.
pub fn fold_row(current: Option<SpotlightRow>, recorded: &Recorded) -> Option<SpotlightRow> {
    let (view, totals) = current.map(|row| (row.view, row.totals)).unzip();
    let view = fold_spotlight(view, recorded)?;
    let totals = fold_totals(totals, recorded)?;
    Some(SpotlightRow { view, totals })
}

/// Rows by id: all of them in memory, those that a batch touches in a database.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Rows {
    /// Broadcasts.
    pub broadcasts: BTreeMap<BroadcastId, BroadcastView>,
    /// Spotlights.
    pub spotlights: BTreeMap<SpotlightId, SpotlightRow>,
}

impl Rows {
    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.broadcasts.len() + self.spotlights.len()
    }

    /// Those of what is over; the others stay.
    #[must_use]
    pub fn take_over(&mut self) -> Self {
        let broadcasts =
            self.broadcasts.extract_if(.., |_, it| it.status == BroadcastStatus::Ended);
        let closed = |row: &SpotlightRow| row.view.status == SpotlightStatus::Closed;
        let spotlights = self.spotlights.extract_if(.., |_, row| closed(row));
        Self { broadcasts: broadcasts.collect(), spotlights: spotlights.collect() }
    }

    /// Takes an event in.
    pub fn take_in(&mut self, recorded: &Recorded) {
        if let Some(id) = broadcast_of(&recorded.event)
            && let Some(view) = fold_broadcast(self.broadcasts.remove(&id), recorded)
        {
            self.broadcasts.insert(id, view);
        }
        if let Some(id) = spotlight_of(recorded)
            && let Some(row) = fold_row(self.spotlights.remove(&id), recorded)
        {
            self.spotlights.insert(id, row);
        }
    }
}

/// Since when something is to be done about a spotlight; `None` where nothing is, whatever the
/// time.
pub fn due_at(view: &SpotlightView, broadcast: Option<&BroadcastView>) -> Option<Timestamp> {
    let stage = broadcast.map(|broadcast| broadcast.status);
    match (view.status, stage) {
        (SpotlightStatus::Closed, _) => None,
        (_, Some(BroadcastStatus::Ended)) => broadcast.and_then(|broadcast| broadcast.ended_at),
        (SpotlightStatus::Scheduled, Some(BroadcastStatus::Live)) => view.opens_at,
        (SpotlightStatus::Scheduled, _) => None,
        (SpotlightStatus::Open | SpotlightStatus::Paused, _) => view.closes_at,
    }
}
