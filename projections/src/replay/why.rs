//! Why a buyer did not get the item.

use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{OrderId, SpotlightId, ViewerRef};
use domain::order::{OrderEvent, OrderReason};
use domain::ports::EventReader;
use domain::views::{OrderStatus, OrderView};
use serde::Serialize;

use super::order_log::{AskError, accepted_in, events_of, must_know};
use super::pages::Pages;
use super::stock_at::{Holder, SoldOut, StockFold, StockOf};
use crate::order_book::fold;

/// Buyers before this one that are named.
pub const BEFORE_MAX: usize = 100;
/// Orders of one viewer that are named.
pub const VIEWER_ORDERS_MAX: usize = 100;

/// Why one order ended as it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// Which order.
    pub order_id: OrderId,
    /// In which spotlight.
    pub spotlight_id: SpotlightId,
    /// Whose, as a pseudonym.
    pub viewer_ref: ViewerRef,
    /// Where it stands.
    pub status: OrderStatus,
    /// The reason that the log gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<OrderReason>,
    /// When the gate said yes.
    pub admitted_at: Timestamp,
    /// The position of the event that settled it.
    pub position: Position,
    /// When that was decided.
    pub decided_at: Timestamp,
    /// How many units were asked for.
    pub units: u32,
    /// The stock just before that event.
    pub stock_before: Vec<StockOf>,
    /// Everybody who had units then and was admitted earlier, in the order of admission; at most
    /// [`BEFORE_MAX`].
    pub before: Vec<Holder>,
    /// How many they were.
    pub before_total: usize,
}

/// What the log knows of a viewer in a spotlight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyViewer {
    /// The viewer as asked for.
    pub viewer: String,
    /// In which spotlight.
    pub spotlight_id: SpotlightId,
    /// The viewer's orders there; at most [`VIEWER_ORDERS_MAX`].
    pub orders: Vec<Why>,
    /// When there was nothing left.
    pub sold_out: Vec<SoldOut>,
    /// Refusals before an order existed are in no log yet: an empty list of orders does not say
    /// that the viewer never asked.
    pub refusals_are_recorded: bool,
}

/// Why an order ended as it did.
///
/// # Errors
/// [`AskError`].
pub async fn why(reader: &dyn EventReader, order: OrderId) -> Result<Why, AskError> {
    let events = events_of(reader, order).await?;
    let accepted = accepted_in(&events, order)?;
    let view = events.iter().fold(None, fold);
    let Some(view): Option<OrderView> = view else {
        return Err(AskError::Unknown(format!("acceptance of order {order}")));
    };
    let settled = events.iter().find(|event| settles(event)).or(events.last());
    let (position, decided_at) = settled
        .map_or((view.position, view.updated_at), |it| (it.position, it.metadata.decided_at));
    let mut stock = StockFold::default();
    let before_it = Position(position.0.saturating_sub(1));
    let mut pages = Pages::new(reader, Some(accepted.spotlight_id.into()), before_it);
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        for event in &page {
            stock.take(event);
        }
    }
    let own = (accepted.admission.epoch, accepted.admission.number);
    let mut before = stock.holders();
    before.retain(|holder| holder.order_id != order && (holder.epoch, holder.admission_no) < own);
    let before_total = before.len();
    before.truncate(BEFORE_MAX);
    Ok(Why {
        order_id: order,
        spotlight_id: accepted.spotlight_id,
        viewer_ref: accepted.viewer_ref.clone(),
        status: view.status,
        reason: view.reason,
        admitted_at: accepted.admission.at,
        position,
        decided_at,
        units: accepted.lines.iter().map(|line| line.quantity.get()).sum(),
        stock_before: stock.stock(),
        before,
        before_total,
    })
}

/// Whether an event is the one that settled its order.
fn settles(event: &Recorded) -> bool {
    matches!(
        &event.event,
        Event::Order(
            OrderEvent::OrderConfirmed { .. }
                | OrderEvent::OrderFailed { .. }
                | OrderEvent::OrderCancelled { .. }
        )
    )
}

/// What the log knows of a viewer, named by id or pseudonym, in a spotlight.
///
/// # Errors
/// [`AskError`].
pub async fn why_viewer(
    reader: &dyn EventReader,
    viewer: &str,
    spotlight: SpotlightId,
) -> Result<WhyViewer, AskError> {
    must_know(reader, spotlight).await?;
    let end = reader.head().await?;
    let mut pages = Pages::new(reader, Some(spotlight.into()), end);
    let (mut stock, mut orders) = (StockFold::default(), vec![]);
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        for event in &page {
            stock.take(event);
            let Event::Order(OrderEvent::OrderAccepted { accepted }) = &event.event else {
                continue;
            };
            let named = accepted.personal.viewer.as_ref().is_some_and(|it| it.as_str() == viewer);
            if (named || accepted.viewer_ref.as_str() == viewer) && orders.len() < VIEWER_ORDERS_MAX
            {
                orders.push(accepted.order_id);
            }
        }
    }
    let mut told = Vec::with_capacity(orders.len());
    for order in orders {
        told.push(why(reader, order).await?);
    }
    Ok(WhyViewer {
        viewer: viewer.to_owned(),
        spotlight_id: spotlight,
        orders: told,
        sold_out: stock.sold_out(),
        refusals_are_recorded: false,
    })
}
