//! The order book in memory: for tests and the simulator.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::ids::OrderId;
use domain::ports::{OrderBook, OrderQuery, Page, PortError};
use domain::views::OrderView;
use parking_lot::Mutex;

use super::NAME;
use super::fold::{fold, hold_to_expire, order_of, payment_is_open};
use super::rows::key;
use crate::read_model::{Cursor, after_checkpoint, due_limit, micros, page_limit, page_of};

/// The order book in memory; the same events always give the same answers.
#[derive(Debug, Default)]
pub struct MemoryOrderBook {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    checkpoint: Position,
    rows: BTreeMap<OrderId, OrderView>,
    by_time: BTreeSet<Cursor>,
    holds: BTreeSet<Cursor>,
    open_payments: BTreeSet<OrderId>,
}

impl State {
    fn take_in(&mut self, recorded: &Recorded) {
        let Some(order) = order_of(&recorded.event) else { return };
        let current = self.rows.remove(&order);
        if let Some(view) = &current {
            if let Some(deadline) = hold_to_expire(view) {
                self.holds.remove(&Cursor::new(deadline, order.0));
            }
            self.open_payments.remove(&order);
        }
        let Some(view) = fold(current, recorded) else { return };
        self.by_time.insert(key(&view));
        if let Some(deadline) = hold_to_expire(&view) {
            self.holds.insert(Cursor::new(deadline, order.0));
        }
        if payment_is_open(&view) {
            self.open_payments.insert(order);
        }
        self.rows.insert(order, view);
    }

    fn row(&self, key: &Cursor) -> Option<&OrderView> {
        self.rows.get(&OrderId(key.id))
    }
}

fn matches(query: &OrderQuery, view: &OrderView) -> bool {
    view.seller == query.seller
        && query.viewer.as_ref().is_none_or(|viewer| view.viewer_ref == *viewer)
        && query.spotlight.is_none_or(|spotlight| view.spotlight_id == spotlight)
        && query.status.is_none_or(|status| view.status == status)
        && query.since.is_none_or(|since| micros(view.accepted_at) >= micros(since))
}

#[async_trait]
impl OrderBook for MemoryOrderBook {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        Ok(self.state.lock().checkpoint)
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        let mut state = self.state.lock();
        for recorded in after_checkpoint(NAME, state.checkpoint, events)? {
            state.take_in(recorded);
            state.checkpoint = recorded.position;
        }
        Ok(state.checkpoint)
    }

    async fn order(&self, order: OrderId) -> Result<Option<OrderView>, PortError> {
        Ok(self.state.lock().rows.get(&order).cloned())
    }

    async fn orders(&self, query: &OrderQuery) -> Result<Page<OrderView>, PortError> {
        let cursor = Cursor::decode_optional(query.cursor.as_deref())?;
        let limit = page_limit(query.limit);
        let state = self.state.lock();
        let found = state
            .by_time
            .iter()
            .rev()
            .skip_while(|key| cursor.is_some_and(|cursor| **key >= cursor))
            .filter_map(|key| state.row(key))
            .filter(|view| matches(query, view))
            .take(limit + 1)
            .cloned()
            .collect();
        Ok(page_of(found, limit, key))
    }

    async fn due_holds(&self, now: Timestamp, limit: usize) -> Result<Vec<OrderView>, PortError> {
        let state = self.state.lock();
        Ok(state
            .holds
            .iter()
            .take_while(|hold| hold.micros <= micros(now))
            .take(due_limit(limit))
            .filter_map(|hold| state.row(hold))
            .cloned()
            .collect())
    }

    async fn open_payments(
        &self,
        after: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<OrderView>, PortError> {
        let state = self.state.lock();
        Ok(state
            .open_payments
            .iter()
            .skip_while(|order| after.is_some_and(|after| **order <= after))
            .take(due_limit(limit))
            .filter_map(|order| state.rows.get(order))
            .cloned()
            .collect())
    }
}
