//! The OpenAPI document, generated from the handlers.

use std::sync::Arc;

use utoipa::Modify;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use crate::state::App;
use crate::{audit, broadcaster, links, ops, ordering, parked, payments, responses, webhooks};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "onair",
        description = "Orders, stock and the real-time feed of live commerce.\n\nErrors are \
            `application/problem+json` (RFC 9457) with a stable `code`. Times are RFC 3339 in UTC, \
            money is in minor units. A list has `items` and `next_cursor`.\n\nTokens are JWTs with \
            `sub`, `name?`, `role` (viewer, host, moderator, admin, auditor), `seller`, `exp` and \
            `aud: onair`. What belongs to another seller is 404. `x-roles` names the roles of an \
            operation.\n\nBodies have at most 256 KiB (32 KiB for an order), headers 32 KiB; a body \
            must arrive within 10 seconds.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "broadcasts", description = "Live shows"),
        (name = "spotlights", description = "Offers inside a broadcast"),
        (name = "chat", description = "What moderators and hosts do to a chat"),
        (name = "orders", description = "What viewers buy"),
        (name = "waitlist", description = "Who waits for what is sold out"),
        (name = "payments", description = "What payment providers tell"),
        (name = "webhooks", description = "What sellers are told"),
        (name = "audit", description = "What an auditor reads of the log"),
        (name = "operations", description = "Probes and version"),
    ),
    modifiers(&Parts)
)]
struct Document;

struct Parts;

impl Modify for Parts {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        components
            .security_schemes
            .insert("token".to_owned(), SecurityScheme::Http(scheme.build()).into());
        let signature = ApiKeyValue::new("webhook-signature");
        components.security_schemes.insert(
            "signature".to_owned(),
            SecurityScheme::ApiKey(ApiKey::Header(signature)).into(),
        );
        let (name, problem) = responses::problem_schema();
        components.schemas.insert(name, problem);
        let mut more = Vec::new();
        <crate::problem::FieldError as utoipa::ToSchema>::schemas(&mut more);
        more.push((
            <crate::problem::FieldError as utoipa::ToSchema>::name().into_owned(),
            <crate::problem::FieldError as utoipa::PartialSchema>::schema(),
        ));
        components.schemas.extend(more);
    }
}

/// Every documented route.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(broadcaster::routes())
        .merge(ordering::routes())
        .merge(payments::routes())
        .merge(webhooks::routes())
        .merge(audit::routes())
        .merge(parked::routes())
        .merge(ops::routes())
}

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = routes().into_openapi();
    links::add(&mut document);
    document
}

/// The document as it is committed.
///
/// # Errors
/// It cannot be written as JSON.
pub fn document_json() -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&document())?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_document_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/openapi.json");
        crate::bless::check(path, &super::document_json().expect("JSON"));
    }

    #[test]
    fn every_operation_names_its_roles() {
        let document: serde_json::Value =
            serde_json::from_str(&super::document_json().expect("JSON")).expect("JSON");
        assert_eq!(document["openapi"], "3.1.0");
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for (method, operation) in operations.as_object().expect("operations") {
                assert!(operation["x-roles"].is_array(), "{method} {path}");
                let open = operation["x-roles"][0] == "anyone";
                let optional = operation["security"][0] == serde_json::json!({});
                assert_eq!(open, optional, "{method} {path}");
            }
        }
    }
}
