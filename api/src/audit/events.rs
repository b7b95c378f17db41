//! The seller's events, as they are stored.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::envelope::Position;
use domain::ids::SellerId;
use domain::row::StoredRow;
use projections::replay::export::{Format, encode_row};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::extract::{Auditor, Params};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;

/// Events of all sellers that one request looks through.
pub const EVENTS_SCANNED_MAX: usize = 2_000;

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEventList {
    /// The events, by position: the lines of `onair replay export --format ndjson`.
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<Box<RawValue>>,
    /// Where the next page starts; null at the head of the log. A page may be empty and another one
    /// follow: events of other sellers lie between.
    pub next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Owner {
    seller: SellerId,
}

fn is_of(row: &StoredRow, seller: &SellerId) -> bool {
    serde_json::from_slice::<Owner>(&row.metadata).is_ok_and(|owner| owner.seller == *seller)
}

/// List the seller's events, oldest first
#[utoipa::path(
    get, path = "/v1/audit/events", tag = "audit", operation_id = "listAuditEvents",
    params(("after" = Option<u64>, Query, description = "Only events after this position."),
           ("limit" = Option<usize>, Query, minimum = 1, maximum = 200, description = "Items of the page; 50 by default."),
           ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page, in the place of `after`.")),
    responses((status = 200, description = "A page", body = AuditEventList), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["auditor"])))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Auditor(caller): Auditor,
    mut params: Params,
) -> Result<Json<AuditEventList>, Problem> {
    let (after, limit) = (params.after(), params.limit());
    params.finish()?;
    let rows = app.audit.rows.rows(after, EVENTS_SCANNED_MAX).await?;
    let is_last = rows.len() < EVENTS_SCANNED_MAX;
    let mut own = rows.iter().filter(|row| is_of(row, &caller.seller));
    let page: Vec<&StoredRow> = own.by_ref().take(limit).collect();
    let more = own.next().is_some();
    let reached = if more { page.last().copied() } else { rows.last() };
    let next = reached.map(|row| row.position).filter(|_| more || !is_last);
    let line = |row: &&StoredRow| {
        let line = encode_row(Format::Ndjson, row).map_err(Problem::internal)?;
        RawValue::from_string(line).map_err(Problem::internal)
    };
    Ok(Json(AuditEventList {
        items: page.iter().map(line).collect::<Result<_, Problem>>()?,
        next_cursor: next.map(|Position(position)| position.to_string()),
    }))
}
