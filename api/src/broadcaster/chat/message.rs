//! What is said to everybody, and what is taken away.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::broadcast::ChatAction;
use domain::ids::BroadcastId;
use domain::personal::Personal;

use super::{act, input, target};
use crate::extract::{Id, JsonBody, MessagePath, ModeratorOrHost, OptionalJsonBody, OptionalKey};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::ChatBody;
use crate::wire::requests::{Announcement, Pin};
use input::NewPin;

/// Say something to everybody
#[utoipa::path(
    post, path = "/v1/broadcasts/{id}/chat/announce", tag = "chat", operation_id = "announce",
    request_body = Announcement,
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "The chat as it is then", body = ChatBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["moderator", "host"])))
)]
pub async fn announce(
    State(app): State<Arc<App>>,
    ModeratorOrHost(caller): ModeratorOrHost,
    Id(id): Id<BroadcastId>,
    OptionalKey(key): OptionalKey,
    JsonBody(body): JsonBody,
) -> Result<Json<ChatBody>, Problem> {
    target(&app, &caller, id).await?;
    let message = input::announcement(&body)?;
    let action = ChatAction::Announce { message };
    Ok(Json(act(&app, &caller, id, ("announce", key.as_deref()), action).await?))
}

/// Keep a message above the chat
///
/// A chat message, or a text of its own; with neither, what is pinned is taken away.
#[utoipa::path(
    post, path = "/v1/broadcasts/{id}/chat/pin", tag = "chat", operation_id = "pinMessage",
    request_body = Option<Pin>,
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "The chat as it is then", body = ChatBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["moderator", "host"])))
)]
pub async fn pin(
    State(app): State<Arc<App>>,
    ModeratorOrHost(caller): ModeratorOrHost,
    Id(id): Id<BroadcastId>,
    OptionalKey(key): OptionalKey,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Json<ChatBody>, Problem> {
    target(&app, &caller, id).await?;
    let action = match input::pin(&body)? {
        NewPin::Nothing => ChatAction::Unpin,
        NewPin::Text(text) => {
            ChatAction::Pin { message_id: None, personal: Personal::text(Some(text)) }
        }
        NewPin::Message(message) => {
            let said = app.chat_log.message(id, message).await?.filter(|said| !said.hidden);
            let said =
                said.ok_or_else(|| Problem::field("/message_id", "is no message of this chat"))?;
            let personal = Personal {
                viewer: Some(said.viewer),
                name: Some(said.name),
                text: Some(said.message),
                ..Personal::default()
            };
            ChatAction::Pin { message_id: Some(message), personal }
        }
    };
    Ok(Json(act(&app, &caller, id, ("pin", key.as_deref()), action).await?))
}

/// Take a message away
///
/// It goes from every screen and from the history; the chat log keeps it, marked. A repeat changes nothing.
#[utoipa::path(
    delete, path = "/v1/broadcasts/{id}/chat/messages/{message}", tag = "chat", operation_id = "removeMessage",
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("message" = Uuid, Path, description = "The message."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "The chat as it is then", body = ChatBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["moderator", "host"])))
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    ModeratorOrHost(caller): ModeratorOrHost,
    Id(id): Id<BroadcastId>,
    MessagePath(message_id): MessagePath,
    OptionalKey(key): OptionalKey,
) -> Result<Json<ChatBody>, Problem> {
    target(&app, &caller, id).await?;
    let action = ChatAction::RemoveMessage { message_id };
    Ok(Json(act(&app, &caller, id, ("remove", key.as_deref()), action).await?))
}
