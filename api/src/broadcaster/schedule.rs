//! The seed's call: show a product.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use domain::broadcast::BroadcastStatus;
use domain::command::Command;
use domain::ids::{BroadcastId, SpotlightId, StreamKey};
use domain::spotlight::SpotlightCommand;

use super::input;
use super::spotlights::live;
use super::submit::{call_id, own_broadcast, own_spotlight, submit};
use crate::extract::{Host, Id, JsonBody, OptionalKey};
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::SpotlightBody;
use crate::wire::requests::NewSpotlight;

/// Show a product
///
/// Opens at once while the broadcast is live and no later `opens_at` is given; otherwise it waits
/// `scheduled`. With an `Idempotency-Key` the same request gives the same spotlight again.
#[utoipa::path(
    post, path = "/v1/broadcasts/{id}/products/spotlight", tag = "spotlights",
    operation_id = "createSpotlight", request_body = NewSpotlight,
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 201, description = "Prepared, and open where it can be", body = SpotlightBody,
        headers(("Location" = String, description = "Where it can be read"))), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(broadcast): Id<BroadcastId>,
    OptionalKey(key): OptionalKey,
    JsonBody(body): JsonBody,
) -> Result<impl IntoResponse, Problem> {
    let broadcast = own_broadcast(&app, &caller, broadcast).await?;
    let spotlight_id = call_id(&app, &caller, "spotlight", broadcast.id.0, key.as_deref());
    let spotlight_id = SpotlightId(spotlight_id);
    let now = app.clock.now();
    let terms = input::new_spotlight(&body, spotlight_id, &broadcast, now)?;
    if broadcast.status == BroadcastStatus::Ended {
        return Err(Problem::new(Code::BroadcastEnded));
    }
    let due = terms.opens_at.is_none_or(|opens_at| opens_at <= now);
    let open_now = broadcast.status == BroadcastStatus::Live && due;
    let command = SpotlightCommand::ScheduleSpotlight { terms: Box::new(terms), open_now };
    // another body under the same key must reach the decision and be refused there
    let command_id = call_id(&app, &caller, &body.to_string(), spotlight_id.0, key.as_deref());
    let key = StreamKey::from(spotlight_id);
    submit(&app, &caller, key, command_id, Command::Spotlight { command }).await?;
    let view = own_spotlight(&app, &caller, spotlight_id).await?;
    let location = format!("/v1/spotlights/{spotlight_id}");
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(live(&app, view).await)))
}
