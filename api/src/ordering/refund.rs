//! Giving a sale back.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use domain::command::Command;
use domain::ids::{OrderId, StreamKey};

use super::input;
use super::read::find;
use crate::broadcaster::submit::{call_id, submit};
use crate::extract::{Host, Id, JsonBody, OptionalKey};
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::OrderBody;
use crate::wire::requests::NewRefund;

/// Give a confirmed order's money back
///
/// Whole, or by `lines`. Units stay sold unless `restock` is true; the viewer may buy as many again
/// either way. The order is `confirmed` with `refunded` until all of it is back, then `refunded`.
/// One refund at a time: 409 `refund_in_progress`; not paid yet: 409 `not_confirmed`.
#[utoipa::path(
    post, path = "/v1/orders/{id}/refund", tag = "orders", operation_id = "refundOrder",
    request_body = NewRefund,
    params(("id" = Uuid, Path, description = "The order."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 202, description = "The provider is asked, or about to be", body = OrderBody,
        headers(("Location" = String, description = "Where it can be read"))), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn refund(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(order_id): Id<OrderId>,
    OptionalKey(key): OptionalKey,
    JsonBody(body): JsonBody,
) -> Result<impl IntoResponse, Problem> {
    let command = input::refund(order_id, &body)?;
    let found = find(&app, &caller, order_id).await?;
    let command_id = call_id(&app, &caller, "refund", order_id.0, key.as_deref());
    let spotlight = StreamKey::from(found.order.spotlight_id);
    match submit(&app, &caller, spotlight, command_id, Command::Order { command }).await {
        Err(problem) if problem.code() != Code::DecisionPending => return Err(problem),
        _ => {}
    }
    let found = find(&app, &caller, order_id).await?;
    let body = OrderBody::with_receipt(found.order, found.receipt);
    Ok((StatusCode::ACCEPTED, [(LOCATION, body.location())], Json(body)))
}
