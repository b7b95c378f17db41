//! I6: nothing that the gate took is lost or ended twice.

use super::decision::DecisionId;
use super::fast::{ById, IdSet};
use super::{Invariant, LogEnd, Mark, Violation};
use crate::Timestamp;
use crate::envelope::Recorded;
use crate::event::Event;
use crate::ids::{CommandId, OrderId, StreamKey};
use crate::order::OrderEvent;
use crate::reservation::ReservationEvent;
use crate::spotlight::{SpotlightEvent, VoidCause};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// I6, conservation:
/// - an admission (entry, epoch, number) ends once: in a `StockReserved` or in an
///   `AdmissionVoided`, never in both, never twice; only the void of a duplicate may be told again,
///   when its command is delivered again, because the gate gives an entry back once. Two entries
///   may have the same epoch and number: a gate that loses its data again while a slow rebuild is
///   on its way counts the numbers of that epoch again;
/// - an `OrderAccepted` is followed, within its decision, by the end of its own admission;
/// - a host's command that changed the spotlight is not voided, unless as a duplicate: a repeat of
///   it may hold an entry of its own;
/// - no admission is of an epoch that the log has not reached;
/// - the offsets of a partition of the command log do not go backwards, the events of one offset
///   are of one command, and the time of decision does not go backwards within a partition.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Admissions {
    keys: ById<StreamKey, Spotlight>,
    // a handful: a list is searched faster than a map
    partitions: Vec<Partition>,
    /// The order whose admission has not ended, in the decision that is being read.
    waiting: Option<Waiting>,
    checked: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Spotlight {
    epoch: u64,
    /// The admissions of each entry that have ended; nearly always one.
    ended: ById<Uuid, Vec<Ended>>,
    /// Host commands that changed the spotlight.
    effects: IdSet<CommandId>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Partition {
    topic: String,
    number: i32,
    offset: i64,
    command: CommandId,
    decided_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    decision: DecisionId,
    mark: Mark,
    order: OrderId,
    admission: (u64, u64),
}

#[derive(Debug, Serialize, Deserialize)]
struct Ended {
    admission: (u64, u64),
    reserved: bool,
}

/// How an admission ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum End {
    Reserved(OrderId),
    Voided(VoidCause),
}

impl Spotlight {
    fn end(&mut self, entry: Uuid, admission: (u64, u64), end: End) -> Option<String> {
        let (epoch, number) = admission;
        let ended = self.ended.entry(entry).or_default();
        let before = ended.iter_mut().find(|ended| ended.admission == admission);
        let reserved = matches!(end, End::Reserved(_));
        let again = match before {
            None => {
                ended.push(Ended { admission, reserved });
                false
            }
            Some(before) => {
                let told_again = end == End::Voided(VoidCause::Duplicate) && !before.reserved;
                before.reserved |= reserved;
                !told_again
            }
        };
        if again {
            return Some(format!("admission {number} of epoch {epoch} ends again"));
        }
        (epoch > self.epoch).then(|| {
            format!("admission {number} is of epoch {epoch}, the log is in epoch {}", self.epoch)
        })
    }
}

impl Admissions {
    fn check_source(&mut self, event: &Recorded) -> Option<String> {
        let metadata = &event.metadata;
        let source = &metadata.source;
        let (offset, command, decided_at) =
            (source.offset, metadata.command_id, metadata.decided_at);
        let known = self
            .partitions
            .iter_mut()
            .find(|known| known.number == source.partition && known.topic == source.topic);
        let Some(last) = known else {
            let (topic, number) = (source.topic.clone(), source.partition);
            self.partitions.push(Partition { topic, number, offset, command, decided_at });
            return None;
        };
        let wrong = if offset < last.offset {
            Some(format!("offset {offset} of the commands follows {}", last.offset))
        } else if offset == last.offset && command != last.command {
            Some(format!("two commands have the offset {offset}"))
        } else if decided_at < last.decided_at {
            Some(format!("is decided at {decided_at}, after {}", last.decided_at))
        } else {
            None
        };
        (last.offset, last.command, last.decided_at) = (offset, command, decided_at);
        wrong
    }

    /// What the last decision left open, if this event is not of it.
    fn close_decision(&mut self, event: &Recorded) -> Option<Violation> {
        let waiting = self.waiting.take_if(|waiting| waiting.decision != DecisionId::of(event))?;
        Some(waiting.violation())
    }

    fn end_admission(
        &mut self,
        event: &Recorded,
        entry: Uuid,
        at: (u64, u64),
        end: End,
    ) -> Option<String> {
        let spotlight = self.keys.get_mut(&event.key)?;
        self.checked += 1;
        let wrong = spotlight.end(entry, at, end);
        let Some(waiting) = &self.waiting else { return wrong };
        if waiting.admission == at {
            self.waiting = None;
            return wrong;
        }
        let own = end == End::Reserved(waiting.order);
        wrong.or_else(|| {
            let (epoch, number) = waiting.admission;
            own.then(|| format!("the order was admitted as {number} of epoch {epoch}"))
        })
    }

    fn check_fact(&mut self, event: &Recorded) -> Option<String> {
        match &event.event {
            Event::Spotlight(SpotlightEvent::SpotlightScheduled { .. }) => {
                self.keys.entry(event.key).or_default().epoch = 1;
                None
            }
            Event::Spotlight(SpotlightEvent::GateReopened { epoch, .. }) => {
                self.keys.get_mut(&event.key)?.epoch = *epoch;
                None
            }
            Event::Spotlight(SpotlightEvent::AdmissionVoided {
                entry,
                epoch,
                admission_no,
                cause,
                ..
            }) => {
                let doubled = *cause != VoidCause::Duplicate
                    && self
                        .keys
                        .get(&event.key)
                        .is_some_and(|key| key.effects.contains(&CommandId(*entry)));
                self.end_admission(event, *entry, (*epoch, *admission_no), End::Voided(*cause))
                    .or_else(|| {
                        doubled.then(|| format!("voids {entry}, which changed the spotlight"))
                    })
            }
            Event::Spotlight(
                SpotlightEvent::SpotlightPaused { .. }
                | SpotlightEvent::SpotlightClosed { .. }
                | SpotlightEvent::StockAdjusted { .. }
                | SpotlightEvent::OfferChanged { .. },
            ) => {
                self.keys.get_mut(&event.key)?.effects.insert(event.metadata.command_id);
                None
            }
            Event::Reservation(ReservationEvent::StockReserved {
                order_id,
                epoch,
                admission_no,
                ..
            }) => self.end_admission(
                event,
                order_id.0,
                (*epoch, *admission_no),
                End::Reserved(*order_id),
            ),
            Event::Order(OrderEvent::OrderAccepted { accepted }) => {
                self.keys.get(&event.key)?;
                self.waiting = Some(Waiting {
                    decision: DecisionId::of(event),
                    mark: Mark::of(event),
                    order: accepted.order_id,
                    admission: (accepted.admission.epoch, accepted.admission.number),
                });
                None
            }
            _ => None,
        }
    }
}

impl Waiting {
    fn violation(&self) -> Violation {
        let (epoch, number) = self.admission;
        self.mark.violation(format!(
            "admission {number} of epoch {epoch} of order {} is neither reserved nor voided",
            self.order
        ))
    }
}

impl Invariant for Admissions {
    fn id(&self) -> &'static str {
        "I6"
    }

    fn check(&mut self, event: &Recorded) -> Vec<Violation> {
        let mut found: Vec<Violation> = self.close_decision(event).into_iter().collect();
        let wrong = [self.check_source(event), self.check_fact(event)];
        found.extend(wrong.into_iter().flatten().map(|detail| Violation::at(event, detail)));
        found
    }

    saved!();

    fn forget(&mut self, key: StreamKey) {
        self.keys.remove(&key);
    }

    fn finish(&mut self, _: &LogEnd) -> Vec<Violation> {
        self.waiting.take().iter().map(Waiting::violation).collect()
    }

    fn checked(&self) -> u64 {
        self.checked
    }
}
