//! Idempotency keys.

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use domain::limits::IDEMPOTENCY_KEY_MAX_CHARS;

use crate::problem::{Code, Problem};

/// The header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header that marks the answer to a repeat.
pub const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The key that an order must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(pub String);

/// The key that a host's command may have; its ids are derived from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionalKey(pub Option<String>);

fn key_of(parts: &Parts) -> Result<Option<String>, Problem> {
    let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let fits = (1..=IDEMPOTENCY_KEY_MAX_CHARS).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic());
    if !fits || values.next().is_some() {
        return Err(Problem::new(Code::IdempotencyKeyInvalid));
    }
    Ok(Some(text.to_owned()))
}

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        key_of(parts)?.map(Self).ok_or_else(|| Problem::new(Code::IdempotencyKeyMissing))
    }
}

impl<S: Sync> FromRequestParts<S> for OptionalKey {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        key_of(parts).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn parse(keys: &[&str]) -> Result<Option<String>, Problem> {
        let mut request = Request::builder();
        for key in keys {
            request = request.header(IDEMPOTENCY_KEY, *key);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        key_of(&parts)
    }

    #[test]
    fn a_key_is_bounded_and_visible() {
        assert_eq!(parse(&[]).ok(), Some(None));
        assert!(parse(&[&"k".repeat(IDEMPOTENCY_KEY_MAX_CHARS)]).is_ok());
        for bad in [
            &["k".repeat(IDEMPOTENCY_KEY_MAX_CHARS + 1).as_str()][..],
            &[""],
            &["a b"],
            &["a", "a"],
        ] {
            let problem = parse(bad).expect_err("bad");
            assert_eq!(problem.code(), Code::IdempotencyKeyInvalid);
        }
    }
}
