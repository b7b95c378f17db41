//! What operators and probes read.

mod health;
pub mod readiness;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::App;

pub use health::{VersionBody, version};
pub use readiness::{Check, Readiness};

/// The routes of the public listener.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::read_version))
}

/// The ops listener: probes and metrics. It needs no parts of an api process, so that every role
/// has one.
pub fn ops_router(readiness: &Arc<Readiness>, metrics: PrometheusHandle) -> Router {
    let ready = Arc::clone(readiness);
    Router::new()
        .route("/healthz", get(|| async { health::alive() }))
        .route("/readyz", get(move || async move { health::ready(&ready).await }))
        .route("/version", get(|| async { axum::Json(version()) }))
        .route("/metrics", get(move || async move { metrics.render() }))
        .fallback(|| async { crate::problem::Problem::not_found("route") })
        .method_not_allowed_fallback(|| async {
            crate::problem::Problem::new(crate::problem::Code::MethodNotAllowed)
        })
}
