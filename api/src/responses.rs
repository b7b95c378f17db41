//! Answers that every operation of the OpenAPI document has.

use std::collections::BTreeMap;

use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::problem::ProblemBody;

/// Every problem; `docs/errors.md` lists the codes.
pub struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let name = ProblemBody::name();
        let content = Content::new(Some(Ref::from_schema_name(name)));
        let response = ResponseBuilder::new()
            .description("A problem (RFC 9457); `code` is stable")
            .content("application/problem+json", content)
            .build();
        BTreeMap::from([("default".to_owned(), RefOr::T(response))])
    }
}

/// The schema of a problem, for the document's components.
pub fn problem_schema() -> (String, RefOr<utoipa::openapi::Schema>) {
    (ProblemBody::name().into_owned(), ProblemBody::schema())
}
