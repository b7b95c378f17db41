//! Spotlights as anyone reads them, with the live stock.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::fingerprint::Fingerprint;
use domain::ids::{BroadcastId, SpotlightId};
use domain::spotlight::SpotlightStatus;
use domain::views::SpotlightView;
use futures::StreamExt;
use futures::stream;
use serde::Serialize;

use crate::extract::{Anyone, Id, Params};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::{SpotlightBody, SpotlightList};

/// Gates that one list asks at the same time.
const GATES_AT_ONCE: usize = 16;

/// The spotlight with what the gate shows; with what the log knows where the gate cannot tell.
pub(super) async fn live(app: &App, view: SpotlightView) -> SpotlightBody {
    if view.status == SpotlightStatus::Closed {
        return SpotlightBody::from(view);
    }
    let gate = app.gate.view(view.id).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "the stock is shown as the log knows it");
        None
    });
    SpotlightBody::live(view, gate)
}

/// Read a spotlight with its live stock
///
/// `ETag` and `If-None-Match` save the body of a poll.
#[utoipa::path(
    get, path = "/v1/spotlights/{id}", tag = "spotlights", operation_id = "readSpotlight",
    params(("id" = Uuid, Path, description = "The spotlight."),
           ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the last answer.")),
    responses((status = 200, description = "The spotlight", body = SpotlightBody,
                headers(("ETag" = String, description = "Changes with the body"))),
              (status = 304, description = "Nothing has changed"), Refusals),
    security((), ("token" = [])), extensions(("x-roles" = json!(["anyone"])))
)]
pub async fn read(
    State(app): State<Arc<App>>,
    Anyone(_caller): Anyone,
    Id(id): Id<SpotlightId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = app.sales_board.spotlight(id).await?;
    let view = view.ok_or_else(|| Problem::not_found("spotlight"))?;
    tagged(&headers, &live(&app, view).await)
}

/// List the spotlights of a broadcast with their live stock, newest first
#[utoipa::path(
    get, path = "/v1/broadcasts/{id}/spotlights", tag = "spotlights",
    operation_id = "listSpotlights",
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("limit" = Option<usize>, Query, minimum = 1, maximum = 200, description = "Items of the page; 50 by default."),
           ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page."),
           ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the last answer.")),
    responses((status = 200, description = "A page", body = SpotlightList,
                headers(("ETag" = String, description = "Changes with the body"))),
              (status = 304, description = "Nothing has changed"), Refusals),
    security((), ("token" = [])), extensions(("x-roles" = json!(["anyone"])))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Anyone(_caller): Anyone,
    Id(broadcast): Id<BroadcastId>,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (limit, cursor) = (params.limit(), params.cursor());
    params.finish()?;
    if app.sales_board.broadcast(broadcast).await?.is_none() {
        return Err(Problem::not_found("broadcast"));
    }
    let page = app.sales_board.spotlights(broadcast, cursor.as_deref(), limit).await;
    let page = crate::extract::query::page(page, cursor.is_some())?;
    let items = stream::iter(page.items.into_iter().map(|view| live(&app, view)));
    let items = items.buffered(GATES_AT_ONCE).collect().await;
    tagged(&headers, &SpotlightList { items, next_cursor: page.next_cursor })
}

/// The body with its tag, or 304 where the client has it.
fn tagged(headers: &HeaderMap, body: &impl Serialize) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(body).map_err(Problem::internal)?;
    let tag = format!("\"{}\"", Fingerprint::of(&bytes));
    let value = HeaderValue::from_str(&tag).map_err(Problem::internal)?;
    // shown to viewers at once, so never kept without asking
    let common = [(ETAG, value), (CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if matches(headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let json = HeaderValue::from_static("application/json");
    Ok((common, [(axum::http::header::CONTENT_TYPE, json)], bytes).into_response())
}

fn matches(headers: &HeaderMap, tag: &str) -> bool {
    let asked = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    asked
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_tag_saves_the_body() {
        let tag = "\"abc\"";
        for (asked, known) in [
            ("\"abc\"", true),
            ("W/\"abc\"", true),
            ("\"x\", \"abc\"", true),
            ("*", true),
            ("\"x\"", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(asked));
            assert_eq!(matches(&headers, tag), known, "{asked}");
        }
        assert!(!matches(&HeaderMap::new(), tag));
    }
}
