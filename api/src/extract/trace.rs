//! W3C trace context and request ids: accepted, echoed, and named in problems and logs.

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use domain::ports::Ids;
use std::sync::Arc;

/// The header of a request's own id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header of the W3C trace context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Characters of a request id that a client may choose.
pub const REQUEST_ID_MAX_CHARS: usize = 128;

tokio::task_local! {
    static CURRENT: Arc<Trace>;
}

/// The trace that a request belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// 32 hexadecimal characters.
    pub trace_id: String,
    /// Our own span in it, as a `traceparent`.
    pub traceparent: String,
    /// The request's id.
    pub request_id: String,
}

impl Trace {
    /// Continues the client's trace, or starts one.
    fn of(request: &Request, ids: &dyn Ids) -> Self {
        let text = |name: &HeaderName| request.headers().get(name).and_then(|v| v.to_str().ok());
        let own = ids.uuid();
        let fresh = own.simple().to_string();
        let parent = text(&TRACEPARENT).and_then(parse_traceparent);
        let (trace_id, flags) = match parent {
            Some((trace_id, flags)) => (trace_id.to_owned(), flags.to_owned()),
            None => (fresh.clone(), "01".to_owned()),
        };
        let (_, span) = fresh.split_at(16);
        let request_id = text(&X_REQUEST_ID)
            .filter(|id| is_request_id(id))
            .map_or_else(|| own.to_string(), ToOwned::to_owned);
        // every request comes by here, and formatting takes longer than putting texts together
        let traceparent = ["00-", &trace_id, "-", span, "-", &flags].concat();
        Self { trace_id, traceparent, request_id }
    }
}

/// The trace id and flags of a `traceparent` of version 00.
fn parse_traceparent(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower_hex = |part: &str, len| {
        part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let nonzero = |part: &str| part.bytes().any(|b| b != b'0');
    (version == "00"
        && parts.next().is_none()
        && lower_hex(trace, 32)
        && nonzero(trace)
        && lower_hex(span, 16)
        && nonzero(span)
        && lower_hex(flags, 2))
    .then_some((trace, flags))
}

fn is_request_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= REQUEST_ID_MAX_CHARS
        && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The trace id of the request that this task answers; zeros outside of one.
pub fn current_id() -> String {
    CURRENT.try_with(|trace| trace.trace_id.clone()).unwrap_or_else(|_| "0".repeat(32))
}

/// The trace of the request that this task answers.
pub fn current() -> Option<Arc<Trace>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Gives every request its trace, echoes it, and logs how the request ended. The query is never
/// logged: it may hold a connect command with a token (contract §3).
pub async fn traced(
    ids: &dyn Ids,
    request: Request,
    answer: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let trace = Arc::new(Trace::of(&request, ids));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let started = std::time::Instant::now();
    let mut response = CURRENT.scope(Arc::clone(&trace), answer(request)).await;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&trace.request_id) {
        headers.insert(X_REQUEST_ID, value);
    }
    if let Ok(value) = HeaderValue::from_str(&trace.traceparent) {
        headers.insert(TRACEPARENT, value);
    }
    let elapsed = started.elapsed();
    let status = response.status();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    crate::metrics::http_request(route, status, elapsed);
    let Trace { trace_id, request_id, .. } = trace.as_ref();
    let micros = elapsed.as_micros();
    if status.is_server_error() && status != axum::http::StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(%method, route, status = status.as_u16(), micros, trace_id, request_id, "answered");
    } else {
        tracing::debug!(%method, route, status = status.as_u16(), micros, trace_id, request_id, "answered");
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_parent_is_continued() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let good = format!("00-{trace}-00f067aa0ba902b7-01");
        assert_eq!(parse_traceparent(&good), Some((trace, "01")));
        for bad in [
            format!("01-{trace}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
            format!("{good}-more"),
            String::new(),
        ] {
            assert_eq!(parse_traceparent(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_request_id_is_bounded() {
        assert!(is_request_id(&"a".repeat(REQUEST_ID_MAX_CHARS)));
        assert!(!is_request_id(&"a".repeat(REQUEST_ID_MAX_CHARS + 1)));
        assert!(!is_request_id("a b"));
        assert!(!is_request_id(""));
    }
}
