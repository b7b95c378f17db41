//! The press on *buy*.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::ids::OrderId;

use super::input;
use crate::extract::body::ORDER_BODY_MAX_BYTES;
use crate::extract::idempotency::IDEMPOTENCY_REPLAYED;
use crate::extract::{JsonBody, Key, Viewer, trace};
use crate::intake::{OrderAnswer, OrderRequest};
use crate::metrics;
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::requests::NewOrder;
use crate::wire::{OfferBody, OrderBody};

/// Place an order
///
/// 202 is the durable promise: the order is in the log and will end confirmed, failed or
/// cancelled. Follow `Location` or the socket. The same key and body answer with the same order
/// and `Idempotency-Replayed: true`. Outcomes that are no fault of the request are 409 `sold_out`
/// (with `remaining`), `not_open`, `paused`, `closed`, `over_limit`, `offer_changed` (with
/// `offer`), and 503 `stock_unavailable`, `outcome_unknown`. A viewer places 10 orders per second,
/// 20 at once (429).
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders", operation_id = "placeOrder",
    request_body = NewOrder,
    params(("Idempotency-Key" = String, Header, min_length = 1, max_length = 255,
            description = "Names this order; a repeat is never a second one.")),
    responses((status = 202, description = "Accepted", body = OrderBody,
        headers(("Location" = String, description = "Where it can be read"),
                ("Idempotency-Replayed" = Option<String>, description = "`true` on a repeat"))), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["viewer"])))
)]
pub async fn place(
    State(app): State<Arc<App>>,
    Viewer(caller): Viewer,
    Key(key): Key,
    JsonBody(body): JsonBody<ORDER_BODY_MAX_BYTES>,
) -> Result<Response, Problem> {
    app.order_rate.check(&caller)?;
    let new = input::new_order(&body)?;
    let request = OrderRequest {
        seller: caller.seller,
        viewer: caller.subject,
        name: caller.name,
        key,
        spotlight: new.spotlight,
        offer_version: new.offer_version,
        lines: new.lines,
        payment: new.payment,
        reference: new.reference,
        metadata: new.metadata,
        received_at: app.clock.now(),
        traceparent: trace::current().map(|trace| trace.traceparent),
    };
    // from the take to the acknowledgement it outlives a client that hangs up (design §2)
    let ordering = Arc::clone(&app.ordering);
    let placed = app.tasks.spawn(async move { ordering.place(request).await });
    answer(placed.await.map_err(Problem::internal)??)
}

fn answer(answer: OrderAnswer) -> Result<Response, Problem> {
    metrics::order(outcome(&answer));
    let problem = match answer {
        OrderAnswer::Accepted { accepted, replayed } => {
            return accepted_response(OrderBody::from(*accepted), replayed);
        }
        OrderAnswer::SoldOut { remaining } => {
            Problem::new(Code::SoldOut).with("remaining", remaining)
        }
        OrderAnswer::UnknownSku(sku) => {
            return Err(Problem::field("/lines", format!("name {sku}, which the spotlight lacks")));
        }
        OrderAnswer::NotOpen { opens_at } => Problem::new(Code::NotOpen).with("opens_at", opens_at),
        OrderAnswer::Paused => Problem::new(Code::Paused),
        OrderAnswer::Closed => Problem::new(Code::Closed),
        OrderAnswer::OverLimit { limit, open_order } => {
            let problem = Problem::new(Code::OverLimit).with("per_viewer_limit", limit);
            match open_order {
                Some(order) => problem.location(&location(order)),
                None => problem,
            }
        }
        OrderAnswer::OfferChanged { offer } => {
            Problem::new(Code::OfferChanged).with("offer", OfferBody::from(offer))
        }
        OrderAnswer::KeyReused => Problem::new(Code::IdempotencyKeyReused),
        OrderAnswer::InFlight => Problem::new(Code::IdempotencyInFlight).retry_after(1),
        OrderAnswer::NotFound => Problem::not_found("spotlight"),
        OrderAnswer::StockUnavailable => Problem::new(Code::StockUnavailable),
        OrderAnswer::OutcomeUnknown { order } => {
            Problem::new(Code::OutcomeUnknown).location(&location(order))
        }
    };
    Err(problem)
}

fn location(order: OrderId) -> String {
    format!("/v1/orders/{order}")
}

fn accepted_response(order: OrderBody, replayed: bool) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(&order.location()).map_err(Problem::internal)?;
    let mut response = (StatusCode::ACCEPTED, [(LOCATION, location)], Json(order)).into_response();
    if replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

const fn outcome(answer: &OrderAnswer) -> &'static str {
    match answer {
        OrderAnswer::Accepted { replayed: false, .. } => "accepted",
        OrderAnswer::Accepted { replayed: true, .. } => "replayed",
        OrderAnswer::SoldOut { .. } => "sold_out",
        OrderAnswer::UnknownSku(_) => "unknown_sku",
        OrderAnswer::NotOpen { .. } => "not_open",
        OrderAnswer::Paused => "paused",
        OrderAnswer::Closed => "closed",
        OrderAnswer::OverLimit { .. } => "over_limit",
        OrderAnswer::OfferChanged { .. } => "offer_changed",
        OrderAnswer::KeyReused => "key_reused",
        OrderAnswer::InFlight => "in_flight",
        OrderAnswer::NotFound => "not_found",
        OrderAnswer::StockUnavailable => "stock_unavailable",
        OrderAnswer::OutcomeUnknown { .. } => "outcome_unknown",
    }
}
