//! What a host does to a spotlight: stock, price, open, pause, resume, close.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::broadcast::BroadcastStatus;
use domain::command::Command;
use domain::ids::{Sku, SpotlightId, StreamKey};
use domain::money::Currency;
use domain::spotlight::{Cause, SpotlightCommand};
use serde_json::Value;

use super::input;
use super::spotlights::live;
use super::submit::{call_id, own_broadcast, own_spotlight, submit};
use crate::extract::{Caller, Host, Id, JsonBody, OptionalJsonBody, OptionalKey};
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::SpotlightBody;
use crate::wire::requests::{NewWithdrawal, OfferChange, Reason, StockChange};

/// How long what narrows waits for the board.
const BOARD_LOOK_BOUND: Duration = Duration::from_millis(500);

/// The spotlight that a host's call is for, in a broadcast that has not ended.
struct Target {
    skus: Vec<Sku>,
    currency: Currency,
    /// Whether its broadcast is live, as the board knows it; unknown where only the gate answered.
    is_live: Option<bool>,
}

async fn target(app: &App, caller: &Caller, id: SpotlightId) -> Result<Target, Problem> {
    let spotlight = own_spotlight(app, caller, id).await?;
    let broadcast = own_broadcast(app, caller, spotlight.broadcast_id).await?;
    if broadcast.status == BroadcastStatus::Ended {
        return Err(Problem::new(Code::BroadcastEnded));
    }
    Ok(Target {
        skus: spotlight.skus.into_iter().map(|terms| terms.sku).collect(),
        currency: spotlight.offer.live_price.currency,
        is_live: Some(broadcast.status == BroadcastStatus::Live),
    })
}

/// The target of what narrows: as the gate knows it where the board does not answer soon, because
/// narrowing works while PostgreSQL is down (design §6).
async fn target_at_gate(app: &App, caller: &Caller, id: SpotlightId) -> Result<Target, Problem> {
    match tokio::time::timeout(BOARD_LOOK_BOUND, target(app, caller, id)).await {
        Ok(Err(problem)) if problem.code() == Code::Unavailable => {}
        Ok(answered) => return answered,
        Err(_) => {}
    }
    let view = app.gate.view(id).await?.ok_or_else(|| Problem::new(Code::StockUnavailable))?;
    if view.offer.seller != caller.seller {
        return Err(Problem::not_found("spotlight"));
    }
    Ok(Target {
        skus: view.inventory.into_keys().collect(),
        currency: view.offer.offer.live_price.currency,
        is_live: None,
    })
}

async fn step(
    app: &App,
    caller: &Caller,
    id: SpotlightId,
    (name, key): (&str, Option<String>),
    command: SpotlightCommand,
) -> Result<Json<SpotlightBody>, Problem> {
    let command_id = call_id(app, caller, name, id.0, key.as_deref());
    let command = Command::Spotlight { command };
    submit(app, caller, StreamKey::from(id), command_id, command).await?;
    let view = own_spotlight(app, caller, id).await?;
    Ok(Json(live(app, view).await))
}

/// A step whose body is nothing but a reason.
async fn turn(
    app: &App,
    caller: &Caller,
    id: SpotlightId,
    call: (&str, Option<String>),
    body: &Value,
    command: impl FnOnce(Option<String>) -> SpotlightCommand,
) -> Result<Json<SpotlightBody>, Problem> {
    let reason = input::reason(body)?;
    step(app, caller, id, call, command(reason)).await
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
    let target = target_at_gate(&app, &caller, id).await?;
    let (sku, delta, reason) = input::stock_change(&body)?;
    if !target.skus.contains(&sku) {
        return Err(Problem::field("/sku", "is no SKU of the spotlight"));
    }
    let command =
        SpotlightCommand::AdjustStock { sku, delta, reason: Some(reason), admission: None };
    step(&app, &caller, id, ("stock", key), command).await
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
    let target = target_at_gate(&app, &caller, id).await?;
    let (live_price, reason) = input::offer_change(&body, target.currency)?;
    let command =
        SpotlightCommand::ChangeOffer { live_price, reason: Some(reason), admission: None };
    step(&app, &caller, id, ("offer", key), command).await
}

/// Stop an offer version and settle its orders
///
/// The gate stops before the answer; the spotlight stays paused until the next offer. `honour` lets
/// the orders go on at their price; `cancel` calls off what is open, and gives back what was paid
/// (`reason: withdrawn`). One that was still on its way is treated likewise. `withdrawal` of the
/// spotlight shows how far it has come. One at a time: 409 `withdrawal_in_progress`.
#[utoipa::path(
    post, path = "/v1/spotlights/{id}/withdraw", tag = "spotlights",
    operation_id = "withdrawOffer", request_body = NewWithdrawal,
    params(("id" = Uuid, Path, description = "The spotlight."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 202, description = "Stopped; its orders are being settled", body = SpotlightBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn withdraw(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<SpotlightId>,
    OptionalKey(key): OptionalKey,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<SpotlightBody>), Problem> {
    target_at_gate(&app, &caller, id).await?;
    let (offer_version, settle, reason) = input::withdrawal(&body)?;
    let command = SpotlightCommand::WithdrawOffer {
        offer_version,
        settle,
        reason: Some(reason),
        admission: None,
    };
    let body = step(&app, &caller, id, ("withdraw", key), command).await?;
    Ok((StatusCode::ACCEPTED, body))
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
    if target.is_live != Some(true) {
        return Err(Problem::new(Code::BroadcastNotLive));
    }
    let command = SpotlightCommand::OpenSpotlight { cause: Cause::Host };
    step(&app, &caller, id, ("open", key), command).await
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
    target_at_gate(&app, &caller, id).await?;
    turn(&app, &caller, id, ("pause", key), &body, |reason| SpotlightCommand::PauseSpotlight {
        reason,
        admission: None,
    })
    .await
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
    turn(&app, &caller, id, ("resume", key), &body, |reason| SpotlightCommand::ResumeSpotlight {
        reason,
    })
    .await
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
    target_at_gate(&app, &caller, id).await?;
    turn(&app, &caller, id, ("close", key), &body, |reason| SpotlightCommand::CloseSpotlight {
        cause: Cause::Host,
        reason,
        admission: None,
    })
    .await
}
