//! One order step by step.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::ids::OrderId;
use projections::replay::{AskError, Timeline, timeline};
use serde::Serialize;
use utoipa::ToSchema;

use crate::extract::{Auditor, Caller, Id};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;

/// An order on one page: what `onair replay timeline --json` prints.
#[derive(Debug, Serialize, ToSchema)]
#[schema(value_type = Object)]
pub struct AuditTimeline(Timeline);

/// What the log does not know is 404.
pub(super) fn asked(error: AskError) -> Problem {
    match error {
        AskError::Unknown(_) => Problem::not_found("order"),
        AskError::Store(error) => error.into(),
    }
}

/// An order of the caller's seller that the log has.
pub(super) async fn own_order(app: &App, caller: &Caller, order: OrderId) -> Result<(), Problem> {
    let events = app.reader.load(&domain::event::StreamId::of_order(order)).await?;
    let first = events.first().ok_or_else(|| Problem::not_found("order"))?;
    caller.owns(&first.metadata.seller, "order")
}

/// Read one order step by step, with the time between
#[utoipa::path(
    get, path = "/v1/audit/orders/{id}/timeline", tag = "audit", operation_id = "readAuditTimeline",
    params(("id" = Uuid, Path, description = "The order.")),
    responses((status = 200, description = "Every hop", body = AuditTimeline), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["auditor"])))
)]
pub async fn read(
    State(app): State<Arc<App>>,
    Auditor(caller): Auditor,
    Id(order): Id<OrderId>,
) -> Result<Json<AuditTimeline>, Problem> {
    own_order(&app, &caller, order).await?;
    let timeline = timeline(app.reader.as_ref(), order).await.map_err(asked)?;
    Ok(Json(AuditTimeline(timeline)))
}
