//! Orders as their viewer and the seller's host read them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::actor::Role;
use domain::ids::{OrderId, SpotlightId, ViewerRef};
use domain::ports::OrderQuery;
use domain::views::{OrderView, ReceiptJson};

use super::lookup::OrderLookup;
use crate::extract::{Caller, HostOrViewer, Id, Params};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::{OrderBody, OrderList};

/// An order and its receipt.
pub(super) struct Found {
    pub(super) order: OrderView,
    pub(super) receipt: Option<ReceiptJson>,
}

/// The order that the caller may see: a viewer its own, a host all of its seller.
pub(super) async fn find(app: &App, caller: &Caller, id: OrderId) -> Result<Found, Problem> {
    let mut found = known(app, id).await?;
    let own = app.pseudonyms.viewer_ref(&caller.seller, &caller.subject);
    hide_action(&mut found.order, &own);
    let order = &found.order;
    let visible =
        order.seller == caller.seller && (caller.role == Role::Host || order.viewer_ref == own);
    if visible { Ok(found) } else { Err(Problem::not_found("order")) }
}

/// What a buyer has to do may hold a secret of the payment: nobody else is shown it.
fn hide_action(order: &mut OrderView, reader: &ViewerRef) {
    if order.viewer_ref != *reader {
        order.payment.next_action = None;
    }
}

/// An order, whoever asks: for what is not asked by a person.
pub async fn known_order(app: &App, id: OrderId) -> Result<OrderView, Problem> {
    Ok(known(app, id).await?.order)
}

async fn known(app: &App, id: OrderId) -> Result<Found, Problem> {
    let lookup = OrderLookup {
        book: app.order_book.clone(),
        accepted: app.accepted.clone(),
        reader: app.reader.clone(),
    };
    let (order, receipt) = lookup.order(id).await?.ok_or_else(|| Problem::not_found("order"))?;
    Ok(Found { order, receipt })
}

/// Read an order
///
/// An accepted order is never 404: while the log lags, the answer is `pending`, or 503.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "orders", operation_id = "readOrder",
    params(("id" = Uuid, Path, description = "The order.")),
    responses((status = 200, description = "The order", body = OrderBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["viewer", "host"])))
)]
pub async fn read(
    State(app): State<Arc<App>>,
    HostOrViewer(caller): HostOrViewer,
    Id(id): Id<OrderId>,
) -> Result<Json<OrderBody>, Problem> {
    let found = find(&app, &caller, id).await?;
    Ok(Json(OrderBody::with_receipt(found.order, found.receipt)))
}

/// List orders, newest first
///
/// A viewer's own; all of the seller for a host.
#[utoipa::path(
    get, path = "/v1/orders", tag = "orders", operation_id = "listOrders",
    params(("spotlight_id" = Option<Uuid>, Query, description = "Only of this spotlight."),
           ("status" = Option<String>, Query, description = "Only in this status."),
           ("since" = Option<DateTime>, Query, description = "Only those accepted at or after this."),
           ("limit" = Option<usize>, Query, minimum = 1, maximum = 200, description = "Items of the page; 50 by default."),
           ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page.")),
    responses((status = 200, description = "A page", body = OrderList), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["viewer", "host"])))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    HostOrViewer(caller): HostOrViewer,
    mut params: Params,
) -> Result<Json<OrderList>, Problem> {
    let spotlight: Option<SpotlightId> = params.spotlight();
    let (status, since) = (params.status(), params.since());
    let (limit, cursor) = (params.limit(), params.cursor());
    params.finish()?;
    let own = app.pseudonyms.viewer_ref(&caller.seller, &caller.subject);
    let viewer = (caller.role == Role::Viewer).then(|| own.clone());
    let has_cursor = cursor.is_some();
    let query =
        OrderQuery { seller: caller.seller, viewer, spotlight, status, since, cursor, limit };
    let page = app.order_book.orders(&query).await;
    let mut page = crate::extract::query::page(page, has_cursor)?;
    page.items.iter_mut().for_each(|order| hide_action(order, &own));
    let receipts = receipts(&app, &page.items).await;
    let items = page.items.into_iter().zip(receipts);
    Ok(Json(OrderList {
        items: items.map(|(order, receipt)| OrderBody::with_receipt(order, receipt)).collect(),
        next_cursor: page.next_cursor,
    }))
}

/// The receipts of a page, as far as they are kept and can be read.
async fn receipts(app: &App, orders: &[OrderView]) -> Vec<Option<ReceiptJson>> {
    let ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
    match app.accepted.get_all(&ids).await {
        Ok(accepted) => accepted.into_iter().map(|accepted| accepted?.receipt).collect(),
        Err(error) => {
            tracing::debug!(%error, "accepted orders cannot be read");
            vec![None; ids.len()]
        }
    }
}
