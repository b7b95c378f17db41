//! The first break of a log, and what led to it.

use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::event::StreamId;
use domain::ids::{CommandId, EventId};
use domain::invariants::Violation;
use domain::ports::{EventReader, PortError};
use serde::{Deserialize, Serialize};

use super::report::Report;
use crate::order_book::order_of;

/// Events of a chain; of a longer one the last ones.
pub const CHAIN_MAX: usize = 20;

/// Where the log is broken first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstBreak {
    /// Which invariant.
    pub invariant: String,
    /// The violation.
    #[serde(flatten)]
    pub violation: Violation,
    /// What led to it: of an order's event all that the order went through until then, the event
    /// itself last. Empty where the event cannot be read.
    pub chain: Vec<ChainLink>,
}

/// An event of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainLink {
    /// Where.
    pub position: Position,
    /// Its id.
    pub event_id: EventId,
    /// Its type.
    pub event: String,
    /// Its stream.
    pub stream: String,
    /// When it was decided.
    #[serde(with = "domain::rfc3339")]
    pub decided_at: Timestamp,
    /// The command that it was decided by.
    pub command_id: CommandId,
    /// The event that led to the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<EventId>,
}

impl ChainLink {
    fn of(event: &Recorded) -> Self {
        Self {
            position: event.position,
            event_id: event.event_id,
            event: event.event.event_type(),
            stream: event.stream.to_string(),
            decided_at: event.metadata.decided_at,
            command_id: event.metadata.command_id,
            causation: event.metadata.causation,
        }
    }
}

impl FirstBreak {
    /// That of a report, if it has one.
    pub(super) async fn of(report: &Report, reader: &dyn EventReader) -> Option<Self> {
        let (invariant, violation) = report.first_violation()?;
        // what is broken may not be readable, and the report is worth more than the chain
        let chain = chain(reader, violation.position).await.unwrap_or_default();
        let (invariant, violation) = (invariant.to_owned(), violation.clone());
        Some(Self { invariant, violation, chain })
    }
}

async fn chain(reader: &dyn EventReader, at: Position) -> Result<Vec<ChainLink>, PortError> {
    let before = Position(at.0.saturating_sub(1));
    let Some(broken) = reader.read(before, 1).await?.pop() else { return Ok(vec![]) };
    let mut events = match order_of(&broken.event) {
        Some(order) => {
            let streams = [
                StreamId::order(order),
                StreamId::reservation(order),
                StreamId::reservation_again(order),
            ];
            let mut events = reader.load(&streams).await?;
            events.retain(|event| event.position < broken.position);
            events.sort_by_key(|event| event.position);
            events
        }
        None => vec![],
    };
    events.push(broken);
    let left_out = events.len().saturating_sub(CHAIN_MAX);
    Ok(events.iter().skip(left_out).map(ChainLink::of).collect())
}
