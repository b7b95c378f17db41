//! I2: every accepted order ends.

use super::fast::ById;
use super::{Invariant, LogEnd, Mark, Violation};
use crate::envelope::Recorded;
use crate::event::Event;
use crate::ids::{OrderId, StreamKey};
use crate::order::OrderEvent;
use crate::spotlight::SpotlightEvent;
use serde::{Deserialize, Serialize};

/// I2: an order is accepted once; it ends (`OrderConfirmed`, `OrderFailed` or `OrderCancelled`) only
/// after that and at most once at every prefix; in a settled log every accepted order has ended.
/// A refund is no second end: a refunded order was confirmed, or had ended unsold.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Ends {
    keys: ById<StreamKey, ById<OrderId, Progress>>,
    checked: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Progress {
    Accepted(Mark),
    Ended(Outcome),
}

/// How an order ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Outcome {
    Confirmed,
    Failed,
    Cancelled,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        })
    }
}

impl Invariant for Ends {
    fn id(&self) -> &'static str {
        "I2"
    }

    fn check(&mut self, event: &Recorded) -> Vec<Violation> {
        let order = match &event.event {
            Event::Order(order) => order,
            Event::Spotlight(SpotlightEvent::SpotlightScheduled { .. }) => {
                self.keys.entry(event.key).or_default();
                return vec![];
            }
            _ => return vec![],
        };
        let Some(orders) = self.keys.get_mut(&event.key) else { return vec![] };
        let id = order.order_id();
        let end = match order {
            OrderEvent::OrderAccepted { .. } => {
                self.checked += 1;
                let before = orders.insert(id, Progress::Accepted(Mark::of(event)));
                return match before {
                    None => vec![],
                    Some(_) => vec![Violation::at(event, format!("order {id} is accepted again"))],
                };
            }
            OrderEvent::OrderConfirmed { .. } => Outcome::Confirmed,
            OrderEvent::OrderFailed { .. } => Outcome::Failed,
            OrderEvent::OrderCancelled { .. } => Outcome::Cancelled,
            _ => return vec![],
        };
        self.checked += 1;
        match orders.insert(id, Progress::Ended(end)) {
            Some(Progress::Accepted(_)) => vec![],
            Some(Progress::Ended(first)) => {
                vec![Violation::at(event, format!("order {id} is {first} and then {end}"))]
            }
            None => {
                vec![Violation::at(event, format!("order {id} is {end} and was never accepted"))]
            }
        }
    }

    saved!();

    fn forget(&mut self, key: StreamKey) {
        self.keys.remove(&key);
    }

    fn finish(&mut self, end: &LogEnd) -> Vec<Violation> {
        if !end.settled {
            return vec![];
        }
        let mut found: Vec<Violation> = self
            .keys
            .values()
            .flatten()
            .filter_map(|(order, progress)| match progress {
                Progress::Accepted(mark) => {
                    Some(mark.violation(format!("order {order} was accepted and never ended")))
                }
                Progress::Ended(_) => None,
            })
            .collect();
        found.sort_by_key(|violation| violation.position);
        found
    }

    fn checked(&self) -> u64 {
        self.checked
    }
}
