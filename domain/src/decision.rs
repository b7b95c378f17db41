//! What the log makes of a command: the one place where commands become events.

use uuid::Uuid;

use crate::Timestamp;
use crate::admission::Admission;
use crate::broadcast::BroadcastError;
use crate::command::{Command, CommandRecord, Context};
use crate::desk::Desk;
use crate::event::{Event, StreamId};
use crate::ids::{BroadcastId, SpotlightId};
use crate::order::{Order, OrderCommand, OrderDecision, OrderError, OrderEvent, Scene};
use crate::reservation::{ReservationError, ReservationEvent};
use crate::spotlight::{
    SpotlightCommand, SpotlightError, SpotlightEvent, UnitsBySku, VoidCause, Wait,
};
use crate::waitlist;

/// A business *no*: recorded in the inbox beside the command, never an error of the writer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// By a broadcast.
    #[error(transparent)]
    Broadcast(#[from] BroadcastError),
    /// By a spotlight.
    #[error(transparent)]
    Spotlight(#[from] SpotlightError),
    /// By an order.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// By a reservation.
    #[error(transparent)]
    Reservation(#[from] ReservationError),
}

impl Refusal {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Broadcast(error) => error.code(),
            Self::Spotlight(error) => error.code(),
            Self::Order(error) => error.code(),
            Self::Reservation(_) => "already_ended",
        }
    }
}

/// The outcome of one command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// The facts, in order; empty for a repeat and for most refusals.
    pub events: Vec<(StreamId, Event)>,
    /// The *no*, if it was one.
    pub refusal: Option<Refusal>,
}

/// Decides a command against the state of its key. The caller applies the events to `desk` once
/// they are stored.
pub fn decide(desk: &Desk, record: &CommandRecord, decided_at: Timestamp) -> Decision {
    let context = record.context(decided_at);
    match &record.command {
        Command::Broadcast { command } => {
            let stream = StreamId::broadcast(BroadcastId(record.key.0));
            let decided = desk.broadcast.decide(command, &context);
            outcome(decided.map(|events| {
                events.into_iter().map(|event| (stream.clone(), Event::Broadcast(event))).collect()
            }))
        }
        Command::Spotlight { command } => {
            let mut decision = decide_spotlight(desk, record, command, &context);
            waitlist::settle(desk, record, &context, &mut decision.events);
            decision
        }
        Command::Order { command } => {
            let mut decision = decide_order(desk, record, command, &context);
            waitlist::settle(desk, record, &context, &mut decision.events);
            decision
        }
    }
}

fn outcome<E: Into<Refusal>>(decided: Result<Vec<(StreamId, Event)>, E>) -> Decision {
    match decided {
        Ok(events) => Decision { events, refusal: None },
        Err(refusal) => Decision { events: vec![], refusal: Some(refusal.into()) },
    }
}

fn on_spotlight(record: &CommandRecord, event: SpotlightEvent) -> (StreamId, Event) {
    (StreamId::spotlight(SpotlightId(record.key.0)), Event::Spotlight(event))
}

/// A narrowing command holds an entry of the gate: whatever the log says, an event ends it (design
/// rules 4 and 11).
fn decide_spotlight(
    desk: &Desk,
    record: &CommandRecord,
    command: &SpotlightCommand,
    context: &Context,
) -> Decision {
    let mut decision = outcome(
        may_wait(desk, command)
            .and_then(|()| desk.spotlight.decide(command, &desk.ledger, context))
            .map(|events| events.into_iter().map(|event| on_spotlight(record, event)).collect()),
    );
    let ended = decision.events.iter().any(|(_, event)| ends_entry(event));
    if let Some(admission) = command.admission().filter(|_| !ended) {
        let cause =
            if decision.refusal.is_some() { VoidCause::Refused } else { VoidCause::Duplicate };
        decision.events.extend(void(desk, record, record.command_id.0, admission, cause));
    }
    decision
}

/// Who waits for units may have them with what they hold and have bought.
fn may_wait(desk: &Desk, command: &SpotlightCommand) -> Result<(), SpotlightError> {
    let SpotlightCommand::JoinWaitlist { wait, .. } = command else { return Ok(()) };
    let Wait { viewer_ref, lines, .. } = wait.as_ref();
    let waits = desk.spotlight.waitlist.waiting(viewer_ref).is_some()
        || desk.spotlight.waitlist.offered(viewer_ref).is_some();
    let limit = desk.spotlight.terms.as_deref().and_then(|terms| terms.per_viewer_limit);
    let has = desk.units.get(viewer_ref).copied().unwrap_or(0);
    let would_have = has.saturating_add(i64::from(lines.units()));
    match limit {
        Some(limit) if !waits && would_have > i64::from(limit) => Err(SpotlightError::OverLimit),
        _ => Ok(()),
    }
}

/// Whether the gate ends the entry of the command that led to this event.
const fn ends_entry(event: &Event) -> bool {
    matches!(
        event,
        Event::Spotlight(
            SpotlightEvent::SpotlightPaused { .. }
                | SpotlightEvent::SpotlightClosed { .. }
                | SpotlightEvent::StockAdjusted { .. }
                | SpotlightEvent::OfferChanged { .. }
                | SpotlightEvent::WaitlistJoined { .. }
        )
    )
}

/// An entry without an event of its own is given back; where the log has no spotlight, no gate can
/// hold an entry.
fn void(
    desk: &Desk,
    record: &CommandRecord,
    entry: Uuid,
    admission: Admission,
    cause: VoidCause,
) -> Option<(StreamId, Event)> {
    desk.spotlight.terms.as_ref()?;
    let voided = SpotlightEvent::AdmissionVoided {
        spotlight_id: SpotlightId(record.key.0),
        entry,
        epoch: admission.epoch,
        admission_no: admission.number,
        cause,
        kept: UnitsBySku::new(),
    };
    Some(on_spotlight(record, voided))
}

/// An order that cannot even be accepted was taken at the gate all the same: its entry is given
/// back.
fn decide_order(
    desk: &Desk,
    record: &CommandRecord,
    command: &OrderCommand,
    context: &Context,
) -> Decision {
    let mut decision = outcome(facts_of_order(desk, record, command, context));
    let admission = match command {
        OrderCommand::PlaceOrder { place } | OrderCommand::FailParked { place } => place.admission,
        OrderCommand::TakeAgain { admission, .. } => *admission,
        _ => None,
    };
    if let Some(admission) = admission.filter(|_| decision.refusal.is_some()) {
        let entry = command.order_id().0;
        decision.events.extend(void(desk, record, entry, admission, VoidCause::Refused));
    }
    decision
}

fn facts_of_order(
    desk: &Desk,
    record: &CommandRecord,
    command: &OrderCommand,
    context: &Context,
) -> Result<Vec<(StreamId, Event)>, Refusal> {
    let scene = desk.scene(command);
    let nothing = Order::default();
    let order = desk.orders.get(&command.order_id()).map_or(&nothing, |known| &known.order);
    let decided = order.decide(command, &scene, context)?;
    Ok(spread(record, command, &scene, decided)?)
}

/// Puts an order's decision onto its streams: what was accepted, then the units, then the rest.
fn spread(
    record: &CommandRecord,
    command: &OrderCommand,
    scene: &Scene<'_>,
    decided: OrderDecision,
) -> Result<Vec<(StreamId, Event)>, ReservationError> {
    let id = command.order_id();
    let order = StreamId::order(id);
    let mut events: Vec<(StreamId, Event)> =
        decided.order.into_iter().map(|event| (order.clone(), Event::Order(event))).collect();
    let again = matches!(command, OrderCommand::TakeAgain { .. }) || scene.again.hold().is_some();
    let stream = if again { StreamId::reservation_again(id) } else { StreamId::reservation(id) };
    let mut reservation = if again { scene.again } else { scene.reservation }.clone();
    for command in &decided.reservation {
        let event = reservation.decide(command)?;
        reservation.apply(&event);
        // units are held before anything is told of them
        let begins = matches!(event, ReservationEvent::StockReserved { .. });
        let accepts = usize::from(matches!(
            events.first(),
            Some((_, Event::Order(OrderEvent::OrderAccepted { .. })))
        ));
        let at = if begins { accepts } else { events.len() };
        events.insert(at, (stream.clone(), Event::Reservation(event)));
    }
    events.extend(decided.spotlight.into_iter().map(|event| on_spotlight(record, event)));
    Ok(events)
}
