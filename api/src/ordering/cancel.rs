//! Calling an order off.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use domain::command::Command;
use domain::ids::{OrderId, StreamKey};
use domain::order::OrderCommand;
use domain::views::OrderStatus;

use super::read::find;
use crate::broadcaster::input;
use crate::broadcaster::submit::{call_id, submit};
use crate::extract::{HostOrViewer, Id, OptionalJsonBody, OptionalKey};
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::OrderBody;
use crate::wire::requests::Reason;

/// Cancel an order before it is confirmed
///
/// Units that it holds are given back. Confirmed: 409 `already_confirmed`; ended: 409
/// `already_ended`.
#[utoipa::path(
    post, path = "/v1/orders/{id}/cancel", tag = "orders", operation_id = "cancelOrder",
    request_body = Option<Reason>,
    params(("id" = Uuid, Path, description = "The order."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 202, description = "Cancelled, or about to be", body = OrderBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["viewer", "host"])))
)]
pub async fn cancel(
    State(app): State<Arc<App>>,
    HostOrViewer(caller): HostOrViewer,
    Id(order_id): Id<OrderId>,
    OptionalKey(key): OptionalKey,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<impl IntoResponse, Problem> {
    let reason = input::reason(&body)?;
    let found = find(&app, &caller, order_id).await?;
    match found.order.status {
        OrderStatus::Cancelled | OrderStatus::Pending | OrderStatus::Reserved => {}
        OrderStatus::Confirmed => return Err(Problem::new(Code::AlreadyConfirmed)),
        OrderStatus::Failed | OrderStatus::Refunded => {
            return Err(Problem::new(Code::AlreadyEnded));
        }
    }
    let command_id = call_id(&app, &caller, "cancel", order_id.0, key.as_deref());
    let spotlight = StreamKey::from(found.order.spotlight_id);
    let command = Command::Order { command: OrderCommand::CancelOrder { order_id, reason } };
    if found.order.status != OrderStatus::Cancelled {
        match submit(&app, &caller, spotlight, command_id, command).await {
            Err(problem) if problem.code() != Code::DecisionPending => return Err(problem),
            _ => {}
        }
    }
    let found = find(&app, &caller, order_id).await?;
    let body = OrderBody::with_receipt(found.order, found.receipt);
    Ok((StatusCode::ACCEPTED, [(LOCATION, body.location())], Json(body)))
}
