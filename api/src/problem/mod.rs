//! Problems (RFC 9457): the one shape of every error.

mod catalogue;

use std::borrow::Cow;

use axum::http::header::{LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::ports::PortError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use catalogue::{Code, page};

use crate::extract::trace;

/// Bytes that a problem hardly ever exceeds: its text need not grow.
const PROBLEM_BYTES: usize = 768;

/// Seconds after which a request that failed for a moment may be repeated.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// One bad field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The field of the body as a JSON pointer (RFC 6901), or a query parameter as `?name`.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// The body of every error (`application/problem+json`, RFC 9457). Order outcomes have members of
/// their own beside these: `remaining`, `offer`, `opens_at`, `per_viewer_limit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// The kind of problem, `urn:onair:problem:{code}`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// What happened this time.
    pub detail: String,
    /// Every bad field; empty where no field is at fault.
    pub errors: Vec<FieldError>,
    /// The trace that the request belongs to.
    pub trace_id: String,
    /// Members of this kind of problem.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: Map<String, Value>,
}

/// The members of a [`ProblemBody`] that every problem has, as they are written: most of the texts
/// are the catalogue's own.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    errors: &'a [FieldError],
    trace_id: &'a str,
}

/// A request that was not answered as it wished.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    /// Members of its own, each as `,"name":value`.
    extra: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem, with the words of the catalogue.
    pub fn new(code: Code) -> Self {
        let problem = Self(Box::new(Inner {
            code,
            detail: Cow::Borrowed(code.meaning()),
            errors: Vec::new(),
            extra: String::new(),
            headers: Vec::new(),
        }));
        match code.status() {
            StatusCode::SERVICE_UNAVAILABLE => problem.retry_after(RETRY_AFTER_SECONDS),
            StatusCode::UNAUTHORIZED => problem.challenge(),
            _ => problem,
        }
    }

    /// Bad fields.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(Code::Invalid);
        problem.0.detail = match errors.as_slice() {
            [one] => format!("{} {}", one.pointer, one.detail).trim_start().to_owned().into(),
            many => format!("{} fields are bad; errors names them", many.len()).into(),
        };
        problem.0.errors = errors;
        problem
    }

    /// One bad field.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    /// There is no such thing, or it is another seller's.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound).detail(format!("there is no such {what}"))
    }

    /// A defect: what happened goes to the log, never to the client.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        Self::new(Code::Internal)
    }

    /// Says what happened this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Cow::Owned(detail.into());
        self
    }

    /// Says when to ask again, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Says where to look.
    #[must_use]
    pub fn location(self, path: &str) -> Self {
        match HeaderValue::from_str(path) {
            Ok(value) => self.header(LOCATION, value),
            Err(_) => self,
        }
    }

    /// Adds a header, in place of one of the same name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.retain(|(known, _)| *known != name);
        self.0.headers.push((name, value));
        self
    }

    /// Adds a member; its name needs no escape and is none of those that every problem has.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_string(&value) {
            self.0.extra.extend([",\"", name, "\":", &value]);
        }
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The bad fields.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    fn challenge(self) -> Self {
        let value = match self.0.code {
            Code::Unauthenticated => "Bearer realm=\"onair\"",
            _ => "Bearer realm=\"onair\", error=\"invalid_token\"",
        };
        self.header(WWW_AUTHENTICATE, HeaderValue::from_static(value))
    }
}

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Unavailable { what, source } => {
                tracing::warn!(what, %source, "cannot be reached");
                Self::new(Code::Unavailable).detail(format!("{what} cannot be reached"))
            }
            PortError::Closed => Self::new(Code::ShuttingDown),
            corrupt @ PortError::Corrupt { .. } => Self::internal(corrupt),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { code, detail, errors, extra, headers } = *self.0;
        let mut text = Vec::with_capacity(PROBLEM_BYTES);
        trace::with_current_id(|trace_id| {
            let body = Written {
                kind: code.type_uri(),
                title: code.title(),
                status: code.status().as_u16(),
                code: code.as_str(),
                detail: &detail,
                errors: &errors,
                trace_id,
            };
            // texts and numbers always serialise
            let _ = serde_json::to_writer(&mut text, &body);
        });
        if !extra.is_empty() {
            // the object is open again, and closed after its last member
            text.pop();
            text.extend_from_slice(extra.as_bytes());
            text.push(b'}');
        }
        let mut response = (code.status(), text).into_response();
        let out = response.headers_mut();
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in headers {
            out.insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_snake_case() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in codes {
            assert!(code.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{code}");
        }
    }

    #[test]
    fn the_page_of_errors_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
        crate::bless::check(path, &page());
    }

    #[test]
    fn what_may_be_repeated_says_when() {
        for code in Code::ALL {
            let response = Problem::new(*code).into_response();
            let due = code.status() == StatusCode::SERVICE_UNAVAILABLE;
            assert_eq!(response.headers().contains_key(RETRY_AFTER), due, "{}", code.as_str());
        }
    }

    #[tokio::test]
    async fn what_is_written_is_what_the_document_describes() {
        let errors = vec![FieldError { pointer: "/lines".into(), detail: "is empty".into() }];
        let problem = Problem::invalid(errors.clone()).with("remaining", 0);
        let response = problem.into_response();
        let written = axum::body::to_bytes(response.into_body(), 4_096).await.expect("a body");
        let read: ProblemBody = serde_json::from_slice(&written).expect("reads");
        let body = ProblemBody {
            kind: "urn:onair:problem:invalid".to_owned(),
            title: Code::Invalid.title().to_owned(),
            status: 422,
            code: "invalid".to_owned(),
            detail: "/lines is empty".to_owned(),
            errors,
            trace_id: "0".repeat(32),
            extra: Map::from_iter([("remaining".to_owned(), Value::from(0))]),
        };
        assert_eq!(read, body);
        let text = String::from_utf8(written.into()).expect("text");
        assert_eq!(text, serde_json::to_string(&body).expect("serialises"));
    }
}
