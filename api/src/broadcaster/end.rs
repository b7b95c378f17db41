//! The end of a broadcast.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::broadcast::{BroadcastCommand, BroadcastStatus};
use domain::command::Command;
use domain::ids::{BroadcastId, SpotlightId, StreamKey, derive_id};
use domain::spotlight::{Cause, SpotlightCommand, SpotlightStatus};
use futures::StreamExt;
use futures::stream;
use uuid::Uuid;

use super::input;
use super::submit::{call_id, own_broadcast, submit};
use crate::extract::query::LIMIT_MAX;
use crate::extract::{Caller, Host, Id, OptionalJsonBody, OptionalKey};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::BroadcastBody;
use crate::wire::requests::Reason;

/// Gates that are shut at the same time.
const CLOSING_AT_ONCE: usize = 8;

/// End the show
///
/// Answers when every gate of it is shut; holds that are open finish. A repeat changes nothing.
#[utoipa::path(
    post, path = "/v1/broadcasts/{id}/end", tag = "broadcasts", operation_id = "endBroadcast",
    request_body = Option<Reason>,
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 200, description = "Ended", body = BroadcastBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn end(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<BroadcastId>,
    OptionalKey(key): OptionalKey,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Json<BroadcastBody>, Problem> {
    let reason = input::reason(&body)?;
    let view = own_broadcast(&app, &caller, id).await?;
    let command_id = call_id(&app, &caller, "end", id.0, key.as_deref());
    // what narrows acts on the gates first (design rule 11)
    close_all(&app, &caller, id, command_id).await?;
    if view.status != BroadcastStatus::Ended {
        let command = Command::Broadcast { command: BroadcastCommand::EndBroadcast { reason } };
        submit(&app, &caller, StreamKey::from(id), command_id, command).await?;
        // a spotlight may have come in between; after the end none can
        close_all(&app, &caller, id, command_id).await?;
    }
    Ok(Json(own_broadcast(&app, &caller, id).await?.into()))
}

async fn close_all(
    app: &App,
    caller: &Caller,
    id: BroadcastId,
    command_id: Uuid,
) -> Result<(), Problem> {
    let mut cursor = None;
    loop {
        let page = app.sales_board.spotlights(id, cursor.as_deref(), LIMIT_MAX).await?;
        let open: Vec<SpotlightId> = page
            .items
            .iter()
            .filter(|spotlight| spotlight.status != SpotlightStatus::Closed)
            .map(|spotlight| spotlight.id)
            .collect();
        let closing = stream::iter(open.into_iter().map(|spotlight| {
            let id = derive_id("close", &[command_id.as_bytes(), spotlight.0.as_bytes()]);
            let command = SpotlightCommand::CloseSpotlight {
                cause: Cause::BroadcastEnded,
                reason: None,
                admission: None,
            };
            let command = Command::Spotlight { command };
            submit(app, caller, StreamKey::from(spotlight), id, command)
        }));
        let closed: Vec<_> = closing.buffer_unordered(CLOSING_AT_ONCE).collect().await;
        closed.into_iter().collect::<Result<Vec<()>, _>>()?;
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(()),
        }
    }
}
