//! Seller webhooks: endpoints and their deliveries over HTTP, and the role that sends
//! (`docs/WEBHOOKS.md`).

mod address;
mod deliveries;
mod endpoints;
mod secret;
mod sender;
mod wire;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use address::{AddressError, AddressRule};
pub use secret::{SecretKey, WebhookSecret};
pub use sender::{Sender, retry_after};

use crate::state::App;

/// Endpoints of one seller.
pub const ENDPOINTS_MAX: usize = 20;
/// Names that one endpoint may ask for.
pub const EVENTS_MAX: usize = 64;
/// How long messages are also signed with the secret before a rotation, in hours.
pub const ROTATION_OVERLAP_HOURS: i64 = 24;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(endpoints::register, endpoints::list))
        .routes(routes!(endpoints::read, endpoints::remove))
        .routes(routes!(endpoints::rotate))
        .routes(routes!(endpoints::enable))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::redeliver))
}
