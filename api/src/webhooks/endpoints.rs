//! Endpoints: register, list, read, remove, rotate the secret, enable again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use chrono::TimeDelta;
use domain::ports::{EndpointStatus, WebhookEndpoint};
use projections::webhooks::EVENTS;
use serde_json::Value;
use uuid::Uuid;

use super::wire::{EndpointBody, EndpointList, NewWebhookEndpoint};
use super::{AddressRule, ENDPOINTS_MAX, EVENTS_MAX, ROTATION_OVERLAP_HOURS};
use crate::extract::{Caller, Errors, Form, Host, Id, JsonBody, values};
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;

/// The seller's endpoint of this id.
pub(super) async fn own(app: &App, caller: &Caller, id: Uuid) -> Result<WebhookEndpoint, Problem> {
    let endpoints = app.webhooks.endpoints(&caller.seller).await?;
    let own = endpoints.into_iter().find(|endpoint| endpoint.id == id);
    own.ok_or_else(|| Problem::not_found("webhook endpoint"))
}

fn names(value: &Value) -> Result<Vec<String>, String> {
    let items = value.as_array().ok_or_else(|| "is not a list".to_owned())?;
    if items.is_empty() || items.len() > EVENTS_MAX {
        return Err(format!("has {} items, not 1 to {EVENTS_MAX}", items.len()));
    }
    let mut names: Vec<String> = vec![];
    for item in items {
        let name = item.as_str().ok_or_else(|| "has an item that is not a text".to_owned())?;
        if name != "*" && !EVENTS.contains(&name) {
            let short: String = name.chars().take(64).collect();
            return Err(format!("has {short:?}, which is no event; `*` stands for all"));
        }
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

struct New {
    url: String,
    events: Vec<String>,
    description: Option<String>,
}

fn read_new(rule: AddressRule, body: &Value) -> Result<New, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let url = form.required("url", |value| {
        let text = value.as_str().ok_or_else(|| "is not a text".to_owned())?;
        rule.read(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
    });
    let events = form.required("events", names);
    let description = form.optional("description", values::title);
    form.close();
    let read = || Some(New { url: url?, events: events?, description: description? });
    let read = read();
    errors.finish(read)
}

/// Register an endpoint for webhooks
///
/// The answer has the `secret` that messages are signed with (Standard Webhooks); it is not shown
/// again. Events from now on are sent.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints", tag = "webhooks", operation_id = "createWebhookEndpoint",
    request_body = NewWebhookEndpoint,
    responses((status = 201, description = "Registered", body = EndpointBody,
        headers(("Location" = String, description = "Where it can be read"))), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn register(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    JsonBody(body): JsonBody,
) -> Result<impl IntoResponse, Problem> {
    let new = read_new(app.webhook_rule, &body)?;
    let checked = app.webhook_rule.check(&new.url).await;
    checked.map_err(|error| Problem::field("/url", error.to_string()))?;
    let endpoint = WebhookEndpoint {
        id: app.ids.uuid(),
        seller: caller.seller,
        url: new.url,
        events: new.events,
        description: new.description,
        status: EndpointStatus::Enabled,
        disabled_reason: None,
        generation: 1,
        previous_until: None,
        failing_since: None,
        created_at: app.clock.now(),
    };
    if !app.webhooks.register(&endpoint, ENDPOINTS_MAX).await? {
        return Err(Problem::new(Code::TooManyEndpoints));
    }
    let secret = app.webhook_key.secret(endpoint.id, endpoint.generation).text();
    let location = format!("/v1/webhook-endpoints/{}", endpoint.id);
    let body = EndpointBody::with_secret(endpoint, secret);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(body)))
}

/// List the seller's endpoints, oldest first
#[utoipa::path(
    get, path = "/v1/webhook-endpoints", tag = "webhooks", operation_id = "listWebhookEndpoints",
    responses((status = 200, description = "All of them", body = EndpointList), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Host(caller): Host,
) -> Result<Json<EndpointList>, Problem> {
    let endpoints = app.webhooks.endpoints(&caller.seller).await?;
    let items = endpoints.into_iter().map(EndpointBody::from).collect();
    Ok(Json(EndpointList { items, next_cursor: None }))
}

/// Read an endpoint
#[utoipa::path(
    get, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "readWebhookEndpoint",
    params(("id" = Uuid, Path, description = "The endpoint.")),
    responses((status = 200, description = "The endpoint", body = EndpointBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn read(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<Uuid>,
) -> Result<Json<EndpointBody>, Problem> {
    Ok(Json(own(&app, &caller, id).await?.into()))
}

/// Remove an endpoint with its deliveries
#[utoipa::path(
    delete, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "deleteWebhookEndpoint",
    params(("id" = Uuid, Path, description = "The endpoint.")),
    responses((status = 204, description = "Removed"), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<Uuid>,
) -> Result<StatusCode, Problem> {
    if app.webhooks.remove(&caller.seller, id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("webhook endpoint"))
    }
}

/// Rotate an endpoint's secret
///
/// For 24 hours messages carry a signature of the new and of the old secret.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/rotate", tag = "webhooks", operation_id = "rotateWebhookSecret",
    params(("id" = Uuid, Path, description = "The endpoint.")),
    responses((status = 200, description = "With the new secret", body = EndpointBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn rotate(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<Uuid>,
) -> Result<Json<EndpointBody>, Problem> {
    let mut endpoint = own(&app, &caller, id).await?;
    endpoint.generation = endpoint.generation.saturating_add(1);
    endpoint.previous_until = Some(app.clock.now() + TimeDelta::hours(ROTATION_OVERLAP_HOURS));
    update(&app, &endpoint).await?;
    let secret = app.webhook_key.secret(endpoint.id, endpoint.generation).text();
    Ok(Json(EndpointBody::with_secret(endpoint, secret)))
}

/// Send to a disabled endpoint again
///
/// Deliveries that were given up stay so; `redeliver` sends them.
#[utoipa::path(
    post, path = "/v1/webhook-endpoints/{id}/enable", tag = "webhooks", operation_id = "enableWebhookEndpoint",
    params(("id" = Uuid, Path, description = "The endpoint.")),
    responses((status = 200, description = "Enabled", body = EndpointBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host"])))
)]
pub async fn enable(
    State(app): State<Arc<App>>,
    Host(caller): Host,
    Id(id): Id<Uuid>,
) -> Result<Json<EndpointBody>, Problem> {
    let mut endpoint = own(&app, &caller, id).await?;
    endpoint.status = EndpointStatus::Enabled;
    endpoint.disabled_reason = None;
    endpoint.failing_since = None;
    update(&app, &endpoint).await?;
    Ok(Json(endpoint.into()))
}

async fn update(app: &App, endpoint: &WebhookEndpoint) -> Result<(), Problem> {
    if app.webhooks.update(endpoint).await? {
        Ok(())
    } else {
        Err(Problem::not_found("webhook endpoint"))
    }
}
