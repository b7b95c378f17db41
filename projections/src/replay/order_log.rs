//! The events of one order, found by its streams.

use domain::envelope::{Position, Recorded, Source};
use domain::event::{Event, StreamId};
use domain::ids::{OrderId, SpotlightId};
use domain::order::{Accepted, OrderEvent};
use domain::ports::{EventReader, PortError};

/// What is asked about, and not in the log.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The log has no such thing.
    #[error("the log has no {0}")]
    Unknown(String),
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// The events of an order, by position.
///
/// # Errors
/// [`AskError::Unknown`] where there is none.
pub async fn events_of(
    reader: &dyn EventReader,
    order: OrderId,
) -> Result<Vec<Recorded>, AskError> {
    let events = reader.load(&StreamId::of_order(order)).await?;
    if events.is_empty() {
        return Err(AskError::Unknown(format!("order {order}")));
    }
    Ok(events)
}

/// The acceptance among an order's events.
pub fn acceptance(events: &[Recorded]) -> Option<&Accepted> {
    events.iter().find_map(|event| match &event.event {
        Event::Order(OrderEvent::OrderAccepted { accepted }) => Some(accepted.as_ref()),
        _ => None,
    })
}

/// The acceptance among an order's events, which a whole log always has.
///
/// # Errors
/// [`AskError::Unknown`].
pub fn accepted_in(events: &[Recorded], order: OrderId) -> Result<&Accepted, AskError> {
    acceptance(events).ok_or_else(|| AskError::Unknown(format!("acceptance of order {order}")))
}

/// The acceptance of an order with its position and its command's place, owned.
///
/// # Errors
/// [`AskError::Unknown`] where the log has none.
pub async fn accepted_order(
    reader: &dyn EventReader,
    order: OrderId,
) -> Result<(Position, Accepted, Source), AskError> {
    let events = events_of(reader, order).await?;
    let accepted = accepted_in(&events, order)?.clone();
    let first = events.iter().find(|event| acceptance(std::slice::from_ref(event)).is_some());
    let Some(first) = first else {
        return Err(AskError::Unknown(format!("acceptance of order {order}")));
    };
    Ok((first.position, accepted, first.metadata.source.clone()))
}

/// Whether the log knows a spotlight.
///
/// # Errors
/// [`AskError::Unknown`] where it does not.
pub async fn must_know(reader: &dyn EventReader, spotlight: SpotlightId) -> Result<(), AskError> {
    let events = reader.read_key(spotlight.into(), Position::START, 1).await?;
    if events.is_empty() {
        return Err(AskError::Unknown(format!("spotlight {spotlight}")));
    }
    Ok(())
}
