//! An order as it was before an event of it.

use domain::envelope::Recorded;
use domain::event::{Event, StreamId};
use domain::ids::OrderId;
use domain::order::OrderEvent;
use domain::ports::{EventReader, PortError};
use domain::views::OrderView;

use super::fold;

/// The order before `recorded`, folded from its streams; nothing comes before its acceptance.
///
/// # Errors
/// The store cannot be reached.
pub async fn order_before(
    reader: &dyn EventReader,
    order: OrderId,
    recorded: &Recorded,
) -> Result<Option<OrderView>, PortError> {
    if matches!(recorded.event, Event::Order(OrderEvent::OrderAccepted { .. })) {
        return Ok(None);
    }
    let events = reader.load(&StreamId::of_order(order)).await?;
    Ok(events.iter().take_while(|event| event.position < recorded.position).fold(None, fold))
}
