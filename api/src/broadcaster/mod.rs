//! What hosts do: broadcasts, spotlights, stock, price.

mod broadcasts;
mod chat;
mod end;
pub mod input;
mod join;
mod metrics;
mod schedule;
mod spotlights;
mod steps;
pub mod submit;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::App;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(broadcasts::create, broadcasts::list))
        .routes(routes!(broadcasts::read))
        .routes(routes!(broadcasts::start))
        .routes(routes!(end::end))
        .routes(routes!(join::join))
        .routes(routes!(metrics::read))
        .routes(routes!(schedule::create))
        .routes(routes!(spotlights::list))
        .routes(routes!(spotlights::read))
        .routes(routes!(steps::stock))
        .routes(routes!(steps::offer))
        .routes(routes!(steps::open))
        .routes(routes!(steps::pause))
        .routes(routes!(steps::resume))
        .routes(routes!(steps::close))
        .routes(routes!(steps::withdraw))
        .merge(chat::routes())
}
