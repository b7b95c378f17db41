//! Broadcasts: announce, list, read, start.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use domain::broadcast::BroadcastCommand;
use domain::command::Command;
use domain::ids::{BroadcastId, StreamKey};
use uuid::Uuid;

use super::input;
use super::submit::{call_id, own_broadcast, submit};
use crate::extract::{Anyone, Host, Id, JsonBody, OptionalJsonBody, OptionalKey, Params};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::requests::{NewBroadcast, Reason};
use crate::wire::{BroadcastBody, BroadcastList};

/// Announce a show
///
/// With an `Idempotency-Key` the same request gives the same broadcast again.
#[utoipa::path(
    post, path = "/v1/broadcasts", tag = "broadcasts", operation_id = "createBroadcast",
    request_body = NewBroadcast,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 201, description = "Announced", body = BroadcastBody,
        headers(("Location" = String, description = "Where it can be read"))), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    OptionalKey(key): OptionalKey,
    JsonBody(body): JsonBody,
) -> Result<impl IntoResponse, Problem> {
    let new = input::new_broadcast(&body, app.clock.now())?;
    let id = call_id(&app, &caller, "broadcast", Uuid::nil(), key.as_deref());
    let broadcast_id = BroadcastId(id);
    let command = BroadcastCommand::ScheduleBroadcast {
        broadcast_id,
        title: new.title,
        currency: new.currency,
        starts_at: new.starts_at,
    };
    // with a key, the command's id is the body's too: another body under the same key must reach
    // the decision and be refused there
    let command_id = call_id(&app, &caller, &body.to_string(), id, key.as_deref());
    submit(
        &app,
        &caller,
        StreamKey::from(broadcast_id),
        command_id,
        Command::Broadcast { command },
    )
    .await?;
    let view = own_broadcast(&app, &caller, broadcast_id).await?;
    let location = format!("/v1/broadcasts/{broadcast_id}");
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(BroadcastBody::from(view))))
}

/// List the seller's broadcasts, newest first
#[utoipa::path(
    get, path = "/v1/broadcasts", tag = "broadcasts", operation_id = "listBroadcasts",
    params(("limit" = Option<usize>, Query, minimum = 1, maximum = 200, description = "Items of the page; 50 by default."),
           ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page.")),
    responses((status = 200, description = "A page", body = BroadcastList), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    mut params: Params,
) -> Result<Json<BroadcastList>, Problem> {
    let (limit, cursor) = (params.limit(), params.cursor());
    params.finish()?;
    let page = app.sales_board.broadcasts(&caller.seller, cursor.as_deref(), limit).await;
    Ok(Json(crate::extract::query::page(page, cursor.is_some())?.into()))
}

/// Read a broadcast
#[utoipa::path(
    get, path = "/v1/broadcasts/{id}", tag = "broadcasts", operation_id = "readBroadcast",
    params(("id" = Uuid, Path, description = "The broadcast.")),
    responses((status = 200, description = "The broadcast", body = BroadcastBody), Refusals),
    security((), ("token" = [])), extensions(("x-roles" = json!(["anyone"])))
)]
pub async fn read(
    State(app): State<Arc<App>>,
    Anyone(_caller): Anyone,
    Id(id): Id<BroadcastId>,
) -> Result<Json<BroadcastBody>, Problem> {
    let view = app.sales_board.broadcast(id).await?;
    view.map(|view| Json(view.into())).ok_or_else(|| Problem::not_found("broadcast"))
}

/// Go live
///
/// A repeat changes nothing. Spotlights whose time has come open.
#[utoipa::path(
    post, path = "/v1/broadcasts/{id}/start", tag = "broadcasts", operation_id = "startBroadcast",
    request_body = Option<Reason>,
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "Live", body = BroadcastBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn start(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<BroadcastId>,
    OptionalKey(key): OptionalKey,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Json<BroadcastBody>, Problem> {
    input::reason(&body)?;
    own_broadcast(&app, &caller, id).await?;
    let command_id = call_id(&app, &caller, "start", id.0, key.as_deref());
    let command = Command::Broadcast { command: BroadcastCommand::StartBroadcast };
    submit(&app, &caller, StreamKey::from(id), command_id, command).await?;
    Ok(Json(own_broadcast(&app, &caller, id).await?.into()))
}
