//! What every request passes: trace, panic guard, time limit, origins, security headers.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use domain::ports::Ids;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::listen::{HEADERS_MAX, HEADERS_MAX_BYTES};
use super::unread;
use crate::extract::idempotency::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED};
use crate::extract::trace::{self, TRACEPARENT, X_REQUEST_ID};
use crate::problem::{Code, Problem};

/// Bounds of the public listener.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// How long an answer may take.
    pub request: Duration,
    /// Origins of web pages that may call; `*` for any.
    pub allowed_origins: Vec<String>,
}

/// Puts the layers around the routes.
pub(super) fn wrap(routes: Router, ids: Arc<dyn Ids>, limits: &HttpLimits) -> Router {
    // one stack, the outermost first: each call of `Router::layer` would box every route once more
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(ids, trace::layer))
        .layer(middleware::from_fn(headers))
        .option_layer(cors(&limits.allowed_origins))
        .layer(middleware::from_fn(unread::layer))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(limits.request, within));
    routes.layer(layers)
}

/// Puts around routes what also those pass that have limits of their own.
pub fn beside(routes: Router, ids: Arc<dyn Ids>) -> Router {
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(ids, trace::layer))
        .layer(middleware::from_fn(headers));
    routes.layer(layers)
}

/// Refuses headers over the bounds; what is so far over them that it cannot be read whole is
/// refused by the connection itself.
async fn headers(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let sizes = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    if headers.len() > HEADERS_MAX || sizes.sum::<usize>() > HEADERS_MAX_BYTES {
        return Problem::new(Code::HeadersTooLarge).into_response();
    }
    next.run(request).await
}

/// Answers within the limit, and never lets a browser guess a type.
async fn within(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(limit, next.run(request)).await;
    let mut response = answer.unwrap_or_else(|_| Problem::new(Code::Timeout).into_response());
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// What panicked is logged by the panic hook; the client learns nothing of it.
fn panicked(_panic: Box<dyn Any + Send + 'static>) -> Response {
    crate::metrics::panicked();
    Problem::internal("a handler panicked").into_response()
}

fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let allow = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    let asked =
        [header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_NONE_MATCH, IDEMPOTENCY_KEY]
            .into_iter()
            .chain([X_REQUEST_ID, TRACEPARENT]);
    let shown = [header::LOCATION, header::ETAG, header::RETRY_AFTER, IDEMPOTENCY_REPLAYED]
        .into_iter()
        .chain([X_REQUEST_ID, HeaderName::from_static("ratelimit")]);
    Some(
        CorsLayer::new()
            .allow_origin(allow)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers(asked.collect::<Vec<_>>())
            .expose_headers(shown.collect::<Vec<_>>())
            .max_age(Duration::from_mins(10)),
    )
}
