//! A provider tells what became of a payment.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use domain::actor::Actor;
use domain::command::{Command, CommandRecord};
use domain::ids::{CommandId, CorrelationId, OrderId, derive_id};
use domain::order::OrderCommand;
use domain::payment::PaymentResult;
use domain::ports::AppendError;
use serde::Deserialize;

use super::provider::Provider;
use super::signature::{Signed, is_signed};
use super::stripe;
use crate::extract::body::read;
use crate::extract::trace;
use crate::ordering::known_order;
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::requests::ProviderEvent;

/// Bytes of a webhook's body.
pub const WEBHOOK_BODY_MAX_BYTES: usize = 64 * 1024;
/// Seconds after which a provider is asked to tell again.
const TELL_AGAIN_SECONDS: u32 = 5;

/// What is told, as it is read; [`ProviderEvent`] documents it.
#[derive(Debug, Deserialize)]
struct Told {
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    order_id: OrderId,
    attempt: u32,
    result: PaymentResult,
}

/// Tell what became of a payment
///
/// By the payment provider, signed by Standard Webhooks (`webhook-id`, `webhook-timestamp`,
/// `webhook-signature` over the raw body), or by Stripe (`Stripe-Signature`). 204 once it is
/// durable, and for what is of no payment here; the same event again is taken in once. A signature that is missing, wrong or older than 5 minutes is 401
/// `signature_invalid`. An order that is not known yet is 503: tell it again.
#[utoipa::path(
    post, path = "/v1/payments/{provider}/webhook", tag = "payments", operation_id = "tellPayment",
    request_body = ProviderEvent,
    params(("provider" = String, Path, description = "The configured provider."),
           ("webhook-id" = Option<String>, Header, description = "The event's id, the same each time it is told."),
           ("webhook-timestamp" = Option<String>, Header, description = "When this try was made, in seconds."),
           ("webhook-signature" = Option<String>, Header, description = "`v1,` and base64, several with spaces between."),
           ("stripe-signature" = Option<String>, Header, description = "Stripe's own, instead of the three above.")),
    responses((status = 204, description = "It is durable"), Refusals),
    security(("signature" = [])), extensions(("x-roles" = json!(["signature"])))
)]
pub async fn tell(
    State(app): State<Arc<App>>,
    Path(provider): Path<String>,
    request: Request<Body>,
) -> Result<StatusCode, Problem> {
    let headers = request.headers().clone();
    let body = read(request, WEBHOOK_BODY_MAX_BYTES).await?;
    let known = &app.provider_webhooks;
    // a provider that is not configured has no signature either
    if provider != known.provider.name() {
        return Err(invalid());
    }
    let told = match known.provider {
        Provider::Stripe => by_stripe(&app, &headers, &body)?,
        Provider::Simulated | Provider::Http => Some(by_standard(&app, &headers, &body)?),
    };
    let Some((event, data)) = told else { return Ok(StatusCode::NO_CONTENT) };
    let record = record(&app, &provider, &event, data).await?;
    match app.intake.append(&record).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(AppendError::Refused(_) | AppendError::Unknown(_)) => Err(again()),
    }
}

fn invalid() -> Problem {
    Problem::new(Code::SignatureInvalid)
}

fn malformed(error: impl std::fmt::Display) -> Problem {
    Problem::new(Code::MalformedRequest).detail(error.to_string())
}

/// By Standard Webhooks: the event's id and what it tells.
fn by_standard(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<(String, Data), Problem> {
    let signed = signed_of(headers).ok_or_else(invalid)?;
    if !is_signed(&app.provider_webhooks.secrets, &signed, body, app.clock.now()) {
        return Err(invalid());
    }
    let told: Told = serde_json::from_slice(body).map_err(malformed)?;
    Ok((signed.id.to_owned(), told.data))
}

/// By Stripe; nothing where the event is of no payment here.
fn by_stripe(
    app: &App,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<(String, Data)>, Problem> {
    let header = headers.get("stripe-signature").and_then(|value| value.to_str().ok());
    let header = header.ok_or_else(invalid)?;
    if !stripe::is_signed(&app.provider_webhooks.secrets, header, body, app.clock.now()) {
        return Err(invalid());
    }
    let event: stripe::StripeEvent = serde_json::from_slice(body).map_err(malformed)?;
    let id = event.id.clone();
    Ok(event.told().map(|told| {
        let data = Data { order_id: told.order, attempt: told.attempt, result: told.result };
        (id, data)
    }))
}

/// Before its order, or while the log is away: it is not durable, so it is not taken.
fn again() -> Problem {
    Problem::new(Code::Unavailable).retry_after(TELL_AGAIN_SECONDS)
}

fn signed_of(headers: &HeaderMap) -> Option<Signed<'_>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Some(Signed {
        id: text("webhook-id")?,
        timestamp: text("webhook-timestamp")?,
        signatures: text("webhook-signature")?,
    })
}

/// The command; its id follows from the provider's event, so that the writer's inbox knows a repeat
/// in the transaction of its decision.
async fn record(
    app: &App,
    provider: &str,
    event: &str,
    data: Data,
) -> Result<CommandRecord, Problem> {
    let Data { order_id, attempt, result } = data;
    let order = match known_order(app, order_id).await {
        Ok(order) => order,
        Err(problem) if problem.code() == Code::NotFound => return Err(again()),
        Err(problem) => return Err(problem),
    };
    let id = derive_id("provider_event", &[provider.as_bytes(), event.as_bytes()]);
    let command = OrderCommand::TellPayment { order_id, attempt, result };
    Ok(CommandRecord {
        command_id: CommandId(id),
        seller: order.seller,
        key: order.spotlight_id.into(),
        correlation: CorrelationId(order_id.0),
        causation: None,
        traceparent: trace::current().map(|trace| trace.traceparent().to_owned()),
        actor: Actor::system(),
        issued_at: app.clock.now(),
        command: Command::Order { command },
    })
}
