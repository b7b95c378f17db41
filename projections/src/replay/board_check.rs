//! I8: the sales board shows what the log says.

use domain::envelope::{Position, Recorded};
use domain::ids::EventId;
use domain::invariants::{Finding, Violation};
use domain::ports::{EventReader, PortError, SalesBoard};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::sales_board::{Rows, SpotlightRow, sum_totals};

/// Broadcasts and spotlights that are followed at once. Beyond it those that are over are compared
/// and forgotten, and what all spotlights of a broadcast sold together is compared no more.
pub const FOLLOWED_MAX: usize = 50_000;

/// Compares the rows of the sales board with the fold of the log, as far as the board's checkpoint
/// was when it began. A row that has moved on since is not compared.
pub struct BoardCheck<'a> {
    board: &'a dyn SalesBoard,
    reader: &'a dyn EventReader,
    known: Known,
}

/// What is known at a position.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Known {
    checkpoint: Position,
    /// Whether rows are followed, from their first event on.
    whole: bool,
    /// Whether all of them still are.
    all: bool,
    rows: Rows,
    checked: u64,
}

impl<'a> BoardCheck<'a> {
    /// Notes how far the board is.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn begin(
        board: &'a dyn SalesBoard,
        reader: &'a dyn EventReader,
        whole: bool,
    ) -> Result<Self, PortError> {
        let checkpoint = board.checkpoint().await?;
        let known = Known { checkpoint, whole, all: whole, rows: Rows::default(), checked: 0 };
        Ok(Self { board, reader, known })
    }

    /// The board shows more than the log has: the end of the log is gone.
    pub fn ahead_of(&self, head: Position) -> Option<Finding> {
        let at = self.known.checkpoint;
        let detail = format!("the sales board has applied position {at}, the log ends at {head}");
        (at > head).then(|| finding(at, EventId(Uuid::nil()), detail))
    }

    /// How many rows were compared.
    pub const fn checked(&self) -> u64 {
        self.known.checked
    }

    /// The rows that are followed.
    pub fn save(&self) -> Known {
        self.known.clone()
    }

    /// Goes on from what was saved: the board is compared as far as it was then. Without it nothing
    /// is followed, because the beginning was not seen.
    pub fn load(&mut self, saved: Option<Known>) {
        match saved {
            Some(known) => self.known = known,
            None => self.known.whole = false,
        }
    }

    /// Folds the next event.
    pub fn take(&mut self, event: &Recorded) {
        if self.known.whole && event.position <= self.known.checkpoint {
            self.known.rows.take_in(event);
        }
    }

    /// Compares and forgets what is over, where too much is followed.
    ///
    /// # Errors
    /// The sales board, or the store, cannot be reached.
    pub async fn make_room(&mut self) -> Result<Vec<Finding>, PortError> {
        if self.known.rows.count() <= FOLLOWED_MAX {
            return Ok(vec![]);
        }
        self.known.all = false;
        let over = self.known.rows.take_over();
        self.compare(over).await
    }

    /// Compares all that is left.
    ///
    /// # Errors
    /// The sales board, or the store, cannot be reached.
    pub async fn compare_rest(&mut self) -> Result<Vec<Finding>, PortError> {
        let rows = std::mem::take(&mut self.known.rows);
        let mut findings = if self.known.all { self.totals(&rows).await? } else { vec![] };
        findings.extend(self.compare(rows).await?);
        Ok(findings)
    }

    async fn compare(&mut self, rows: Rows) -> Result<Vec<Finding>, PortError> {
        let mut findings = vec![];
        for (id, meant) in rows.broadcasts {
            let shown = self.board.broadcast(id).await?;
            let at = meant.position;
            let what = format!("broadcast {id}");
            let shown = shown.as_ref().map(|view| (view.position, view));
            findings.extend(self.judge(&what, (at, &meant), shown).await?);
        }
        for (id, SpotlightRow { view: meant, .. }) in rows.spotlights {
            let shown = self.board.spotlight(id).await?;
            let at = meant.position;
            let what = format!("spotlight {id}");
            let shown = shown.as_ref().map(|view| (view.position, view));
            findings.extend(self.judge(&what, (at, &meant), shown).await?);
        }
        Ok(findings)
    }

    async fn judge<T: PartialEq>(
        &mut self,
        what: &str,
        (at, meant): (Position, &T),
        shown: Option<(Position, &T)>,
    ) -> Result<Option<Finding>, PortError> {
        self.known.checked += 1;
        let detail = match shown {
            None => format!("{what} is not on the sales board"),
            Some((position, _)) if position > at => return Ok(None),
            Some((position, _)) if position < at => format!("{what} stands at position {position}"),
            Some((_, shown)) if shown != meant => format!("{what} is not what the log has"),
            Some(_) => return Ok(None),
        };
        let before = Position(at.0.saturating_sub(1));
        let event = self.reader.read(before, 1).await?;
        let id = event.first().map_or(EventId(Uuid::nil()), |event| event.event_id);
        Ok(Some(finding(at, id, detail)))
    }

    /// What each broadcast has sold: it has no position of its own, so it is compared only where
    /// the board has stood still.
    async fn totals(&mut self, rows: &Rows) -> Result<Vec<Finding>, PortError> {
        let mut shown = vec![];
        for broadcast in rows.broadcasts.values() {
            shown.push((broadcast, self.board.totals(broadcast.id).await?));
        }
        let at = self.known.checkpoint;
        if self.board.checkpoint().await? != at {
            return Ok(vec![]);
        }
        let mut findings = vec![];
        for (broadcast, shown) in shown {
            self.known.checked += 1;
            let sold = rows.spotlights.values().filter(|row| row.view.broadcast_id == broadcast.id);
            let meant = sum_totals(broadcast.currency, sold.map(|row| row.totals.clone()));
            if shown.as_ref() != Some(&meant) {
                let detail =
                    format!("what broadcast {} sold is not what the log has", broadcast.id);
                findings.push(finding(at, EventId(Uuid::nil()), detail));
            }
        }
        Ok(findings)
    }
}

fn finding(position: Position, event_id: EventId, detail: String) -> Finding {
    Finding { invariant: "I8", violation: Violation { position, event_id, detail } }
}
