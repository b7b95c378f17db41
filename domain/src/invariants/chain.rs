//! I5: the log is one unbroken chain.

use super::fast::ById;
use super::{Invariant, LogEnd, Violation};
use crate::broadcast::BroadcastEvent;
use crate::envelope::{Position, Recorded};
use crate::event::{Event, StreamKind};
use crate::ids::{OrderId, StreamKey};
use crate::spotlight::SpotlightEvent;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// I5: each position is the one before it plus one; `prev` is the position of the last event with
/// the same key, and [`Position::START`] for the first, which is `SpotlightScheduled` or
/// `BroadcastScheduled`; an event stands in the stream of the thing that it tells about, and the
/// sequences of a stream are 1, 2, 3 …; `GateReopened` raises a spotlight's epoch, 1 at first, by
/// one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Chain {
    grace: u64,
    /// The log is read from after this position.
    first: Position,
    last: Position,
    /// Whether any key was forgotten.
    forgot: bool,
    keys: ById<StreamKey, Key>,
    checked: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Key {
    last: Position,
    /// The key was seen from its first event.
    whole: bool,
    epoch: u64,
    /// The last sequence of the key's own stream.
    own: u64,
    /// The last sequences of an order's stream and of its reservation's.
    orders: ById<OrderId, (u64, u64)>,
    /// The last sequences of second reservations; few orders have one.
    again: ById<OrderId, u64>,
}

impl Chain {
    /// For a log that is read from after a position; `grace` is that of the retirement.
    pub fn after(position: Position, grace: u64) -> Self {
        Self {
            grace,
            first: position,
            last: position,
            forgot: false,
            keys: ById::default(),
            checked: 0,
        }
    }

    /// Whether a key with its last event there may be unknown.
    fn may_be_unknown(&self, prev: Position, now: Position) -> bool {
        prev <= self.first || (self.forgot && prev.0 + self.grace <= now.0)
    }

    fn begin(&mut self, event: &Recorded) -> Option<String> {
        let begins = event.prev == Position::START;
        let wrong = if begins && !is_first_of_key(&event.event) {
            Some(format!(
                "the first event of the key {} is {}",
                event.key.0,
                event.event.event_type()
            ))
        } else if !begins && !self.may_be_unknown(event.prev, event.position) {
            Some(format!("prev is {}, and the key {} has no event before", event.prev, event.key.0))
        } else {
            None
        };
        self.keys.insert(event.key, Key { whole: begins, ..Key::default() });
        wrong
    }
}

impl Key {
    fn follow(&mut self, event: &Recorded, known: bool, wrong: &mut Vec<String>) {
        if known && event.prev != self.last {
            wrong.push(format!("prev is {}, the key's last event is {}", event.prev, self.last));
        }
        self.last = event.position;
        let sequence = event.sequence;
        let (kind, id) = stream_of(&event.event);
        let mut text = Uuid::encode_buffer();
        let of_id = match event.stream.id.strip_suffix("-2") {
            Some(order) if event.stream.is_again() => order,
            _ => &event.stream.id,
        };
        if event.stream.kind != kind || of_id != id.hyphenated().encode_lower(&mut text) {
            wrong.push(format!("an event of {} {id} stands in {}", kind.as_str(), event.stream));
        }
        let last = match kind {
            StreamKind::Broadcast | StreamKind::Spotlight => &mut self.own,
            StreamKind::Order => &mut self.orders.entry(OrderId(id)).or_default().0,
            StreamKind::Reservation if event.stream.is_again() => {
                self.again.entry(OrderId(id)).or_default()
            }
            StreamKind::Reservation => &mut self.orders.entry(OrderId(id)).or_default().1,
        };
        let unknown_before = !self.whole && *last == 0;
        if !unknown_before && sequence != last.saturating_add(1) {
            wrong.push(format!("sequence {sequence} of {} follows {last}", event.stream));
        }
        *last = sequence;
    }

    fn reopen(&mut self, event: &Recorded, wrong: &mut Vec<String>) {
        match &event.event {
            Event::Spotlight(SpotlightEvent::SpotlightScheduled { .. }) => self.epoch = 1,
            Event::Spotlight(SpotlightEvent::GateReopened { epoch, .. }) => {
                let unknown_before = !self.whole && self.epoch == 0;
                if !unknown_before && *epoch != self.epoch + 1 {
                    wrong.push(format!("the gate's epoch {epoch} follows {}", self.epoch));
                }
                self.epoch = *epoch;
            }
            _ => {}
        }
    }
}

fn is_first_of_key(event: &Event) -> bool {
    matches!(
        event,
        Event::Broadcast(BroadcastEvent::BroadcastScheduled { .. })
            | Event::Spotlight(SpotlightEvent::SpotlightScheduled { .. })
    )
}

fn stream_of(event: &Event) -> (StreamKind, Uuid) {
    match event {
        Event::Broadcast(fact) => (StreamKind::Broadcast, fact.broadcast_id().0),
        Event::Spotlight(fact) => (StreamKind::Spotlight, fact.spotlight_id().0),
        Event::Reservation(fact) => (StreamKind::Reservation, fact.order_id().0),
        Event::Order(fact) => (StreamKind::Order, fact.order_id().0),
    }
}

impl Invariant for Chain {
    fn id(&self) -> &'static str {
        "I5"
    }

    fn check(&mut self, event: &Recorded) -> Vec<Violation> {
        self.checked += 1;
        let mut wrong = Vec::new();
        if event.position.0 != self.last.0 + 1 {
            wrong.push(format!("position {} follows {}", event.position, self.last));
        }
        self.last = event.position;
        let known = self.keys.contains_key(&event.key);
        if !known {
            wrong.extend(self.begin(event));
        }
        if let Some(key) = self.keys.get_mut(&event.key) {
            key.follow(event, known, &mut wrong);
            key.reopen(event, &mut wrong);
        }
        wrong.into_iter().map(|detail| Violation::at(event, detail)).collect()
    }

    saved!();

    fn forget(&mut self, key: StreamKey) {
        self.keys.remove(&key);
        self.forgot = true;
    }

    fn finish(&mut self, _: &LogEnd) -> Vec<Violation> {
        vec![]
    }

    fn checked(&self) -> u64 {
        self.checked
    }
}
