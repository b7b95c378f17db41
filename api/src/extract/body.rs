//! JSON bodies: type, size, time and syntax are checked before anything reads them.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use super::strict::Strict;
use crate::problem::{Code, Problem};

/// Bytes of a body.
pub const BODY_MAX_BYTES: usize = 256 * 1024;
/// Bytes of an order's body.
pub const ORDER_BODY_MAX_BYTES: usize = 32 * 1024;
/// How long a body may take to arrive, in seconds.
pub const BODY_READ_SECONDS: u64 = 10;

/// A JSON body of at most `MAX` bytes.
#[derive(Debug)]
pub struct JsonBody<const MAX: usize = BODY_MAX_BYTES>(pub Value);

/// The text of what is said to be a JSON body, of at most `MAX` bytes; [`parse`] reads it.
#[derive(Debug)]
pub struct JsonText<const MAX: usize>(pub Bytes);

/// A JSON body that may be left out; an empty object then.
#[derive(Debug)]
pub struct OptionalJsonBody(pub Value);

impl<S: Sync, const MAX: usize> FromRequest<S> for JsonBody<MAX> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let JsonText(text) = JsonText::<MAX>::from_request(request, &()).await?;
        parse(&text).map(Self)
    }
}

impl<S: Sync, const MAX: usize> FromRequest<S> for JsonText<MAX> {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        read(request, MAX).await.map(Self)
    }
}

impl<S: Sync> FromRequest<S> for OptionalJsonBody {
    type Rejection = Problem;
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let declared = require_json(request.headers());
        let bytes = read(request, BODY_MAX_BYTES).await?;
        if bytes.is_empty() {
            return Ok(Self(Value::Object(serde_json::Map::new())));
        }
        declared?;
        parse(&bytes).map(Self)
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if essence == Some("application/json") {
        return Ok(());
    }
    let essence = essence
        .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    match essence.as_deref() {
        Some("application/json") => Ok(()),
        Some(other) if other.starts_with("application/") && other.ends_with("+json") => Ok(()),
        _ => Err(Problem::new(Code::UnsupportedMediaType)),
    }
}

fn too_large(max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge).detail(format!("the body has more than {max} bytes"))
}

/// The raw bytes of a body, at most `max`.
///
/// # Errors
/// 413, 408 or 400.
pub async fn read(request: Request<Body>, max: usize) -> Result<Bytes, Problem> {
    let declared = request.headers().get(CONTENT_LENGTH).map(HeaderValue::to_str);
    if let Some(Ok(length)) = declared
        && length.parse::<usize>().is_ok_and(|length| length > max)
    {
        return Err(too_large(max));
    }
    let whole = Limited::new(request.into_body(), max).collect();
    match tokio::time::timeout(Duration::from_secs(BODY_READ_SECONDS), whole).await {
        Err(_) => Err(Problem::new(Code::RequestTimeout)),
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(max)),
        Ok(Err(_)) => Err(Problem::new(Code::MalformedRequest)),
    }
}

/// Reads JSON that names no member of an object twice.
///
/// # Errors
/// 400 `malformed_json`.
pub fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let parsed: Result<Strict, _> = serde_json::from_slice(bytes);
    parsed.map(|Strict(value)| value).map_err(|error| {
        let what =
            if error.is_data() { "names a member twice in one object" } else { "is not JSON" };
        let at = format!("line {}, column {}", error.line(), error.column());
        Problem::new(Code::MalformedJson).detail(format!("the body {what} at {at}"))
    })
}
