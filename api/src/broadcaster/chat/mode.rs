//! Who may say something, how often, and with which words.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::broadcast::ChatAction;
use domain::ids::BroadcastId;

use super::{act, input, target};
use crate::extract::{Id, JsonBody, ModeratorOrHost, OptionalKey};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::ChatBody;
use crate::wire::requests::{BannedWords, SlowMode};

/// Let only moderators and hosts say something
///
/// A repeat changes nothing.
#[utoipa::path(
    post, path = "/v1/broadcasts/{id}/chat/freeze", tag = "chat", operation_id = "freezeChat",
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "The chat as it is then", body = ChatBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["moderator", "host"])))
)]
pub async fn freeze(
    State(app): State<Arc<App>>,
    ModeratorOrHost(caller): ModeratorOrHost,
    Id(id): Id<BroadcastId>,
    OptionalKey(key): OptionalKey,
) -> Result<Json<ChatBody>, Problem> {
    target(&app, &caller, id).await?;
    let action = ChatAction::Freeze;
    Ok(Json(act(&app, &caller, id, ("freeze", key.as_deref()), action).await?))
}

/// Let everybody say something again
///
/// A repeat changes nothing.
#[utoipa::path(
    post, path = "/v1/broadcasts/{id}/chat/thaw", tag = "chat", operation_id = "thawChat",
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "The chat as it is then", body = ChatBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["moderator", "host"])))
)]
pub async fn thaw(
    State(app): State<Arc<App>>,
    ModeratorOrHost(caller): ModeratorOrHost,
    Id(id): Id<BroadcastId>,
    OptionalKey(key): OptionalKey,
) -> Result<Json<ChatBody>, Problem> {
    target(&app, &caller, id).await?;
    let action = ChatAction::Thaw;
    Ok(Json(act(&app, &caller, id, ("thaw", key.as_deref()), action).await?))
}

/// Let a viewer say something only so often
///
/// 0 seconds end it.
#[utoipa::path(
    post, path = "/v1/broadcasts/{id}/chat/slow", tag = "chat", operation_id = "slowChat",
    request_body = SlowMode,
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "The chat as it is then", body = ChatBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["moderator", "host"])))
)]
pub async fn slow(
    State(app): State<Arc<App>>,
    ModeratorOrHost(caller): ModeratorOrHost,
    Id(id): Id<BroadcastId>,
    OptionalKey(key): OptionalKey,
    JsonBody(body): JsonBody,
) -> Result<Json<ChatBody>, Problem> {
    target(&app, &caller, id).await?;
    let seconds = input::slow(&body)?;
    let action = ChatAction::Slow { seconds };
    Ok(Json(act(&app, &caller, id, ("slow", key.as_deref()), action).await?))
}

/// Set the words that viewers may not say
///
/// They are found however they are written: width, case, marks and punctuation do not matter. Words in ASCII are found
/// as whole words, others anywhere.
#[utoipa::path(
    put, path = "/v1/broadcasts/{id}/chat/banned-words", tag = "chat", operation_id = "banWords",
    request_body = BannedWords,
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "The chat as it is then", body = ChatBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["moderator", "host"])))
)]
pub async fn ban_words(
    State(app): State<Arc<App>>,
    ModeratorOrHost(caller): ModeratorOrHost,
    Id(id): Id<BroadcastId>,
    OptionalKey(key): OptionalKey,
    JsonBody(body): JsonBody,
) -> Result<Json<ChatBody>, Problem> {
    target(&app, &caller, id).await?;
    let words = input::banned_words(&body)?;
    let action = ChatAction::BanWords { words };
    Ok(Json(act(&app, &caller, id, ("words", key.as_deref()), action).await?))
}
