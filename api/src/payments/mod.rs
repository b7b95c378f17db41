//! What payment providers are asked, and what they tell.

mod client;
mod http;
mod provider;
pub mod signature;
pub mod stripe;
mod webhook;

use std::sync::Arc;

use secrecy::SecretSlice;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::App;

pub use client::{ANSWER_MAX_BYTES, ClientError, ProviderClient};
pub use http::HttpGateway;
pub use provider::Provider;
pub use stripe::StripeGateway;
pub use webhook::WEBHOOK_BODY_MAX_BYTES;

/// The provider whose webhooks are taken, and how they are signed.
#[derive(Debug)]
pub struct ProviderWebhooks {
    /// The configured provider.
    pub provider: Provider,
    /// Every secret that is good; several while one is rotated, none where nothing is configured.
    pub secrets: Vec<SecretSlice<u8>>,
}

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(webhook::tell))
}
