//! Orders as a spreadsheet takes them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::actor::Role;
use domain::ports::{OrderQuery, PortError};
use futures::{StreamExt, stream};

use crate::extract::{HostOrViewer, Params};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::OrderRow;

/// Orders that are read at once.
const PAGE: usize = 200;

/// Export orders as CSV, newest first
///
/// One line per line of an order (RFC 4180). A viewer's own; all of the seller for a host. Amounts
/// are in minor units of `currency`.
#[utoipa::path(
    get, path = "/v1/orders.csv", tag = "orders", operation_id = "exportOrders",
    params(("spotlight_id" = Option<Uuid>, Query, description = "Only of this spotlight."),
           ("status" = Option<String>, Query, description = "Only in this status."),
           ("since" = Option<DateTime>, Query, description = "Only those accepted at or after this.")),
    responses((status = 200, description = "The orders", content((String = "text/csv"))), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["viewer", "host"])))
)]
pub async fn export(
    State(app): State<Arc<App>>,
    HostOrViewer(caller): HostOrViewer,
    mut params: Params,
) -> Result<Response, Problem> {
    let spotlight = params.spotlight();
    let (status, since) = (params.status(), params.since());
    params.finish()?;
    let own = || app.pseudonyms.viewer_ref(&caller.seller, &caller.subject);
    let viewer = (caller.role == Role::Viewer).then(own);
    let seller = caller.seller.clone();
    let query = OrderQuery { seller, viewer, spotlight, status, since, cursor: None, limit: PAGE };
    let head =
        stream::iter([Ok::<Bytes, PortError>(Bytes::from_static(OrderRow::HEAD.as_bytes()))]);
    let pages = stream::try_unfold(Some((app, query)), next);
    let body = Body::from_stream(StreamExt::chain(head, pages));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"orders.csv\"")),
    ];
    Ok((headers, body).into_response())
}

type Reading = Option<(Arc<App>, OrderQuery)>;

/// The next page, as text.
async fn next(reading: Reading) -> Result<Option<(Bytes, Reading)>, PortError> {
    let Some((app, mut query)) = reading else { return Ok(None) };
    let page = app.order_book.orders(&query).await?;
    let rows: String = page.items.iter().map(OrderRow::lines).collect();
    let rest = page.next_cursor.map(|cursor| {
        query.cursor = Some(cursor);
        (app, query)
    });
    Ok(Some((rows.into(), rest)))
}
