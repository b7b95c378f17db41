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

fn outlived(at: Timestamp, now: Timestamp) -> bool {
    let seconds = i64::try_from(<dyn AcceptedOrders>::KEPT_SECONDS).unwrap_or(i64::MAX);
    now - at >= TimeDelta::seconds(seconds)
}

impl Kept {
    fn read(&self, order: OrderId, now: Timestamp) -> Option<AcceptedOrder> {
        let found = self.orders.get(&order).filter(|(at, _)| !outlived(*at, now));
        found.map(|(_, order)| order.clone())
    }

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
}

#[async_trait]
impl AcceptedOrders for MemoryAcceptedOrders {
    async fn put(&self, orders: &[AcceptedOrder]) -> Result<Vec<Option<AcceptedOrder>>, PortError> {
        let now = self.clock.now();
        let mut kept = self.kept.lock();
        let mut before = Vec::with_capacity(orders.len());
        for order in orders {
            let id = order.order.id;
            let known = kept.read(id, now);
            if known.is_none() {
                kept.orders.insert(id, (now, order.clone()));
                kept.written.push_back((now, id));
            }
            before.push(known);
        }
        while kept.written.len() > self.max
            || kept.written.front().is_some_and(|(at, _)| outlived(*at, now))
        {
            kept.forget_oldest();
        }
        Ok(before)
    }

    async fn get(&self, order: OrderId) -> Result<Option<AcceptedOrder>, PortError> {
        Ok(self.kept.lock().read(order, self.clock.now()))
    }

    async fn get_all(&self, orders: &[OrderId]) -> Result<Vec<Option<AcceptedOrder>>, PortError> {
        let now = self.clock.now();
        let kept = self.kept.lock();
        Ok(orders.iter().map(|order| kept.read(*order, now)).collect())
    }
}
