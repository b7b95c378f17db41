//! What a host does to a spotlight: stock, price, open, pause, resume, close.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::broadcast::BroadcastStatus;
use domain::command::Command;
use domain::ids::{SpotlightId, StreamKey};
use domain::spotlight::{Cause, SpotlightCommand};
use domain::views::SpotlightView;
use uuid::Uuid;

use super::input;
use super::spotlights::live;
use super::submit::{call_id, own_broadcast, own_spotlight, submit};
use crate::extract::{Caller, Host, Id, JsonBody, OptionalJsonBody, OptionalKey};
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::SpotlightBody;
use crate::wire::requests::{OfferChange, Reason, StockChange};

/// The spotlight that a host's call is for, in a broadcast that has not ended.
async fn target(app: &App, caller: &Caller, id: SpotlightId) -> Result<Target, Problem> {
    let spotlight = own_spotlight(app, caller, id).await?;
    let broadcast = own_broadcast(app, caller, spotlight.broadcast_id).await?;
    if broadcast.status == BroadcastStatus::Ended {
        return Err(Problem::new(Code::BroadcastEnded));
    }
    Ok(Target { spotlight, broadcast: broadcast.status })
}

struct Target {
    spotlight: SpotlightView,
    broadcast: BroadcastStatus,
}

async fn step(
    app: &App,
    caller: &Caller,
    id: SpotlightId,
    command_id: Uuid,
    command: SpotlightCommand,
) -> Result<Json<SpotlightBody>, Problem> {
    let command = Command::Spotlight { command };
    submit(app, caller, StreamKey::from(id), command_id, command).await?;
    let view = own_spotlight(app, caller, id).await?;
    Ok(Json(live(app, view).await))
}

/// Add units, or take units away
///
/// Only units that are free can be taken away: 409 `below_committed` otherwise.
#[utoipa::path(
    post, path = "/v1/spotlights/{id}/stock", tag = "spotlights", operation_id = "adjustStock",
    request_body = StockChange,
    params(("id" = Uuid, Path, description = "The spotlight."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "Adjusted", body = SpotlightBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn stock(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<SpotlightId>,
    OptionalKey(key): OptionalKey,
    JsonBody(body): JsonBody,
) -> Result<Json<SpotlightBody>, Problem> {
    let target = target(&app, &caller, id).await?;
    let (sku, delta, reason) = input::stock_change(&body)?;
    if !target.spotlight.skus.iter().any(|known| known.sku == sku) {
        return Err(Problem::field("/sku", "is no SKU of the spotlight"));
    }
    let command_id = call_id(&app, &caller, "stock", id.0, key.as_deref());
    let command =
        SpotlightCommand::AdjustStock { sku, delta, reason: Some(reason), admission: None };
    step(&app, &caller, id, command_id, command).await
}

/// Change the price
///
/// The offer's version grows by one; orders that name the old one are refused with
/// 409 `offer_changed`.
#[utoipa::path(
    post, path = "/v1/spotlights/{id}/offer", tag = "spotlights", operation_id = "changeOffer",
    request_body = OfferChange,
    params(("id" = Uuid, Path, description = "The spotlight."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "Changed", body = SpotlightBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn offer(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<SpotlightId>,
    OptionalKey(key): OptionalKey,
    JsonBody(body): JsonBody,
) -> Result<Json<SpotlightBody>, Problem> {
    let target = target(&app, &caller, id).await?;
    let currency = target.spotlight.offer.live_price.currency;
    let (live_price, reason) = input::offer_change(&body, currency)?;
    let command_id = call_id(&app, &caller, "offer", id.0, key.as_deref());
    let command =
        SpotlightCommand::ChangeOffer { live_price, reason: Some(reason), admission: None };
    step(&app, &caller, id, command_id, command).await
}

/// Take orders
///
/// Only in a live broadcast: 409 `broadcast_not_live` otherwise. A repeat changes nothing.
#[utoipa::path(
    post, path = "/v1/spotlights/{id}/open", tag = "spotlights", operation_id = "openSpotlight",
    request_body = Option<Reason>,
    params(("id" = Uuid, Path, description = "The spotlight."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "Open", body = SpotlightBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn open(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<SpotlightId>,
    OptionalKey(key): OptionalKey,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Json<SpotlightBody>, Problem> {
    let target = target(&app, &caller, id).await?;
    input::reason(&body)?;
    if target.broadcast != BroadcastStatus::Live {
        return Err(Problem::new(Code::BroadcastNotLive));
    }
    let command_id = call_id(&app, &caller, "open", id.0, key.as_deref());
    let command = SpotlightCommand::OpenSpotlight { cause: Cause::Host };
    step(&app, &caller, id, command_id, command).await
}

/// Take no orders for a while
///
/// The gate stops before the answer. A repeat changes nothing.
#[utoipa::path(
    post, path = "/v1/spotlights/{id}/pause", tag = "spotlights", operation_id = "pauseSpotlight",
    request_body = Option<Reason>,
    params(("id" = Uuid, Path, description = "The spotlight."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "Paused", body = SpotlightBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn pause(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<SpotlightId>,
    OptionalKey(key): OptionalKey,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Json<SpotlightBody>, Problem> {
    target(&app, &caller, id).await?;
    let reason = input::reason(&body)?;
    let command_id = call_id(&app, &caller, "pause", id.0, key.as_deref());
    let command = SpotlightCommand::PauseSpotlight { reason, admission: None };
    step(&app, &caller, id, command_id, command).await
}

/// Take orders again
///
/// A repeat changes nothing.
#[utoipa::path(
    post, path = "/v1/spotlights/{id}/resume", tag = "spotlights", operation_id = "resumeSpotlight",
    request_body = Option<Reason>,
    params(("id" = Uuid, Path, description = "The spotlight."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "Open", body = SpotlightBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn resume(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<SpotlightId>,
    OptionalKey(key): OptionalKey,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Json<SpotlightBody>, Problem> {
    target(&app, &caller, id).await?;
    let reason = input::reason(&body)?;
    let command_id = call_id(&app, &caller, "resume", id.0, key.as_deref());
    step(&app, &caller, id, command_id, SpotlightCommand::ResumeSpotlight { reason }).await
}

/// Take no orders any more
///
/// The gate stops before the answer; holds that are open finish. A repeat changes nothing.
#[utoipa::path(
    post, path = "/v1/spotlights/{id}/close", tag = "spotlights", operation_id = "closeSpotlight",
    request_body = Option<Reason>,
    params(("id" = Uuid, Path, description = "The spotlight."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "Closed", body = SpotlightBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn close(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<SpotlightId>,
    OptionalKey(key): OptionalKey,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Json<SpotlightBody>, Problem> {
    target(&app, &caller, id).await?;
    let reason = input::reason(&body)?;
    let command_id = call_id(&app, &caller, "close", id.0, key.as_deref());
    let command = SpotlightCommand::CloseSpotlight { cause: Cause::Host, reason, admission: None };
    step(&app, &caller, id, command_id, command).await
}
