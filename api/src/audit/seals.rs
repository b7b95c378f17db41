//! The seals of the log and the keys that signed them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::seal::{KeyRecord, Seal};
use serde::Serialize;
use utoipa::ToSchema;

use crate::extract::{Auditor, Params};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;

/// A page of seals.
#[derive(Debug, Serialize, ToSchema)]
pub struct SealList {
    /// The seals, by number, as `onair replay witness export` writes them.
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<Seal>,
    /// Every public key that ever sealed.
    #[schema(value_type = Vec<Object>)]
    pub keys: Vec<KeyRecord>,
    /// Where the next page starts; null on the last one.
    pub next_cursor: Option<String>,
}

/// List the seals of the log, and the public keys
///
/// They hold hashes and nothing of what was sold: whoever keeps them is a witness.
#[utoipa::path(
    get, path = "/v1/audit/seals", tag = "audit", operation_id = "listSeals",
    params(("after" = Option<u64>, Query, description = "Only seals after this number."),
           ("limit" = Option<usize>, Query, minimum = 1, maximum = 200, description = "Items of the page; 50 by default."),
           ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page, in the place of `after`.")),
    responses((status = 200, description = "A page", body = SealList), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["auditor"])))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    _auditor: Auditor,
    mut params: Params,
) -> Result<Json<SealList>, Problem> {
    let (after, limit) = (params.after(), params.limit());
    params.finish()?;
    let mut items = app.audit.rows.seals(after.0, limit.saturating_add(1)).await?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|seal| seal.number.to_string());
    Ok(Json(SealList { items, keys: app.audit.rows.keys().await?, next_cursor }))
}
