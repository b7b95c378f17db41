//! I3: a hold ends once, with the units that it began with.

use super::fast::ById;
use super::{Invariant, LogEnd, Mark, Violation};
use crate::envelope::Recorded;
use crate::event::Event;
use crate::ids::{OrderId, StreamKey, ViewerRef};
use crate::line::Lines;
use crate::reservation::ReservationEvent;
use crate::spotlight::SpotlightEvent;
use serde::{Deserialize, Serialize};

/// I3: sequence 1 of a reservation is `StockReserved` and there is no other; an order has a second
/// reservation only after its first one was released, of the same viewer and the same lines;
/// sequence 2 is its one end, `ReservationConfirmed` or `ReservationReleased`, of the same viewer and the same lines; per
/// spotlight `reserved = confirmed + released + held` in units after every event; in a settled log
/// nothing is held.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Holds {
    keys: ById<StreamKey, Spotlight>,
    checked: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Spotlight {
    reservations: ById<OrderId, Progress>,
    /// Second reservations: the payment came after the hold.
    again: ById<OrderId, Progress>,
    reserved: i64,
    confirmed: i64,
    released: i64,
    held: i64,
}

#[derive(Debug, Serialize, Deserialize)]
enum Progress {
    Held {
        mark: Mark,
        viewer: ViewerRef,
        lines: Lines,
    },
    /// What was released, and may be taken again.
    Released {
        viewer: ViewerRef,
        lines: Lines,
    },
    Ended,
}

impl Spotlight {
    /// The reservations among which the event's stands.
    fn of(&mut self, event: &Recorded) -> &mut ById<OrderId, Progress> {
        if event.stream.is_again() { &mut self.again } else { &mut self.reservations }
    }

    fn reserve(
        &mut self,
        event: &Recorded,
        order: OrderId,
        fact: &ReservationEvent,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        if event.sequence != 1 {
            wrong.push(format!("StockReserved of {order} has the sequence {}", event.sequence));
        }
        let progress = Progress::Held {
            mark: Mark::of(event),
            viewer: fact.viewer_ref().clone(),
            lines: fact.lines().clone(),
        };
        let units = i64::from(fact.lines().units());
        self.reserved += units;
        self.held += units;
        if event.stream.is_again() {
            match self.reservations.get(&order) {
                Some(Progress::Released { viewer, lines })
                    if viewer == fact.viewer_ref() && lines == fact.lines() => {}
                _ => wrong.push(format!("order {order} takes again what it did not give back")),
            }
        }
        if self.of(event).insert(order, progress).is_some() {
            wrong.push(format!("order {order} reserves again"));
        }
        wrong
    }

    fn end(&mut self, event: &Recorded, order: OrderId, fact: &ReservationEvent) -> Vec<String> {
        let mut wrong = Vec::new();
        if event.sequence != 2 {
            wrong.push(format!("the end of {order} has the sequence {}", event.sequence));
        }
        let released = matches!(fact, ReservationEvent::ReservationReleased { .. });
        match self.of(event).insert(order, Progress::Ended) {
            Some(Progress::Held { viewer, lines, .. }) => {
                self.held -= i64::from(lines.units());
                if viewer != *fact.viewer_ref() || lines != *fact.lines() {
                    wrong.push(format!("the end of {order} is not of what it reserved"));
                }
                if released {
                    self.of(event).insert(order, Progress::Released { viewer, lines });
                }
            }
            Some(Progress::Ended | Progress::Released { .. }) => {
                wrong.push(format!("the reservation of {order} ends twice"));
            }
            None => wrong.push(format!("the reservation of {order} ends and never began")),
        }
        let units = i64::from(fact.lines().units());
        if matches!(fact, ReservationEvent::ReservationConfirmed { .. }) {
            self.confirmed += units;
        } else {
            self.released += units;
        }
        wrong
    }
}

impl Invariant for Holds {
    fn id(&self) -> &'static str {
        "I3"
    }

    fn check(&mut self, event: &Recorded) -> Vec<Violation> {
        let fact = match &event.event {
            Event::Reservation(fact) => fact,
            Event::Spotlight(SpotlightEvent::SpotlightScheduled { .. }) => {
                self.keys.entry(event.key).or_default();
                return vec![];
            }
            _ => return vec![],
        };
        let Some(spotlight) = self.keys.get_mut(&event.key) else { return vec![] };
        self.checked += 1;
        let order = fact.order_id();
        let mut wrong = match fact {
            ReservationEvent::StockReserved { .. } => spotlight.reserve(event, order, fact),
            _ => spotlight.end(event, order, fact),
        };
        let Spotlight { reserved, confirmed, released, held, .. } = *spotlight;
        if reserved != confirmed + released + held {
            wrong.push(format!(
                "{reserved} units reserved, {confirmed} confirmed, {released} released, {held} held"
            ));
            // said once: what follows is measured from here
            spotlight.reserved = confirmed + released + held;
        }
        wrong.into_iter().map(|detail| Violation::at(event, detail)).collect()
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
            .flat_map(|spotlight| spotlight.reservations.iter().chain(&spotlight.again))
            .filter_map(|(order, progress)| match progress {
                Progress::Held { mark, .. } => {
                    Some(mark.violation(format!("the units of {order} were never given back")))
                }
                Progress::Released { .. } | Progress::Ended => None,
            })
            .collect();
        found.sort_by_key(|violation| violation.position);
        found
    }

    fn checked(&self) -> u64 {
        self.checked
    }
}
