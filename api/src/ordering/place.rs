//! The press on *buy*.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use commands::intake::{Asker, OrderRequest, PlaceRefusal};
use domain::fingerprint::Fingerprint;
use domain::ids::OrderId;
use domain::personal::Personal;
use domain::views::AcceptedOrder;

use super::{input, known_order};
use crate::extract::address::ClientAddress;
use crate::extract::body::ORDER_BODY_MAX_BYTES;
use crate::extract::idempotency::IDEMPOTENCY_REPLAYED;
use crate::extract::{Caller, JsonText, Key, Viewer, trace};
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::requests::NewOrder;
use crate::wire::{OfferBody, OrderBody};

const JSON: &str = "application/json";
/// Bytes that an order with its receipt hardly ever exceeds: its text need not grow.
const ORDER_BYTES: usize = 3 * 1_024;
/// Headers of the answer, with those that every answer gets: their map need not grow.
const HEADERS: usize = 8;

/// Place an order
///
/// 202 is the durable promise: the order is in the log and will end confirmed, failed or
/// cancelled. Follow `Location` or the socket. The same key and body answer with the same order
/// and `Idempotency-Replayed: true`. Outcomes that are no fault of the request are 409 `sold_out`
/// (with `remaining`), `not_open`, `paused`, `closed`, `over_limit`, `offer_changed` (with
/// `offer`), and 503 `stock_unavailable`, `outcome_unknown`. A viewer places 10 orders per second,
/// 20 at once (429); repeating one that is known does not count.
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
    ClientAddress(address): ClientAddress,
    Key(key): Key,
    JsonText(text): JsonText<ORDER_BODY_MAX_BYTES>,
) -> Result<Response, Problem> {
    let mut too_fast = app.order_rate.check(&caller, address).err();
    if let Some(problem) = too_fast.take_if(|_| !app.order_rate.may_repeat(&caller)) {
        return Err(problem);
    }
    let new = match input::new_order(&text, app.provider_webhooks.provider) {
        Ok(new) => new,
        Err(problem) => return Err(too_fast.unwrap_or(problem)),
    };
    let order = OrderId::derive(&caller.seller, &caller.subject, new.spotlight, &key);
    if let Some(problem) = too_fast
        && known_order(&app, order).await.is_err()
    {
        return Err(problem);
    }
    let what = (new.spotlight, new.offer_version, &new.lines);
    let viewer_ref = || app.pseudonyms.viewer_ref(&caller.seller, &caller.subject);
    let asker = Asker { viewer: caller.subject.as_str(), viewer_ref: &viewer_ref };
    if let Some(refusal) = app.intake.known_refusal(order, &caller.seller, what, asker) {
        return Err(refused(refusal));
    }
    let request = request(&app, caller, key, new);
    // from the take to the acknowledgement it outlives a client that hangs up (design §2)
    match app.intake.place_order_tracked(&app.tasks, order, request).await {
        Ok(placed) if placed.replayed => accepted(&as_it_is_now(&app, placed.order).await, true),
        Ok(placed) => accepted(&OrderBody::from(placed.order), false),
        Err(refusal) => Err(refused(refusal)),
    }
}

/// The promise of then with the order of now.
async fn as_it_is_now(app: &App, promised: AcceptedOrder) -> OrderBody {
    match app.order_book.order(promised.order.id).await {
        Ok(Some(row)) if row.version >= promised.order.version => {
            OrderBody::with_receipt(row, promised.receipt)
        }
        _ => OrderBody::from(promised),
    }
}

fn request(app: &App, caller: Caller, key: String, new: input::NewOrder) -> OrderRequest {
    let method = new.payment.as_ref().map(|choice| choice.method.as_str());
    let extra = (&new.reference, &new.metadata);
    let fingerprint =
        Fingerprint::of_order(new.spotlight, new.offer_version, &new.lines, method, &extra);
    OrderRequest {
        viewer_ref: app.pseudonyms.viewer_ref(&caller.seller, &caller.subject),
        seller: caller.seller,
        viewer: caller.subject.clone(),
        spotlight: new.spotlight,
        offer_version: new.offer_version,
        lines: new.lines,
        payment: new.payment,
        key,
        fingerprint,
        personal: Personal {
            viewer: Some(caller.subject),
            name: caller.name,
            reference: new.reference,
            metadata: new.metadata,
            ..Personal::default()
        },
        traceparent: trace::current().map(|trace| trace.traceparent().to_owned()),
    }
}

fn refused(refusal: PlaceRefusal) -> Problem {
    match refusal {
        PlaceRefusal::SoldOut { remaining } => {
            Problem::new(Code::SoldOut).with("remaining", &*remaining)
        }
        PlaceRefusal::UnknownSku { sku } => {
            Problem::field("/lines", format!("name {sku}, which the spotlight does not have"))
        }
        PlaceRefusal::NotOpen { opens_at } => {
            Problem::new(Code::NotOpen).with("opens_at", opens_at)
        }
        PlaceRefusal::Paused => Problem::new(Code::Paused),
        PlaceRefusal::Closed => Problem::new(Code::Closed),
        PlaceRefusal::OverLimit { limit, open_order } => {
            let problem = Problem::new(Code::OverLimit).with("per_viewer_limit", limit);
            match open_order {
                Some(order) => problem.location(&location(order)),
                None => problem,
            }
        }
        PlaceRefusal::OfferChanged { offer } => {
            Problem::new(Code::OfferChanged).with("offer", OfferBody::from(offer.offer))
        }
        PlaceRefusal::KeyReused => Problem::new(Code::IdempotencyKeyReused),
        PlaceRefusal::InFlight => Problem::new(Code::IdempotencyInFlight).retry_after(1),
        PlaceRefusal::NotFound => Problem::not_found("spotlight"),
        PlaceRefusal::StockUnavailable | PlaceRefusal::LogUnavailable => {
            Problem::new(Code::StockUnavailable)
        }
        PlaceRefusal::OutcomeUnknown { order } => {
            Problem::new(Code::OutcomeUnknown).location(&location(order))
        }
    }
}

fn location(order: OrderId) -> String {
    format!("/v1/orders/{order}")
}

fn accepted(order: &OrderBody, replayed: bool) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(&order.location()).map_err(Problem::internal)?;
    let mut body = Vec::with_capacity(ORDER_BYTES);
    serde_json::to_writer(&mut body, order).map_err(Problem::internal)?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::ACCEPTED;
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(LOCATION, location);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    if replayed {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
