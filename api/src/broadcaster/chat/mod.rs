//! What moderators and hosts do to a chat.

mod export;
mod input;
mod message;
mod mode;
mod viewers;

use std::sync::Arc;

use domain::broadcast::{BroadcastCommand, BroadcastStatus, ChatAction, ChatRules};
use domain::command::Command;
use domain::envelope::Position;
use domain::ids::{BroadcastId, StreamKey};
use projections::viewer_feed::chat::follow_rules;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::submit::{call_id, own_broadcast, submit};
use crate::extract::Caller;
use crate::problem::{Code, Problem};
use crate::state::App;
use crate::wire::ChatBody;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(message::announce))
        .routes(routes!(message::pin))
        .routes(routes!(message::remove))
        .routes(routes!(mode::freeze))
        .routes(routes!(mode::thaw))
        .routes(routes!(mode::slow))
        .routes(routes!(mode::ban_words))
        .routes(routes!(viewers::mute))
        .routes(routes!(viewers::ban))
        .routes(routes!(viewers::pardon))
        .routes(routes!(export::export))
}

/// A chat of the caller's seller that may still be changed.
async fn target(app: &App, caller: &Caller, id: BroadcastId) -> Result<(), Problem> {
    let broadcast = own_broadcast(app, caller, id).await?;
    if broadcast.status == BroadcastStatus::Ended {
        return Err(Problem::new(Code::BroadcastEnded));
    }
    Ok(())
}

/// Carries an action out; answers with the chat as it is then.
async fn act(
    app: &App,
    caller: &Caller,
    id: BroadcastId,
    (kind, key): (&str, Option<&str>),
    action: ChatAction,
) -> Result<ChatBody, Problem> {
    let command_id = call_id(app, caller, kind, id.0, key);
    let command = Command::Broadcast { command: BroadcastCommand::ModerateChat { action } };
    submit(app, caller, StreamKey::from(id), command_id, command).await?;
    Ok(ChatBody::new(id, command_id, &rules(app, id).await?))
}

/// The rules of a chat, as the log has them.
async fn rules(app: &App, id: BroadcastId) -> Result<ChatRules, Problem> {
    let mut rules = ChatRules::default();
    follow_rules(app.reader.as_ref(), id, &mut rules, Position::START).await?;
    Ok(rules)
}
