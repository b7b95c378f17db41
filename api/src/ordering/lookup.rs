//! Orders wherever they are known: the order book, then what was accepted, then the log itself. An
//! accepted order is never unknown while something lags (design rule 15).

use std::sync::Arc;

use domain::event::StreamId;
use domain::ids::OrderId;
use domain::ports::{AcceptedOrders, EventReader, OrderBook, PortError};
use domain::views::{OrderView, ReceiptJson};

/// Where orders are looked up.
#[derive(Clone)]
pub struct OrderLookup {
    /// As the log knows them.
    pub book: Arc<dyn OrderBook>,
    /// Those that the log has not decided.
    pub accepted: Arc<dyn AcceptedOrders>,
    /// The log.
    pub reader: Arc<dyn EventReader>,
}

impl OrderLookup {
    /// An order, and its receipt while it is kept; `None` where it was never accepted.
    ///
    /// # Errors
    /// None of the places that must know can be reached.
    pub async fn order(
        &self,
        id: OrderId,
    ) -> Result<Option<(OrderView, Option<ReceiptJson>)>, PortError> {
        let (row, accepted) = tokio::join!(self.book.order(id), self.accepted.get(id));
        let accepted = accepted.unwrap_or_else(|error| {
            tracing::debug!(%error, "accepted orders cannot be read");
            None
        });
        match (row, accepted) {
            (Ok(Some(order)), accepted) => {
                Ok(Some((order, accepted.and_then(|accepted| accepted.receipt))))
            }
            (_, Some(accepted)) => Ok(Some((accepted.order, accepted.receipt))),
            (Ok(None), None) => {
                let events = self.reader.load(&StreamId::of_order(id)).await?;
                let order = events.iter().fold(None, projections::order_book::fold);
                Ok(order.map(|order| (order, None)))
            }
            (Err(error), None) => Err(error),
        }
    }
}
