//! What payment providers tell.

pub mod signature;
mod webhook;

use std::sync::Arc;

use secrecy::SecretSlice;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::App;

pub use webhook::WEBHOOK_BODY_MAX_BYTES;

/// The provider whose webhooks are taken, and how they are signed.
#[derive(Debug)]
pub struct ProviderWebhooks {
    /// The provider's name in the route and in orders.
    pub provider: String,
    /// Every secret that is good; several while one is rotated, none where nothing is configured.
    pub secrets: Vec<SecretSlice<u8>>,
}

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(webhook::tell))
}
