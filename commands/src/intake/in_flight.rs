//! Orders that this node has in hand: two requests with the same key do not race each other.

use std::collections::HashSet;

use domain::ids::OrderId;
use parking_lot::Mutex;

use super::{IN_FLIGHT_MAX, PlaceRefusal};

/// The orders in hand, at most [`IN_FLIGHT_MAX`].
#[derive(Debug, Default)]
pub(super) struct InFlight {
    orders: Mutex<HashSet<OrderId>>,
}

/// An order in hand, until this is dropped.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    orders: &'a Mutex<HashSet<OrderId>>,
    order: OrderId,
}

impl InFlight {
    pub(super) fn enter(&self, order: OrderId) -> Result<Slot<'_>, PlaceRefusal> {
        let mut orders = self.orders.lock();
        if orders.contains(&order) {
            return Err(PlaceRefusal::InFlight);
        }
        if orders.len() >= IN_FLIGHT_MAX {
            return Err(PlaceRefusal::StockUnavailable);
        }
        orders.insert(order);
        Ok(Slot { orders: &self.orders, order })
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.orders.lock().remove(&self.order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn order(number: usize) -> OrderId {
        OrderId(Uuid::from_u128(u128::try_from(number).unwrap()))
    }

    #[test]
    fn one_at_a_time_for_each_order() {
        let in_flight = InFlight::default();
        let slot = in_flight.enter(order(1)).expect("free");
        assert_eq!(in_flight.enter(order(1)).err(), Some(PlaceRefusal::InFlight));
        assert!(in_flight.enter(order(2)).is_ok());
        drop(slot);
        assert!(in_flight.enter(order(1)).is_ok());
    }

    #[test]
    fn the_number_in_hand_is_bounded() {
        let in_flight = InFlight::default();
        let mut slots: Vec<_> = (0..IN_FLIGHT_MAX)
            .map(|number| in_flight.enter(order(number)).expect("fits"))
            .collect();
        let one_more = in_flight.enter(order(IN_FLIGHT_MAX));
        assert_eq!(one_more.err(), Some(PlaceRefusal::StockUnavailable));
        slots.pop();
        assert!(in_flight.enter(order(IN_FLIGHT_MAX)).is_ok());
    }
}
