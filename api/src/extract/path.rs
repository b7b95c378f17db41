//! Ids in paths: a malformed one names nothing, so it is 404.

use std::collections::HashMap;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::problem::Problem;

/// The `{id}` of a path.
#[derive(Debug, Clone, Copy)]
pub struct Id<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let segments = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
        let id = segments.ok().and_then(|Path(segments)| segments.get("id")?.parse().ok());
        id.map(Self).ok_or_else(|| Problem::not_found("id"))
    }
}
