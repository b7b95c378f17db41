//! The HTTP server: layers, listeners, the two-step shutdown.

mod layers;
mod listen;
mod unread;

use std::sync::Arc;

use axum::Router;
use utoipa_swagger_ui::SwaggerUi;

use crate::openapi;
use crate::pages;
use crate::problem::{Code, Problem};
use crate::state::App;

pub use layers::{HttpLimits, wrap};
pub use listen::{Listener, Serving};

/// Everything that the public listener answers.
pub fn router(app: &Arc<App>, limits: &HttpLimits) -> Router {
    let (routes, document) = openapi::routes().split_for_parts();
    let docs = SwaggerUi::new("/docs").url("/openapi.json", document);
    let routes = routes
        .with_state(Arc::clone(app))
        .merge(docs)
        .merge(pages::router(&app.page))
        .fallback(|| async { Problem::not_found("route") })
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed) });
    wrap(routes, Arc::clone(&app.ids), limits)
}
