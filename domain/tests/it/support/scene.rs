//! Given, when, then.

use domain::actor::{Actor, Role};
use domain::broadcast::BroadcastCommand;
use domain::command::{Command, CommandRecord};
use domain::decision::{Decision, decide};
use domain::desk::Desk;
use domain::event::{Event, StreamId};
use domain::ids::{CommandId, CorrelationId, StreamKey};
use domain::order::OrderCommand;
use domain::reservation::Reservation;
use domain::spotlight::SpotlightCommand;
use uuid::Uuid;

use super::{NOW, at, broadcast, seller, spotlight};

/// The history before a command.
pub struct Given {
    desk: Desk,
    now: i64,
    millis: i64,
    actor: Actor,
    record: Uuid,
}

/// The outcome of a command.
pub struct When {
    decision: Decision,
}

pub fn given_nothing() -> Given {
    given(vec![])
}

pub fn given(events: Vec<Event>) -> Given {
    let mut desk = Desk::default();
    for event in &events {
        desk.apply(&stream_in(&desk, event), event);
    }
    assert!(desk.ledger.is_sound(), "the history oversells by itself");
    let actor = Actor { role: Role::Host, subject: None };
    Given { desk, now: NOW, millis: 0, actor, record: Uuid::from_u128(0xc0) }
}

/// As [`stream_of`]; what follows the release of an order's units is of its second reservation.
fn stream_in(desk: &Desk, event: &Event) -> StreamId {
    if let Event::Reservation(fact) = event
        && desk
            .orders
            .get(&fact.order_id())
            .is_some_and(|known| known.reservation == Reservation::Released)
    {
        return StreamId::reservation_again(fact.order_id());
    }
    stream_of(event)
}

pub fn stream_of(event: &Event) -> StreamId {
    match event {
        Event::Broadcast(_) => StreamId::broadcast(broadcast()),
        Event::Spotlight(_) => StreamId::spotlight(spotlight()),
        Event::Reservation(fact) => StreamId::reservation(fact.order_id()),
        Event::Order(fact) => StreamId::order(fact.order_id()),
    }
}

impl Given {
    /// Decides at another time than [`NOW`].
    pub fn at(mut self, seconds: i64) -> Self {
        self.now = seconds;
        self
    }

    /// Decides so many milliseconds later still.
    pub fn and_millis(mut self, millis: i64) -> Self {
        self.millis = millis;
        self
    }

    /// Lets another than the host ask.
    pub fn by(mut self, role: Role, subject: &str) -> Self {
        self.actor = Actor { role, subject: Some(subject.to_owned()) };
        self
    }

    pub fn command_id(&self) -> Uuid {
        self.record
    }

    pub fn when_broadcast(self, command: BroadcastCommand) -> When {
        self.when(broadcast().into(), Command::Broadcast { command })
    }

    pub fn when_spotlight(self, command: SpotlightCommand) -> When {
        self.when(spotlight().into(), Command::Spotlight { command })
    }

    pub fn when_order(self, command: OrderCommand) -> When {
        self.when(spotlight().into(), Command::Order { command })
    }

    fn when(self, key: StreamKey, command: Command) -> When {
        let now = at(self.now) + chrono::TimeDelta::milliseconds(self.millis);
        let record = CommandRecord {
            command_id: CommandId(self.record),
            seller: seller(),
            key,
            correlation: CorrelationId(self.record),
            causation: None,
            traceparent: None,
            actor: self.actor,
            issued_at: now,
            command,
        };
        let decision = decide(&self.desk, &record, now);
        assert_eq!(decision, decide(&self.desk, &record, now), "decided twice");
        let mut after = self.desk;
        for (stream, event) in &decision.events {
            assert_eq!(*stream, stream_in(&after, event), "an event on another's stream");
            after.apply(stream, event);
        }
        When { decision }
    }
}

impl When {
    /// Exactly these facts, and no refusal.
    #[track_caller]
    pub fn then(self, expected: Vec<Event>) {
        let events: Vec<Event> = self.decision.events.into_iter().map(|(_, event)| event).collect();
        assert_eq!(events, expected);
        assert_eq!(self.decision.refusal, None);
    }

    #[track_caller]
    pub fn then_nothing(self) {
        self.then(vec![]);
    }

    /// No fact, and this code.
    #[track_caller]
    pub fn then_refused(self, code: &str) {
        self.then_refused_with(code, vec![]);
    }

    /// These facts all the same, and this code.
    #[track_caller]
    pub fn then_refused_with(self, code: &str, expected: Vec<Event>) {
        let events: Vec<Event> = self.decision.events.into_iter().map(|(_, event)| event).collect();
        assert_eq!(events, expected);
        assert_eq!(self.decision.refusal.map(|refusal| refusal.code()), Some(code));
    }
}
