//! What viewers do: place, pay, read, list and cancel orders.

mod cancel;
mod export;
pub mod input;
mod lookup;
mod payment;
mod place;
mod read;
mod refund;
mod waitlist;

use std::sync::Arc;

pub(crate) use read::known_order;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use lookup::OrderLookup;

use crate::state::App;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(place::place, read::list))
        .routes(routes!(export::export))
        .routes(routes!(read::read))
        .routes(routes!(cancel::cancel))
        .routes(routes!(payment::pay))
        .routes(routes!(refund::refund))
        .routes(routes!(waitlist::join, waitlist::read, waitlist::leave))
}
