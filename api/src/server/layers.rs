//! What every request passes: trace, panic guard, time limit, origins, security headers.

use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use domain::ports::Ids;
use futures::future::BoxFuture;
use tower::{Layer, Service, ServiceBuilder};
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

/// What the outermost layer works with.
#[derive(Clone)]
struct Around {
    ids: Arc<dyn Ids>,
    limit: Duration,
}

/// Puts the layers around the routes.
pub(super) fn wrap(routes: Router, ids: Arc<dyn Ids>, limits: &HttpLimits) -> Router {
    // one stack, the outermost first, because each call of `Router::layer` boxes every route once
    // more; and a layer of our own, because `from_fn` boxes what is inside it for each request
    let layers = ServiceBuilder::new()
        .layer(AroundLayer(Around { ids, limit: limits.request }))
        .option_layer(cors(&limits.allowed_origins))
        .layer(CatchPanicLayer::custom(panicked));
    routes.layer(layers)
}

/// Puts around routes what also those pass that have limits of their own.
pub fn beside(routes: Router, ids: Arc<dyn Ids>) -> Router {
    routes.layer(middleware::from_fn_with_state(ids, traced_and_bounded))
}

async fn traced_and_bounded(
    State(ids): State<Arc<dyn Ids>>,
    request: Request,
    next: Next,
) -> Response {
    trace::traced(ids.as_ref(), request, async |request| match headers(&request) {
        Err(problem) => problem.into_response(),
        Ok(()) => next.run(request).await,
    })
    .await
}

/// Refuses headers over the bounds; what is so far over them that it cannot be read whole is
/// refused by the connection itself.
fn headers(request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let sizes = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    if headers.len() > HEADERS_MAX || sizes.sum::<usize>() > HEADERS_MAX_BYTES {
        return Err(Problem::new(Code::HeadersTooLarge));
    }
    Ok(())
}

#[derive(Clone)]
struct AroundLayer(Around);

impl<S> Layer<S> for AroundLayer {
    type Service = AroundService<S>;

    fn layer(&self, inner: S) -> AroundService<S> {
        AroundService { around: self.0.clone(), inner }
    }
}

/// Traces each request and answers it within the limit, whatever was read of its body.
#[derive(Clone)]
struct AroundService<S> {
    around: Around,
    inner: S,
}

impl<S> Service<Request> for AroundService<S>
where
    S: Service<Request, Response: IntoResponse, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Around { ids, limit } = self.around.clone();
        let next = self.inner.clone();
        // the one that said it is ready
        let inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let answer = async |request| {
                if let Err(problem) = headers(&request) {
                    return problem.into_response();
                }
                unread::answered(request, async |request| within(limit, request, inner).await).await
            };
            Ok(trace::traced(ids.as_ref(), request, answer).await)
        })
    }
}

/// Answers within the limit, and never lets a browser guess a type.
async fn within<S>(limit: Duration, request: Request, mut inner: S) -> Response
where
    S: Service<Request, Response: IntoResponse, Error = Infallible>,
{
    let mut response = match tokio::time::timeout(limit, inner.call(request)).await {
        Ok(Ok(response)) => response.into_response(),
        Err(_) => Problem::new(Code::Timeout).into_response(),
    };
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
