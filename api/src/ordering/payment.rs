//! Paying an order that waits for it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use domain::command::Command;
use domain::ids::{OrderId, StreamKey};
use domain::order::OrderCommand;

use super::input;
use super::read::find;
use crate::broadcaster::submit::{call_id, submit};
use crate::extract::address::ClientAddress;
use crate::extract::{Id, JsonBody, OptionalKey, Viewer};
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::OrderBody;
use crate::wire::requests::NewPayment;

/// Pay an order that waits for it, or try again
///
/// Inside the hold: an order that was placed with `payment_method: null`, or one whose last attempt
/// was declined with `payment.retryable: true`; an order has at most 5 attempts. A payment under
/// way is never doubled: 409 `payment_not_awaited`; after the hold 409 `hold_expired`. Follow
/// `Location` or the socket.
#[utoipa::path(
    post, path = "/v1/orders/{id}/payment", tag = "orders", operation_id = "payOrder",
    request_body = NewPayment,
    params(("id" = Uuid, Path, description = "The order."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 202, description = "The provider is asked, or about to be", body = OrderBody,
        headers(("Location" = String, description = "Where it can be read"))), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["viewer"])))
)]
pub async fn pay(
    State(app): State<Arc<App>>,
    Viewer(caller): Viewer,
    ClientAddress(address): ClientAddress,
    Id(order_id): Id<OrderId>,
    OptionalKey(key): OptionalKey,
    JsonBody(body): JsonBody,
) -> Result<impl IntoResponse, Problem> {
    app.order_rate.check(&caller, address)?;
    let payment = input::payment(&body, app.provider_webhooks.provider)?;
    let found = find(&app, &caller, order_id).await?;
    let command_id = call_id(&app, &caller, "payment", order_id.0, key.as_deref());
    let spotlight = StreamKey::from(found.order.spotlight_id);
    let command = Command::Order { command: OrderCommand::RequestPayment { order_id, payment } };
    match submit(&app, &caller, spotlight, command_id, command).await {
        Err(problem) if problem.code() != Code::DecisionPending => return Err(problem),
        _ => {}
    }
    let found = find(&app, &caller, order_id).await?;
    let body = OrderBody::with_receipt(found.order, found.receipt);
    Ok((StatusCode::ACCEPTED, [(LOCATION, body.location())], Json(body)))
}
