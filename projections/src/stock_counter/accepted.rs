//! Orders between their acceptance and their first event, in this process.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::Timestamp;
use domain::ids::OrderId;
use domain::ports::{AcceptedOrders, Clock, PortError};
use domain::views::AcceptedOrder;
use parking_lot::Mutex;

/// Accepted orders that [`MemoryAcceptedOrders`] keeps; the oldest go first.
pub const ACCEPTED_ORDERS_MAX: usize = 200_000;

#[derive(Default)]
struct Kept {
    orders: HashMap<OrderId, (Timestamp, AcceptedOrder)>,
    /// Every write, the oldest first; a write after the order was outlived makes an earlier one void.
    written: VecDeque<(Timestamp, OrderId)>,
}

impl Kept {
    fn forget_oldest(&mut self) {
        let Some((at, id)) = self.written.pop_front() else { return };
        if self.orders.get(&id).is_some_and(|(written, _)| *written == at) {
            self.orders.remove(&id);
        }
    }
}

/// Accepted orders in memory, bounded by number and by age.
pub struct MemoryAcceptedOrders {
    clock: Arc<dyn Clock>,
    max: usize,
    kept: Mutex<Kept>,
}

impl MemoryAcceptedOrders {
    /// Keeps at most [`ACCEPTED_ORDERS_MAX`] orders.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::bounded(clock, ACCEPTED_ORDERS_MAX)
    }

    /// Keeps at most `max` orders.
    pub fn bounded(clock: Arc<dyn Clock>, max: usize) -> Self {
        Self { clock, max, kept: Mutex::default() }
    }

    fn outlived(at: Timestamp, now: Timestamp) -> bool {
        let seconds = i64::try_from(<dyn AcceptedOrders>::KEPT_SECONDS).unwrap_or(i64::MAX);
        now - at >= TimeDelta::seconds(seconds)
    }
}

#[async_trait]
impl AcceptedOrders for MemoryAcceptedOrders {
    async fn put(&self, orders: &[AcceptedOrder]) -> Result<Vec<Option<AcceptedOrder>>, PortError> {
        let now = self.clock.now();
        let mut kept = self.kept.lock();
        let mut before = Vec::with_capacity(orders.len());
        for order in orders {
            let id = order.order.id;
            let known = kept.orders.get(&id).filter(|(at, _)| !Self::outlived(*at, now));
            let known = known.map(|(_, order)| order.clone());
            if known.is_none() {
                kept.orders.insert(id, (now, order.clone()));
                kept.written.push_back((now, id));
            }
            before.push(known);
        }
        while kept.written.len() > self.max
            || kept.written.front().is_some_and(|(at, _)| Self::outlived(*at, now))
        {
            kept.forget_oldest();
        }
        Ok(before)
    }

    async fn get(&self, order: OrderId) -> Result<Option<AcceptedOrder>, PortError> {
        let now = self.clock.now();
        let kept = self.kept.lock();
        let found = kept.orders.get(&order).filter(|(at, _)| !Self::outlived(*at, now));
        Ok(found.map(|(_, order)| order.clone()))
    }
}
