//! What a viewer may not do.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::broadcast::ChatAction;
use domain::ids::BroadcastId;
use domain::ids::ViewerId;

use super::{act, input, target};
use crate::extract::{Caller, Id, ModeratorOrHost, OptionalJsonBody, OptionalKey, ViewerPath};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::ChatBody;
use crate::wire::requests::{Ban, Mute};
use input::NewSanction;

fn meant(
    app: &App,
    caller: &Caller,
    viewer: ViewerId,
    body: &serde_json::Value,
    is_ban: bool,
) -> Result<NewSanction, Problem> {
    let viewer_ref = app.pseudonyms.viewer_ref(&caller.seller, &viewer);
    input::sanction(body, is_ban, (viewer, viewer_ref))
}

/// Let a viewer say nothing
///
/// For good without `seconds`.
#[utoipa::path(
    post, path = "/v1/broadcasts/{id}/chat/viewers/{viewer}/mute", tag = "chat", operation_id = "muteViewer",
    request_body = Option<Mute>,
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("viewer" = String, Path, description = "The viewer's id."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "The chat as it is then", body = ChatBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["moderator", "host"])))
)]
pub async fn mute(
    State(app): State<Arc<App>>,
    ModeratorOrHost(caller): ModeratorOrHost,
    Id(id): Id<BroadcastId>,
    ViewerPath(viewer): ViewerPath,
    OptionalKey(key): OptionalKey,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Json<ChatBody>, Problem> {
    target(&app, &caller, id).await?;
    let kind = format!("mute {viewer}");
    let NewSanction { seconds, target, .. } = meant(&app, &caller, viewer, &body, false)?;
    let action = ChatAction::Mute { target, seconds };
    Ok(Json(act(&app, &caller, id, (&kind, key.as_deref()), action).await?))
}

/// Let a viewer not come in
///
/// It is disconnected at every node, and refused until the ban ends or is lifted. With `shadow` it stays, does not
/// notice, and nobody else reads what it says.
#[utoipa::path(
    post, path = "/v1/broadcasts/{id}/chat/viewers/{viewer}/ban", tag = "chat", operation_id = "banViewer",
    request_body = Option<Ban>,
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("viewer" = String, Path, description = "The viewer's id."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "The chat as it is then", body = ChatBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["moderator", "host"])))
)]
pub async fn ban(
    State(app): State<Arc<App>>,
    ModeratorOrHost(caller): ModeratorOrHost,
    Id(id): Id<BroadcastId>,
    ViewerPath(viewer): ViewerPath,
    OptionalKey(key): OptionalKey,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Json<ChatBody>, Problem> {
    target(&app, &caller, id).await?;
    let kind = format!("ban {viewer}");
    let NewSanction { seconds, shadow, target } = meant(&app, &caller, viewer, &body, true)?;
    let action = ChatAction::Ban { target, seconds, shadow };
    Ok(Json(act(&app, &caller, id, (&kind, key.as_deref()), action).await?))
}

/// Lift mute and ban of a viewer
///
/// A repeat changes nothing.
#[utoipa::path(
    post, path = "/v1/broadcasts/{id}/chat/viewers/{viewer}/pardon", tag = "chat", operation_id = "pardonViewer",
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("viewer" = String, Path, description = "The viewer's id."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "The chat as it is then", body = ChatBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["moderator", "host"])))
)]
pub async fn pardon(
    State(app): State<Arc<App>>,
    ModeratorOrHost(caller): ModeratorOrHost,
    Id(id): Id<BroadcastId>,
    ViewerPath(viewer): ViewerPath,
    OptionalKey(key): OptionalKey,
) -> Result<Json<ChatBody>, Problem> {
    target(&app, &caller, id).await?;
    let kind = format!("pardon {viewer}");
    let body = serde_json::json!({});
    let NewSanction { target, .. } = meant(&app, &caller, viewer, &body, false)?;
    let action = ChatAction::Pardon { target };
    Ok(Json(act(&app, &caller, id, (&kind, key.as_deref()), action).await?))
}
