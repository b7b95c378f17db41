//! Probes and the version.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::readiness::{Readiness, ReadinessBody};
use crate::responses::Refusals;
use crate::state::App;

/// What runs here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Version)]
pub struct VersionBody {
    /// `onair`.
    pub name: String,
    /// The version of the package.
    pub version: String,
    /// debug or release.
    pub build: String,
}

/// What runs here.
pub fn version() -> VersionBody {
    VersionBody {
        name: "onair".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
    }
}

pub(super) fn alive() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

pub(super) async fn ready(readiness: &Readiness) -> Response {
    let body = readiness.read().await;
    let ready = body.status == "ready";
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// Whether the process lives
#[utoipa::path(
    get, path = "/healthz", tag = "operations", operation_id = "healthz",
    responses((status = 200, description = "It does", body = Object), Refusals),
    security(()), extensions(("x-roles" = json!(["anyone"])))
)]
pub async fn healthz() -> Json<Value> {
    alive()
}

/// Whether the process should get requests
///
/// Each check by name; 503 where one fails.
#[utoipa::path(
    get, path = "/readyz", tag = "operations", operation_id = "readyz",
    responses((status = 200, description = "It should", body = ReadinessBody),
              (status = 503, description = "It should not", body = ReadinessBody), Refusals),
    security(()), extensions(("x-roles" = json!(["anyone"])))
)]
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    ready(&app.readiness).await
}

/// What runs here
#[utoipa::path(
    get, path = "/version", tag = "operations", operation_id = "version",
    responses((status = 200, description = "The version", body = VersionBody), Refusals),
    security(()), extensions(("x-roles" = json!(["anyone"])))
)]
pub async fn read_version() -> Json<VersionBody> {
    Json(version())
}
