//! What a broadcast has sold.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::ids::BroadcastId;
use domain::views::Inventory;

use super::submit::own_broadcast;
use crate::extract::query::LIMIT_MAX;
use crate::extract::{HostOrAuditor, Id};
use crate::problem::Problem;
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::{MetricsBody, UnmetDemandBody};

/// Read what a broadcast has sold
#[utoipa::path(
    get, path = "/v1/broadcasts/{id}/metrics", tag = "broadcasts", operation_id = "readMetrics",
    params(("id" = Uuid, Path, description = "The broadcast.")),
    responses((status = 200, description = "The numbers", body = MetricsBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["host", "auditor"])))
)]
pub async fn read(
    State(app): State<Arc<App>>,
    HostOrAuditor(caller): HostOrAuditor,
    Id(id): Id<BroadcastId>,
) -> Result<Json<MetricsBody>, Problem> {
    let view = own_broadcast(&app, &caller, id).await?;
    let totals = app.sales_board.totals(id).await?;
    let totals = totals.ok_or_else(|| Problem::not_found("broadcast"))?;
    let (stock, unmet) = stock_and_demand(&app, id).await?;
    let room = app.room_book.totals(id).await?;
    Ok(Json(MetricsBody::new(&view, (&totals, &stock, room), unmet, app.clock.now())))
}

/// The stock of all spotlights of a broadcast together, as the log knows it, and what was refused.
async fn stock_and_demand(
    app: &App,
    id: BroadcastId,
) -> Result<(Inventory, UnmetDemandBody), Problem> {
    let (mut sum, mut refused) = (Inventory::default(), Vec::new());
    let mut cursor = None;
    loop {
        let page = app.sales_board.spotlights(id, cursor.as_deref(), LIMIT_MAX).await?;
        for stock in page.items.iter().flat_map(|spotlight| spotlight.inventory.values()) {
            sum.limited_quantity += stock.limited_quantity;
            sum.remaining += stock.remaining;
            sum.held += stock.held;
            sum.sold += stock.sold;
        }
        for spotlight in &page.items {
            refused.extend(app.demand.rows(spotlight.id).await?);
        }
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok((sum, UnmetDemandBody::of(&refused))),
        }
    }
}
