//! Ids in paths: a malformed one names nothing, so it is 404.

use std::collections::HashMap;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use domain::ids::{OrderId, ViewerId};
use uuid::Uuid;

use crate::problem::Problem;

/// The `{id}` of a path.
#[derive(Debug, Clone, Copy)]
pub struct Id<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        segment(parts, state, "id").await.map(Self)
    }
}

async fn segment<T: FromStr, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &'static str,
) -> Result<T, Problem> {
    let segments = Path::<HashMap<String, String>>::from_request_parts(parts, state).await;
    let found = segments.ok().and_then(|Path(segments)| segments.get(name)?.parse().ok());
    found.ok_or_else(|| Problem::not_found(name))
}

/// The `{order}` of a path.
#[derive(Debug, Clone, Copy)]
pub struct OrderPath(pub OrderId);

impl<S: Send + Sync> FromRequestParts<S> for OrderPath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        segment(parts, state, "order").await.map(Self)
    }
}

/// The `{message}` of a path.
#[derive(Debug, Clone, Copy)]
pub struct MessagePath(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for MessagePath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        segment(parts, state, "message").await.map(Self)
    }
}

/// The `{viewer}` of a path.
#[derive(Debug, Clone)]
pub struct ViewerPath(pub ViewerId);

impl<S: Send + Sync> FromRequestParts<S> for ViewerPath {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        segment(parts, state, "viewer").await.map(Self)
    }
}
