//! I8: the order book shows what the log says.

use std::collections::HashMap;

use domain::envelope::{Position, Recorded};
use domain::ids::{EventId, OrderId};
use domain::invariants::{Finding, Violation};
use domain::ports::{OrderBook, PortError};
use domain::views::OrderView;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::order_book::{fold, order_of, payment_is_open};

/// Compares rows of the order book with the fold of the log, as far as the book's checkpoint was
/// when it began. An order is compared as soon as nothing more is expected of it, and then
/// forgotten; a row that has moved on since is compared no more.
pub struct OrdersCheck<'a> {
    book: &'a dyn OrderBook,
    checkpoint: Position,
    /// Whether orders were seen from their first event on.
    whole: bool,
    open: HashMap<OrderId, (OrderView, EventId)>,
    /// Orders that ended: they are compared after the slice that they ended in.
    settled: Vec<OrderId>,
    checked: u64,
}

/// What is known of the orders at a position.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedOrders {
    checkpoint: Position,
    whole: bool,
    checked: u64,
    open: Box<RawValue>,
    settled: Vec<OrderId>,
}

impl<'a> OrdersCheck<'a> {
    /// Notes how far the book is.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn begin(book: &'a dyn OrderBook, whole: bool) -> Result<Self, PortError> {
        let checkpoint = book.checkpoint().await?;
        let (open, settled) = (HashMap::new(), vec![]);
        Ok(Self { book, checkpoint, whole, open, settled, checked: 0 })
    }

    /// The book shows more than the log has: the end of the log is gone.
    pub fn ahead_of(&self, head: Position) -> Option<Finding> {
        let (position, event_id) = (self.checkpoint, EventId(Uuid::nil()));
        let detail =
            format!("the order book has applied position {position}, the log ends at {head}");
        let violation = Violation { position, event_id, detail };
        (position > head).then_some(Finding { invariant: "I8", violation })
    }

    /// Whether orders were seen from their first event on; no row is compared without.
    pub const fn is_whole(&self) -> bool {
        self.whole
    }

    /// How many rows were compared.
    pub const fn checked(&self) -> u64 {
        self.checked
    }

    /// The orders that are followed.
    ///
    /// # Errors
    /// None that can be met.
    pub fn save(&self) -> Result<SavedOrders, serde_json::Error> {
        Ok(SavedOrders {
            checkpoint: self.checkpoint,
            whole: self.whole,
            checked: self.checked,
            open: serde_json::value::to_raw_value(&self.open)?,
            settled: self.settled.clone(),
        })
    }

    /// Goes on from what was saved: the book is compared as far as it was then.
    ///
    /// # Errors
    /// Another release saved it.
    pub fn load(&mut self, saved: SavedOrders) -> Result<(), serde_json::Error> {
        self.open = serde_json::from_str(saved.open.get())?;
        (self.checkpoint, self.whole) = (saved.checkpoint, saved.whole);
        (self.checked, self.settled) = (saved.checked, saved.settled);
        Ok(())
    }

    /// Folds the next event.
    pub fn take(&mut self, event: &Recorded) {
        let Some(order) = order_of(&event.event).filter(|_| self.whole) else { return };
        if event.position > self.checkpoint {
            return;
        }
        let current = self.open.remove(&order).map(|(view, _)| view);
        let Some(view) = fold(current, event) else { return };
        let done =
            view.status.is_final() && view.hold_expires_at.is_none() && !payment_is_open(&view);
        self.open.insert(order, (view, event.event_id));
        if done {
            self.settled.push(order);
        }
    }

    /// Compares the orders that have ended.
    ///
    /// # Errors
    /// The order book cannot be reached.
    pub async fn compare_settled(&mut self) -> Result<Vec<Finding>, PortError> {
        let settled = std::mem::take(&mut self.settled);
        self.compare(settled).await
    }

    /// Compares all that is left.
    ///
    /// # Errors
    /// The order book cannot be reached.
    pub async fn compare_rest(&mut self) -> Result<Vec<Finding>, PortError> {
        let mut rest: Vec<OrderId> = self.open.keys().copied().collect();
        rest.sort_unstable();
        self.compare(rest).await
    }

    async fn compare(&mut self, orders: Vec<OrderId>) -> Result<Vec<Finding>, PortError> {
        let mut findings = Vec::new();
        for order in orders {
            let Some((view, event_id)) = self.open.remove(&order) else { continue };
            let row = self.book.order(order).await?;
            self.checked += 1;
            if let Some(detail) = difference(&view, row.as_ref()) {
                let violation = Violation { position: view.position, event_id, detail };
                findings.push(Finding { invariant: "I8", violation });
            }
        }
        Ok(findings)
    }
}

fn difference(fold: &OrderView, row: Option<&OrderView>) -> Option<String> {
    let id = fold.id;
    let Some(row) = row else { return Some(format!("order {id} is not in the order book")) };
    if row.position > fold.position {
        return None;
    }
    if row.position < fold.position {
        return Some(format!("order {id} stands at position {}", row.position));
    }
    (row != fold).then(|| {
        let (shown, meant) = (row.status.as_str(), fold.status.as_str());
        format!(
            "order {id} is {shown}, version {}; the log has {meant}, {}",
            row.version, fold.version
        )
    })
}
