//! What was said, for whoever has to look into it.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::broadcast::ChatRules;
use domain::ids::BroadcastId;
use domain::ports::{ChatRecord, PortError};
use futures::stream;

use super::rules;
use crate::broadcaster::submit::own_broadcast;
use crate::extract::query::ExportFormat;
use crate::extract::{Id, ModeratorOrHost, Params};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::ChatLine;

/// Messages that are read at once.
const PAGE: usize = 500;

/// Export what was said
///
/// Oldest first, as CSV or as one JSON object per line (`format`, else `Accept`); messages that were
/// taken away or hidden are in it, marked.
#[utoipa::path(
    get, path = "/v1/broadcasts/{id}/chat/export", tag = "chat", operation_id = "exportChat",
    params(("id" = Uuid, Path, description = "The broadcast."),
           ("format" = Option<String>, Query, description = "csv or ndjson; csv by default.")),
    responses((status = 200, description = "The messages", content(
        (String = "text/csv"), (ChatLine = "application/x-ndjson"))), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["moderator", "host"])))
)]
pub async fn export(
    State(app): State<Arc<App>>,
    ModeratorOrHost(caller): ModeratorOrHost,
    Id(id): Id<BroadcastId>,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, Problem> {
    let format = params.export_format();
    params.finish()?;
    own_broadcast(&app, &caller, id).await?;
    let format = format.unwrap_or_else(|| {
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
        let wants_lines = accept.is_some_and(|accept| accept.contains("ndjson"));
        if wants_lines { ExportFormat::Ndjson } else { ExportFormat::Csv }
    });
    let (media_type, ending, head) = match format {
        ExportFormat::Csv => ("text/csv; charset=utf-8", "csv", ChatLine::CSV_HEAD),
        ExportFormat::Ndjson => ("application/x-ndjson", "ndjson", ""),
    };
    let rules = rules(&app, id).await?;
    let reading = Reading { app, id, rules, format, next: Next::First, waiting: VecDeque::new() };
    let head = stream::iter([Ok::<Bytes, PortError>(Bytes::from_static(head.as_bytes()))]);
    let lines = stream::try_unfold(reading, Reading::next);
    let body = Body::from_stream(futures::StreamExt::chain(head, lines));
    let name = format!("attachment; filename=\"chat-{id}.{ending}\"");
    let name = HeaderValue::from_str(&name).map_err(Problem::internal)?;
    let headers =
        [(CONTENT_TYPE, HeaderValue::from_static(media_type)), (CONTENT_DISPOSITION, name)];
    Ok((headers, body).into_response())
}

enum Next {
    First,
    After(String),
    Nothing,
}

/// A read of the chat log, page by page.
struct Reading {
    app: Arc<App>,
    id: BroadcastId,
    rules: ChatRules,
    format: ExportFormat,
    next: Next,
    waiting: VecDeque<ChatRecord>,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, PortError> {
        if self.waiting.is_empty() {
            let cursor = match &self.next {
                Next::First => None,
                Next::After(cursor) => Some(cursor.as_str()),
                Next::Nothing => return Ok(None),
            };
            let page = self.app.chat_log.page(self.id, cursor, PAGE).await?;
            self.next = page.next_cursor.map_or(Next::Nothing, Next::After);
            self.waiting = page.items.into();
        }
        let mut lines = String::new();
        while let Some(record) = self.waiting.pop_front() {
            let removed_at = self.rules.removed.get(&record.id).copied();
            let line = ChatLine::new(record, removed_at);
            match self.format {
                ExportFormat::Csv => lines.push_str(&line.csv()),
                ExportFormat::Ndjson => {
                    let json = serde_json::to_string(&line);
                    lines.push_str(&json.map_err(|error| PortError::corrupt("chat_log", error))?);
                    lines.push('\n');
                }
            }
        }
        Ok(Some((lines.into(), self)))
    }
}
