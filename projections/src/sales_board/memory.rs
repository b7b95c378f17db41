//! The sales board in memory: for tests and the simulator.

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::ids::{BroadcastId, SellerId, SpotlightId};
use domain::ports::{Page, PortError, SalesBoard, SalesTotals};
use domain::views::{BroadcastView, SpotlightView};
use parking_lot::Mutex;

use super::fold::sum_totals;
use super::rows::{Rows, due_at};
use super::{NAME, broadcast_key, spotlight_key};
use crate::read_model::{Cursor, after_checkpoint, due_limit, micros, page_limit, page_of};

/// The sales board in memory; the same events always give the same answers.
#[derive(Debug, Default)]
pub struct MemorySalesBoard {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    checkpoint: Position,
    rows: Rows,
}

/// The page of `views` after the cursor, newest first.
fn page<'a, T: Clone + 'a>(
    views: impl Iterator<Item = &'a T>,
    key: fn(&T) -> Cursor,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<T>, PortError> {
    let cursor = Cursor::decode_optional(cursor)?;
    let limit = page_limit(limit);
    let mut found: Vec<&T> =
        views.filter(|view| cursor.is_none_or(|cursor| key(view) < cursor)).collect();
    found.sort_by_key(|view| std::cmp::Reverse(key(view)));
    Ok(page_of(found.into_iter().take(limit + 1).cloned().collect(), limit, key))
}

#[async_trait]
impl SalesBoard for MemorySalesBoard {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        Ok(self.state.lock().checkpoint)
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        let mut state = self.state.lock();
        for recorded in after_checkpoint(NAME, state.checkpoint, events)? {
            state.rows.take_in(recorded);
            state.checkpoint = recorded.position;
        }
        Ok(state.checkpoint)
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<BroadcastView>, PortError> {
        Ok(self.state.lock().rows.broadcasts.get(&id).cloned())
    }

    async fn broadcasts(
        &self,
        seller: &SellerId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<BroadcastView>, PortError> {
        let state = self.state.lock();
        let views = state.rows.broadcasts.values().filter(|view| view.seller == *seller);
        page(views, broadcast_key, cursor, limit)
    }

    async fn spotlight(&self, id: SpotlightId) -> Result<Option<SpotlightView>, PortError> {
        Ok(self.state.lock().rows.spotlights.get(&id).map(|row| row.view.clone()))
    }

    async fn spotlights(
        &self,
        broadcast: BroadcastId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<SpotlightView>, PortError> {
        let state = self.state.lock();
        let rows = state.rows.spotlights.values().map(|row| &row.view);
        page(rows.filter(|view| view.broadcast_id == broadcast), spotlight_key, cursor, limit)
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<SpotlightView>, PortError> {
        let state = self.state.lock();
        let mut due: Vec<(i64, &SpotlightView)> = state
            .rows
            .spotlights
            .values()
            .filter_map(|row| {
                let broadcast = state.rows.broadcasts.get(&row.view.broadcast_id);
                due_at(&row.view, broadcast).map(|at| (micros(at), &row.view))
            })
            .filter(|(at, _)| *at <= micros(now))
            .collect();
        due.sort_by_key(|(at, view)| (*at, view.id));
        Ok(due.into_iter().take(due_limit(limit)).map(|(_, view)| view.clone()).collect())
    }

    async fn withdrawing(&self, limit: usize) -> Result<Vec<SpotlightView>, PortError> {
        let state = self.state.lock();
        let views = state.rows.spotlights.values().map(|row| &row.view);
        let open = views.filter(|view| view.withdrawal.is_some_and(|withdrawal| withdrawal.open));
        Ok(open.take(due_limit(limit)).cloned().collect())
    }

    async fn totals(&self, broadcast: BroadcastId) -> Result<Option<SalesTotals>, PortError> {
        let state = self.state.lock();
        let Some(view) = state.rows.broadcasts.get(&broadcast) else { return Ok(None) };
        let rows = state.rows.spotlights.values();
        let sold = rows.filter(|row| row.view.broadcast_id == broadcast);
        Ok(Some(sum_totals(view.currency, sold.map(|row| row.totals.clone()))))
    }
}
