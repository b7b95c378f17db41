//! What viewers do: place, read, list and cancel orders.

mod cancel;
pub mod input;
mod lookup;
mod place;
mod read;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use lookup::OrderLookup;

use crate::state::App;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(place::place, read::list))
        .routes(routes!(read::read))
        .routes(routes!(cancel::cancel))
}
