//! What a viewer page needs to connect.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, StatusCode};
use domain::ids::BroadcastId;
use projections::viewer_feed::shape::{chat_channel, live_channel};

use crate::extract::{Anyone, Id};
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::JoinBody;

/// Join a broadcast
///
/// Answers with the address of the socket, the token of its connect command and the channels that
/// the server subscribes to. Who comes without a token gets an anonymous one: it watches and likes.
#[utoipa::path(
    post, path = "/v1/broadcasts/{id}/join", tag = "broadcasts", operation_id = "joinBroadcast",
    params(("id" = Uuid, Path, description = "The broadcast.")),
    responses((status = 200, description = "How to connect", body = JoinBody), Refusals),
    security((), ("token" = [])), extensions(("x-roles" = json!(["anyone"])))
)]
pub async fn join(
    State(app): State<Arc<App>>,
    Anyone(caller): Anyone,
    Id(id): Id<BroadcastId>,
    headers: HeaderMap,
) -> Result<Json<JoinBody>, Problem> {
    let view = app.sales_board.broadcast(id).await?;
    let view = view.ok_or_else(|| Problem::not_found("broadcast"))?;
    let given = caller.and_then(|caller| Some((caller, bearer(&headers)?)));
    let (subject, token) = if let Some((caller, token)) = given {
        // connecting to another seller's broadcast would be refused as well
        caller.owns(&view.seller, "broadcast")?;
        (caller.subject, token)
    } else {
        let token = app.auth.anonymous(&view.seller, app.ids.uuid(), app.clock.now());
        let token = token.map_err(Problem::internal)?;
        let caller = app.auth.verify(&token).await.map_err(Problem::internal)?;
        (caller.subject, token)
    };
    let channels = vec![live_channel(id), chat_channel(id), format!("user#{subject}")];
    Ok(Json(JoinBody { url: socket_url(&app, &headers)?, token, channels }))
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let (_, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    Some(token.trim().to_owned())
}

fn socket_url(app: &App, headers: &HeaderMap) -> Result<String, Problem> {
    if let Some(public) = &app.public_url {
        let public = public.trim_end_matches('/');
        let socket =
            public.strip_prefix("http").map_or(public.to_owned(), |rest| format!("ws{rest}"));
        return Ok(format!("{socket}/connection/websocket"));
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.filter(|host| host.parse::<axum::http::uri::Authority>().is_ok());
    let host = host.ok_or_else(|| {
        Problem::new(Code::MalformedRequest)
            .detail(format!("{}: the Host header is missing", StatusCode::BAD_REQUEST))
    })?;
    Ok(format!("ws://{host}/connection/websocket"))
}
