//! The HTTP server: layers, listeners, the two-step shutdown.

mod layers;
mod listen;
mod unread;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use domain::ports::Ids;
use utoipa_swagger_ui::SwaggerUi;

use self::layers::wrap;
use crate::asyncapi;
use crate::links;
use crate::openapi;
use crate::pages;
use crate::problem::{Code, Problem};
use crate::state::App;

pub use layers::{HttpLimits, beside};
pub use listen::{Listener, Serving};

/// Everything that the public listener answers.
pub fn router(app: &Arc<App>, limits: &HttpLimits) -> Router {
    let (routes, mut document) = openapi::routes().split_for_parts();
    links::add(&mut document);
    let docs = Router::from(SwaggerUi::new("/docs").url("/openapi.json", document));
    let docs = docs.layer(middleware::map_response(no_page));
    let routes = routes
        .with_state(Arc::clone(app))
        .merge(docs)
        .merge(asyncapi::router())
        .merge(pages::router(&app.page))
        .fallback(|| async { Problem::not_found("route") })
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed) });
    wrap(routes, Arc::clone(&app.ids), limits)
}

/// The pages of the documents end in a text of their own.
async fn no_page(response: Response) -> Response {
    match response.status() {
        StatusCode::NOT_FOUND => Problem::not_found("page").into_response(),
        _ => response,
    }
}

/// What the public listener answers where this process has no routes of HTTP.
pub fn no_routes(ids: Arc<dyn Ids>, limits: &HttpLimits) -> Router {
    wrap(Router::new().fallback(|| async { Problem::not_found("route") }), ids, limits)
}
