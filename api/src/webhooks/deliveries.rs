//! The log of deliveries.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use uuid::Uuid;

use super::endpoints::own;
use super::wire::{DeliveryBody, DeliveryList};
use crate::extract::{Host, Id, Params};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;

/// The `{delivery}` of a path; a malformed one names nothing, so it is 404.
#[derive(Debug)]
pub struct DeliveryId(Uuid);

impl<S: Send + Sync> FromRequestParts<S> for DeliveryId {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let segments = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        let id = segments.ok().and_then(|Path(segments)| segments.get("delivery")?.parse().ok());
        id.map(Self).ok_or_else(|| Problem::not_found("delivery"))
    }
}

/// List an endpoint's deliveries, newest first
///
/// Ended ones are kept for 30 days.
#[utoipa::path(
    get, path = "/v1/webhook-endpoints/{id}/deliveries", tag = "webhooks", operation_id = "listWebhookDeliveries",
    params(("id" = Uuid, Path, description = "The endpoint."),
           ("limit" = Option<usize>, Query, minimum = 1, maximum = 200, description = "Items of the page; 50 by default."),
           ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page.")),
    responses((status = 200, description = "A page", body = DeliveryList), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<Uuid>,
    mut params: Params,
) -> Result<Json<DeliveryList>, Problem> {
    let (limit, cursor) = (params.limit(), params.cursor());
    params.finish()?;
    let endpoint = own(&app, &caller, id).await?;
    let page = app.webhooks.deliveries(endpoint.id, cursor.as_deref(), limit).await;
    Ok(Json(crate::extract::query::page(page, cursor.is_some())?.into()))
}

/// Send a message again
///
/// Under the same `webhook-id`, with all its attempts before it.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/deliveries/{delivery}/redeliver", tag = "webhooks",
    operation_id = "redeliverWebhook",
    params(("id" = Uuid, Path, description = "The endpoint."),
           ("delivery" = Uuid, Path, description = "The message.")),
    responses((status = 202, description = "It is sent", body = DeliveryBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn redeliver(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<Uuid>,
    DeliveryId(delivery): DeliveryId,
) -> Result<(StatusCode, Json<DeliveryBody>), Problem> {
    let endpoint = own(&app, &caller, id).await?;
    let due = app.webhooks.redeliver(endpoint.id, delivery, app.clock.now()).await?;
    let due = due.ok_or_else(|| Problem::not_found("delivery"))?;
    Ok((StatusCode::ACCEPTED, Json(due.into())))
}
