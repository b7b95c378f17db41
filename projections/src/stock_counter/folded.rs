//! A spotlight's key in the store, folded as far as it was read.

use domain::Timestamp;
use domain::envelope::Recorded;
use domain::event::Event;
use domain::gate::SnapshotFold;
use domain::ids::{CommandId, SpotlightId, StreamKey};
use domain::ports::{EntryState, EventReader, GateSnapshot, PortError};
use domain::spotlight::{SpotlightEvent, SpotlightStatus};

/// Events that are read at once.
const PAGE: usize = 1_000;

/// What the store has of a spotlight.
#[derive(Default)]
pub(super) struct Folded {
    fold: SnapshotFold,
    /// Whether an event says that a gate of this spotlight has acted.
    gate_acted: bool,
    scheduled_at: Option<Timestamp>,
    reopened_at: Option<Timestamp>,
    reopened_by: Option<CommandId>,
}

impl Folded {
    /// Reads the rest of the key.
    pub async fn read_on(
        &mut self,
        reader: &dyn EventReader,
        spotlight: SpotlightId,
    ) -> Result<(), PortError> {
        let mut after = self.fold.position();
        loop {
            let events = reader.read_key(StreamKey::from(spotlight), after, PAGE).await?;
            for recorded in &events {
                self.take_in(recorded);
            }
            match events.last() {
                Some(last) if events.len() == PAGE => after = last.position,
                _ => return Ok(()),
            }
        }
    }

    fn take_in(&mut self, recorded: &Recorded) {
        self.fold.apply(recorded);
        self.gate_acted = self.gate_acted || shows_that_a_gate_acted(&recorded.event);
        match &recorded.event {
            Event::Spotlight(SpotlightEvent::SpotlightScheduled { .. }) => {
                self.scheduled_at = Some(recorded.recorded_at);
            }
            Event::Spotlight(SpotlightEvent::GateReopened { .. }) => {
                self.reopened_at = Some(recorded.recorded_at);
                self.reopened_by = Some(recorded.metadata.command_id);
            }
            _ => {}
        }
    }

    /// The spotlight's epoch in the log; `None` where there is no such spotlight.
    pub fn epoch(&self) -> Option<u64> {
        self.fold.epoch()
    }

    /// Whether an event says that a gate of this spotlight has acted before.
    pub const fn gate_acted(&self) -> bool {
        self.gate_acted
    }

    /// When the spotlight was scheduled, by the store.
    pub const fn scheduled_at(&self) -> Option<Timestamp> {
        self.scheduled_at
    }

    /// When its gate was last reopened, by the store.
    pub const fn reopened_at(&self) -> Option<Timestamp> {
        self.reopened_at
    }

    /// The command that reopened it last.
    pub const fn reopened_by(&self) -> Option<CommandId> {
        self.reopened_by
    }

    /// The snapshot as of what was read.
    pub fn snapshot(&self) -> Option<GateSnapshot> {
        self.fold.clone().finish()
    }

    /// Whether nothing is left for a gate to do but to answer repeats.
    pub fn is_over(&self) -> bool {
        self.snapshot().is_some_and(|snapshot| {
            snapshot.status == SpotlightStatus::Closed
                && snapshot.orders.iter().all(|order| order.state != EntryState::Held)
        })
    }
}

fn shows_that_a_gate_acted(event: &Event) -> bool {
    match event {
        Event::Spotlight(event) => matches!(
            event,
            SpotlightEvent::GateReopened { .. }
                | SpotlightEvent::AdmissionVoided { .. }
                | SpotlightEvent::StockAdjusted { gate_entry: Some(_), .. }
        ),
        Event::Reservation(_) | Event::Order(_) => true,
        Event::Broadcast(_) => false,
    }
}
