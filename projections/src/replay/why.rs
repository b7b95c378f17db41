//! Why a buyer did not get the item.

use std::collections::BTreeSet;

use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{OrderId, Sku, SpotlightId, ViewerRef};
use domain::order::{OrderEvent, OrderReason};
use domain::ports::EventReader;
use domain::spotlight::SpotlightEvent;
use domain::views::{OrderStatus, OrderView};
use serde::Serialize;

use super::order_log::{AskError, accepted_in, events_of, must_know};
use super::pages::Pages;
use super::stock_at::{Holder, SoldOut, StockFold, StockOf};
use crate::order_book::fold;

/// Buyers before this one that are named.
pub const BEFORE_MAX: usize = 100;
/// Hexadecimal digits of a pseudonym.
const PSEUDONYM_DIGITS: usize = 32;
/// Orders of one viewer that are named.
pub const VIEWER_ORDERS_MAX: usize = 100;

/// Refusals of one viewer that are named.
pub const VIEWER_REFUSALS_MAX: usize = 100;

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
    /// When the viewer asked and was refused before an order existed; at most
    /// [`VIEWER_REFUSALS_MAX`].
    pub refusals: Vec<Refused>,
    /// How many they were.
    pub refusals_total: usize,
    /// Whether refusals could be looked for: they are written down by pseudonym, and a name without
    /// an order, an offer or the installation's secret has none.
    pub refusals_are_recorded: bool,
}

/// Units that a viewer asked for in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Where that is written down.
    pub position: Position,
    /// In which second, by the clock of the node.
    pub second: Timestamp,
    /// The node that refused.
    pub node: String,
    /// Which SKU.
    pub sku: Sku,
    /// How often it was refused in that second, to all viewers.
    pub requests: u64,
    /// False where more viewers were refused in that second than are named: then it may have been
    /// another one.
    pub certain: bool,
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

/// The viewer's refusal in a fact, if it is one.
fn refused(event: &Recorded, pseudonyms: &BTreeSet<ViewerRef>) -> Option<Refused> {
    let Event::Spotlight(SpotlightEvent::DemandObserved { second, node, observed, .. }) =
        &event.event
    else {
        return None;
    };
    let among = pseudonyms.iter().map(|viewer| observed.viewers.contains(viewer));
    // the surest of them
    let certain = match among.min_by_key(|found| match found {
        Some(true) => 0,
        None => 1,
        Some(false) => 2,
    })? {
        Some(false) => return None,
        found => found.is_some(),
    };
    Some(Refused {
        position: event.position,
        second: *second,
        node: node.clone(),
        sku: observed.sku.clone(),
        requests: observed.requests,
        certain,
    })
}

/// What the log knows of a viewer, named by id or pseudonym, in a spotlight; `derived` is the
/// pseudonym that follows from the id, where the caller knows it.
///
/// # Errors
/// [`AskError`].
pub async fn why_viewer(
    reader: &dyn EventReader,
    (viewer, derived): (&str, Option<&ViewerRef>),
    spotlight: SpotlightId,
) -> Result<WhyViewer, AskError> {
    must_know(reader, spotlight).await?;
    let end = reader.head().await?;
    let (mut stock, mut orders) = (StockFold::default(), vec![]);
    let mut known: BTreeSet<ViewerRef> = derived.cloned().into_iter().collect();
    let mut demand = vec![];
    let mut pages = Pages::new(reader, Some(spotlight.into()), end);
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
            if named || accepted.viewer_ref.as_str() == viewer {
                known.insert(accepted.viewer_ref.clone());
                if orders.len() < VIEWER_ORDERS_MAX {
                    orders.push(accepted.order_id);
                }
            }
        }
    }
    let is_pseudonym = viewer.len() == PSEUDONYM_DIGITS
        && viewer.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if is_pseudonym {
        known.extend(ViewerRef::try_new(viewer));
    }
    // once more, now that every pseudonym is known
    let mut refusals_total = 0;
    let mut pages = Pages::new(reader, Some(spotlight.into()), end);
    while !known.is_empty() {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        for found in page.iter().filter_map(|event| refused(event, &known)) {
            refusals_total += 1;
            if demand.len() < VIEWER_REFUSALS_MAX {
                demand.push(found);
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
        refusals: demand,
        refusals_total,
        refusals_are_recorded: !known.is_empty(),
    })
}
