//! When a key can be forgotten.

use std::collections::VecDeque;

use super::fast::ById;
use crate::broadcast::BroadcastEvent;
use crate::envelope::{Position, Recorded};
use crate::event::Event;
use crate::ids::StreamKey;
use crate::order::OrderEvent;
use crate::reservation::ReservationEvent;
use crate::spotlight::SpotlightEvent;
use serde::{Deserialize, Serialize};

/// Follows which keys are closed and have nothing open.
#[derive(Debug, Serialize, Deserialize)]
pub struct Retirement {
    grace: u64,
    keys: ById<StreamKey, Life>,
    /// Keys that were closed and empty, with the position of then, oldest first.
    candidates: VecDeque<(Position, StreamKey)>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Life {
    closed: bool,
    /// Orders, reservations, payment attempts and refunds that have begun and not ended.
    open: i64,
    last: Position,
}

impl Retirement {
    pub fn new(grace: u64) -> Self {
        Self { grace, keys: ById::default(), candidates: VecDeque::new() }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Takes an event in; at most one key is retired per event, which keeps the work constant and
    /// is enough, because an event makes at most one candidate.
    pub fn note(&mut self, event: &Recorded) -> Option<StreamKey> {
        let life = self.keys.entry(event.key).or_default();
        life.last = event.position;
        life.open += opened_by(&event.event);
        life.closed |= closes(&event.event);
        if life.closed && life.open <= 0 {
            self.candidates.push_back((event.position, event.key));
        }
        let (position, key) = *self.candidates.front()?;
        if event.position.0.saturating_sub(position.0) < self.grace {
            return None;
        }
        self.candidates.pop_front();
        let idle = self.keys.get(&key).is_some_and(|life| life.last == position);
        if !idle {
            return None;
        }
        self.keys.remove(&key);
        Some(key)
    }
}

fn closes(event: &Event) -> bool {
    matches!(
        event,
        Event::Broadcast(BroadcastEvent::BroadcastEnded { .. })
            | Event::Spotlight(SpotlightEvent::SpotlightClosed { .. })
    )
}

fn opened_by(event: &Event) -> i64 {
    match event {
        Event::Reservation(ReservationEvent::StockReserved { .. })
        | Event::Order(
            OrderEvent::OrderAccepted { .. }
            | OrderEvent::PaymentRequested { .. }
            | OrderEvent::RefundRequested { .. },
        ) => 1,
        Event::Reservation(_)
        | Event::Order(
            OrderEvent::OrderConfirmed { .. }
            | OrderEvent::OrderFailed { .. }
            | OrderEvent::OrderCancelled { .. }
            | OrderEvent::PaymentCaptured { .. }
            | OrderEvent::PaymentDeclined { .. }
            | OrderEvent::PaymentVoided { .. }
            | OrderEvent::CaptureFailed { .. }
            | OrderEvent::OrderRefunded { .. },
        ) => -1,
        _ => 0,
    }
}
