//! A log that grows by decisions or by hand, with right envelopes.

use std::collections::BTreeMap;

use domain::actor::Actor;
use domain::envelope::{Metadata, Position, Recorded, Source};
use domain::event::{Event, StreamId};
use domain::ids::{CommandId, CorrelationId, EventId, OrderId, StreamKey};
use domain::invariants::{Finding, Invariants, LogEnd};
use domain::reservation::ReservationEvent;
use uuid::Uuid;

use super::scene::stream_of;
use super::{NOW, at, seller};

/// Logs of so many events are also checked by checkers that are saved and loaded.
const RESUMED_MAX: usize = 40;
/// Events between two times that they are.
const RESUMED_EVERY: usize = 7;

#[derive(Default)]
pub struct Log {
    pub events: Vec<Recorded>,
    sequences: BTreeMap<StreamId, u64>,
    heads: BTreeMap<StreamKey, Position>,
    /// Orders whose units were given back, and whether they were taken again.
    released: BTreeMap<OrderId, bool>,
    decisions: u64,
}

impl Log {
    /// A log of decisions, each a list of facts.
    pub fn of(decisions: impl IntoIterator<Item = Vec<Event>>) -> Self {
        let mut log = Self::default();
        for events in decisions {
            log.decide(events);
        }
        log
    }

    pub fn decide(&mut self, events: Vec<Event>) {
        let command = Uuid::from_u128(0xc000 + u128::from(self.decisions));
        self.decide_as(command, NOW, events);
    }

    /// Appends what one command led to.
    pub fn decide_as(&mut self, command: Uuid, now: i64, events: Vec<Event>) {
        let offset = i64::try_from(self.decisions).unwrap();
        self.decisions += 1;
        for (index, event) in events.into_iter().enumerate() {
            let stream = self.stream(&event);
            let key = match &event {
                Event::Broadcast(fact) => fact.broadcast_id().into(),
                Event::Spotlight(fact) => fact.spotlight_id().into(),
                _ => super::spotlight().into(),
            };
            let position = Position(u64::try_from(self.events.len()).unwrap() + 1);
            let sequence = self.sequences.entry(stream.clone()).or_default();
            *sequence += 1;
            self.events.push(Recorded {
                position,
                prev: self.heads.insert(key, position).unwrap_or(Position::START),
                event_id: EventId::derive(CommandId(command), index),
                stream,
                sequence: *sequence,
                key,
                recorded_at: at(now),
                event,
                metadata: Metadata {
                    seller: seller(),
                    command_id: CommandId(command),
                    correlation: CorrelationId(command),
                    causation: None,
                    traceparent: None,
                    actor: Actor::system(),
                    source: Source { topic: "commands".to_owned(), partition: 0, offset },
                    decided_at: at(now),
                    followed_by: 0,
                },
            });
        }
    }

    fn stream(&mut self, event: &Event) -> StreamId {
        if let Event::Reservation(fact) = event {
            let begins = matches!(fact, ReservationEvent::StockReserved { .. });
            match self.released.get_mut(&fact.order_id()) {
                Some(again) => {
                    *again |= begins;
                    if *again {
                        return StreamId::reservation_again(fact.order_id());
                    }
                }
                None if matches!(fact, ReservationEvent::ReservationReleased { .. }) => {
                    self.released.insert(fact.order_id(), false);
                }
                None => {}
            }
        }
        stream_of(event)
    }

    pub fn findings(&self, settled: bool) -> Vec<Finding> {
        let found = Invariants::of_log(&self.events, LogEnd { settled });
        if self.events.len() <= RESUMED_MAX {
            assert_eq!(found, self.findings_of_resumed(settled), "saved and loaded");
        }
        found
    }

    /// Which invariants are broken, and where.
    /// As found by checkers that are saved now and then, and go on as others.
    fn findings_of_resumed(&self, settled: bool) -> Vec<Finding> {
        let (mut checkers, mut found) = (Invariants::all(), vec![]);
        for (place, event) in self.events.iter().enumerate() {
            if place % RESUMED_EVERY == RESUMED_EVERY / 2 {
                let saved = serde_json::to_string(&checkers.save().unwrap()).unwrap();
                checkers = Invariants::all();
                checkers.load(&serde_json::from_str(&saved).unwrap()).unwrap();
            }
            found.extend(checkers.check(event));
        }
        found.extend(checkers.finish(&LogEnd { settled }));
        found
    }

    pub fn broken(&self, settled: bool) -> Vec<(&'static str, u64)> {
        self.findings(settled)
            .into_iter()
            .map(|finding| (finding.invariant, finding.violation.position.0))
            .collect()
    }

    #[track_caller]
    pub fn assert_sound(&self, settled: bool) {
        assert_eq!(self.findings(settled), vec![]);
    }
}
