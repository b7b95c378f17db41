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

/// The trace that a request belongs to, as the headers that tell the client: every request comes by
/// here, and each text is made once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    traceparent: HeaderValue,
    request_id: HeaderValue,
}

impl Trace {
    /// Continues the client's trace, or starts one.
    fn of(request: &Request, ids: &dyn Ids) -> Self {
        let header = |name: &HeaderName| request.headers().get(name);
        let own = ids.uuid();
        let (mut fresh, mut named) = ([0; 32], [0; 36]);
        let fresh: &str = own.simple().encode_lower(&mut fresh);
        let parent = header(&TRACEPARENT).and_then(|v| v.to_str().ok()).and_then(parse_traceparent);
        let (trace_id, flags) = parent.unwrap_or((fresh, "01"));
        let (_, span) = fresh.split_at(16);
        let request_id = header(&X_REQUEST_ID)
            .filter(|id| id.to_str().is_ok_and(is_request_id))
            .cloned()
            .unwrap_or_else(|| value(own.hyphenated().encode_lower(&mut named)));
        Self { traceparent: traceparent(trace_id, span, flags), request_id }
    }

    /// 32 hexadecimal characters.
    pub fn trace_id(&self) -> &str {
        self.traceparent().get(TRACE_ID_AT).unwrap_or(NO_TRACE)
    }

    /// Our own span in the trace.
    pub fn traceparent(&self) -> &str {
        self.traceparent.to_str().unwrap_or_default()
    }

    /// The request's id.
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }
}

/// Where the trace id stands in a `traceparent`.
const TRACE_ID_AT: std::ops::Range<usize> = 3..35;
/// The trace id of what belongs to none.
const NO_TRACE: &str = "00000000000000000000000000000000";

/// Of ASCII, which every id is.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

fn traceparent(trace_id: &str, span: &str, flags: &str) -> HeaderValue {
    let text = ["00-", trace_id, "-", span, "-", flags].concat();
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
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

/// Reads the trace id of the request that this task answers; zeros outside of one.
pub fn with_current_id<T>(read: impl FnOnce(&str) -> T) -> T {
    match current() {
        Some(trace) => read(trace.trace_id()),
        None => read(NO_TRACE),
    }
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
    headers.insert(X_REQUEST_ID, trace.request_id.clone());
    headers.insert(TRACEPARENT, trace.traceparent.clone());
    let elapsed = started.elapsed();
    let status = response.status();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    crate::metrics::http_request(route, status, elapsed);
    let (trace_id, request_id) = (trace.trace_id(), trace.request_id());
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
