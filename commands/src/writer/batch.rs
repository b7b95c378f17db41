//! From records to one transaction: dedupe, decide, check.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use domain::Timestamp;
use domain::command::{Command, CommandRecord};
use domain::decision::{Decision, Refusal, decide};
use domain::desk::{Desk, OrderDesk};
use domain::envelope::{Metadata, NewEvent};
use domain::event::{Event, StreamId};
use domain::ids::{CommandId, EventId, OrderId, SpotlightId, StreamKey};
use domain::ledger::units_delta;
use domain::order::{OrderCommand, OrderEvent, OrderReason};
use domain::ports::{Batch, CommandOutcome, Delivered, InboxEntry};
use domain::reservation::{ReleaseReason, ReservationEvent};
use domain::spotlight::{SpotlightEvent, VoidCause};
use metrics::{counter, histogram};

use super::PARKED_MONEY;
use super::desks::{Desks, limit_of};
use super::park::{Behind, behind, misaddressed, sequence_of};
use crate::clock::between;
use crate::metrics::{HOLD_LATE_SECONDS, ORDERS_FAILED_FOR_STOCK_TOTAL, WRITER_REPEATS_TOTAL};

/// The epoch of a gate that was never rebuilt.
const FIRST_EPOCH: u64 = 1;

/// A record of a batch, parsed as far as it does.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) delivered: Delivered,
    pub(super) record: Result<Box<CommandRecord>, String>,
}

impl Item {
    pub(super) fn parse(delivered: Delivered) -> Self {
        let record = serde_json::from_slice::<CommandRecord>(&delivered.value)
            .map(Box::new)
            .map_err(|error| format!("the record does not parse: {error}"));
        Self { delivered, record }
    }

    /// The id that a repeat is recognised by in the inbox; orders are recognised by their stream.
    pub(super) fn inbox_id(&self) -> Option<CommandId> {
        self.record
            .as_deref()
            .ok()
            .filter(|record| uses_inbox(record))
            .map(|record| record.command_id)
    }
}

fn uses_inbox(record: &CommandRecord) -> bool {
    match &record.command {
        Command::Broadcast { .. } | Command::Spotlight { .. } => true,
        Command::Order { command } => matches!(
            command,
            OrderCommand::CancelOrder { .. }
                | OrderCommand::RequestPayment { .. }
                | OrderCommand::RefundOrder { .. }
                | OrderCommand::TellPayment { .. }
        ),
    }
}

/// A decision that the store would refuse.
#[derive(Debug)]
pub(super) struct Unsound(pub(super) String);

/// Whether a command's order has ended.
fn ended(desk: &Desk, record: &CommandRecord) -> bool {
    let Command::Order { command } = &record.command else { return false };
    desk.orders.get(&command.order_id()).is_some_and(|known| known.order.has_ended())
}

/// What is known of the items before they are decided.
pub(super) struct Known {
    /// Commands that were decided before.
    pub(super) decided: BTreeMap<CommandId, CommandOutcome>,
    /// Sequences that have a parked command.
    pub(super) parked: BTreeSet<String>,
}

/// The making of one transaction.
pub(super) struct Making<'a> {
    pub(super) desks: &'a mut Desks,
    pub(super) known: Known,
    pub(super) decided_at: Timestamp,
    pub(super) parked_deadline: Duration,
    pub(super) batch: Batch,
}

impl Making<'_> {
    /// Decides the items in order, on the desks.
    pub(super) fn decide(mut self, items: &[Item]) -> Result<Batch, Unsound> {
        let mut touched = BTreeSet::new();
        for item in items {
            match &item.record {
                Ok(record) => {
                    touched.insert(record.key);
                    self.decide_one(item, record);
                }
                Err(error) => self.park(item, error),
            }
        }
        for key in touched {
            self.check(key)?;
        }
        Ok(self.batch)
    }

    /// Puts a single item aside.
    pub(super) fn put_aside(mut self, item: &Item, error: &str) -> Batch {
        self.park(item, error);
        self.batch
    }

    fn park(&mut self, item: &Item, error: &str) {
        self.park_for(item, error, self.parked_deadline);
    }

    fn park_for(&mut self, item: &Item, error: &str, deadline: Duration) {
        self.known.parked.insert(item.sequence());
        self.batch.parked.push(item.park(error, self.decided_at, deadline));
        if let Some(command_id) = item.inbox_id() {
            self.outcome(item, command_id, CommandOutcome::Parked);
        }
    }

    fn outcome(&mut self, item: &Item, command_id: CommandId, outcome: CommandOutcome) {
        let Ok(record) = &item.record else { return };
        self.known.decided.insert(command_id, outcome.clone());
        let source = item.delivered.source.clone();
        let request = Some(record.request());
        let key = record.key;
        self.batch.inbox.push(InboxEntry { command_id, key, source, outcome, request });
    }

    fn decide_one(&mut self, item: &Item, record: &CommandRecord) {
        if self.known.parked.contains(&sequence_of(record)) {
            match behind(record) {
                Behind::Decide => {}
                Behind::Skip => {
                    counter!(WRITER_REPEATS_TOTAL).increment(1);
                    return;
                }
                Behind::Park => return self.park_behind(item),
            }
        }
        if let Some(reason) = misaddressed(record) {
            return self.park(item, reason);
        }
        if let Some(outcome) = self.decided_before(item) {
            return self.repeat(item, record, &outcome);
        }
        let Some(desk) = self.desks.desk(record.key) else {
            return self.park(item, "its key was not loaded");
        };
        let decided_at = self.decided_at;
        match catch_unwind(AssertUnwindSafe(|| decide(desk, record, decided_at))) {
            Ok(Decision { refusal: Some(Refusal::Order(error)), events })
                if events.is_empty() && error.needs_a_person() =>
            {
                // an order that has ended is ended by no deadline: what is left is money, which
                // waits for somebody
                let deadline =
                    if ended(desk, record) { PARKED_MONEY } else { self.parked_deadline };
                self.park_for(item, &error.to_string(), deadline);
            }
            Ok(decision) => self.take(item, record, decision),
            Err(_) => self.park(item, "the decision panicked"),
        }
    }

    fn park_behind(&mut self, item: &Item) {
        if self.decided_before(item).is_some() {
            counter!(WRITER_REPEATS_TOTAL).increment(1);
        } else {
            self.park(item, "an earlier command of its sequence is parked");
        }
    }

    fn decided_before(&self, item: &Item) -> Option<CommandOutcome> {
        self.known.decided.get(&item.inbox_id()?).cloned()
    }

    /// A host's command that was decided before: what changed the spotlight has ended the gate's
    /// entry by that. One that was parked has not, nor has a *no* ended the entry of a later try,
    /// nor any fact the entry that a gate took again after it was rebuilt (design rule 4).
    fn repeat(&mut self, item: &Item, record: &CommandRecord, outcome: &CommandOutcome) {
        counter!(WRITER_REPEATS_TOTAL).increment(1);
        let Command::Spotlight { command } = &record.command else { return };
        let Some(admission) = command.admission() else { return };
        if *outcome == CommandOutcome::Done && admission.epoch <= FIRST_EPOCH {
            return;
        }
        let spotlight_id = SpotlightId(record.key.0);
        let voided = SpotlightEvent::AdmissionVoided {
            spotlight_id,
            entry: record.command_id.0,
            epoch: admission.epoch,
            admission_no: admission.number,
            cause: VoidCause::Duplicate,
            kept: domain::spotlight::UnitsBySku::new(),
        };
        self.push(
            item,
            record,
            vec![(StreamId::spotlight(spotlight_id), Event::Spotlight(voided))],
        );
    }

    fn take(&mut self, item: &Item, record: &CommandRecord, decision: Decision) {
        if decision.events.is_empty() && decision.refusal.is_none() {
            counter!(WRITER_REPEATS_TOTAL).increment(1);
        }
        self.measure_holds(record, &decision.events);
        self.push(item, record, decision.events);
        if let Some(command_id) = item.inbox_id() {
            let outcome = decision.refusal.map_or(CommandOutcome::Done, |refusal| {
                let code = refusal.code().to_owned();
                CommandOutcome::Refused { code, detail: refusal.to_string() }
            });
            self.outcome(item, command_id, outcome);
        } else if let Some(refusal) = decision.refusal {
            tracing::debug!(
                command = %record.command_id, code = refusal.code(),
                "a command to an order was refused: {refusal}"
            );
        }
    }

    /// How late holds end that have run out.
    fn measure_holds(&mut self, record: &CommandRecord, events: &[(StreamId, Event)]) {
        let decided_at = self.decided_at;
        let Some(desk) = self.desks.desk(record.key) else { return };
        for (_, event) in events {
            let Event::Reservation(ReservationEvent::ReservationReleased {
                order_id,
                reason: ReleaseReason::HoldExpired,
                ..
            }) = event
            else {
                continue;
            };
            let Some(hold) = desk.orders.get(order_id).and_then(OrderDesk::hold) else { continue };
            histogram!(HOLD_LATE_SECONDS).record(between(hold.deadline, decided_at));
        }
    }

    fn push(&mut self, item: &Item, record: &CommandRecord, events: Vec<(StreamId, Event)>) {
        let mut offered = Vec::new();
        let Some(desk) = self.desks.desk(record.key) else { return };
        let followed_by = followers(&events);
        let numbered = events.into_iter().zip(followed_by).enumerate();
        for (index, ((stream, event), followed_by)) in numbered {
            if let (Some(delta), Some(limit)) = (units_delta(&event), limit_of(desk)) {
                self.batch.unit_limits.insert(delta.spotlight, limit);
            }
            desk.apply(&stream, &event);
            offered.extend(offered_order(&event));
            let sequence = desk.sequence(&stream);
            self.batch.events.push(NewEvent {
                event_id: EventId::derive_at(record.command_id, &item.delivered.source, index),
                sequence,
                stream,
                key: record.key,
                metadata: Metadata { followed_by, ..metadata(item, record, self.decided_at) },
                event,
            });
        }
        for order in offered {
            self.desks.note(order, record.key);
        }
    }

    /// The cheap invariants, before the store is asked: stock of every key that was touched.
    fn check(&mut self, key: StreamKey) -> Result<(), Unsound> {
        self.desks.trim_units(key);
        match self.desks.desk(key) {
            Some(desk) if !desk.ledger.is_sound() => {
                Err(Unsound(format!("the decision would leave the stock of {key} unsound")))
            }
            _ => Ok(()),
        }
    }
}

/// The order of an offer to somebody who waited, which no command has named yet.
const fn offered_order(event: &Event) -> Option<OrderId> {
    match event {
        Event::Spotlight(SpotlightEvent::WaitlistOffered { order_id, .. }) => Some(*order_id),
        _ => None,
    }
}

fn metadata(item: &Item, record: &CommandRecord, decided_at: Timestamp) -> Metadata {
    Metadata {
        seller: record.seller.clone(),
        command_id: record.command_id,
        correlation: record.correlation,
        causation: record.causation,
        traceparent: record.traceparent.clone(),
        actor: record.actor.clone(),
        source: item.delivered.source.clone(),
        decided_at,
        followed_by: 0,
    }
}

/// How many later events of the decision each has about its order.
fn followers(events: &[(StreamId, Event)]) -> Vec<u32> {
    let mut after: Vec<OrderId> = Vec::new();
    let counts = events.iter().rev().map(|(_, event)| {
        let Some(order) = event.order() else { return 0 };
        let count = after.iter().filter(|later| **later == order).count();
        after.push(order);
        u32::try_from(count).unwrap_or(u32::MAX)
    });
    let mut counts: Vec<u32> = counts.collect();
    counts.reverse();
    counts
}

/// Counts what should never be, once it is stored.
pub(super) fn count_guard_failures(batch: &Batch) {
    let failed = batch.events.iter().filter(|event| {
        matches!(
            &event.event,
            Event::Order(OrderEvent::OrderFailed { reason: OrderReason::StockGuard, .. })
        )
    });
    for event in failed {
        counter!(ORDERS_FAILED_FOR_STOCK_TOTAL).increment(1);
        tracing::error!(stream = %event.stream, "an accepted order failed for stock");
    }
}
