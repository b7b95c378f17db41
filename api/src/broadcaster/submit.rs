//! A host's command on its way: its id, its answer.

use commands::intake::HostRefusal;
use domain::command::{Command, CommandRecord};
use domain::ids::{BroadcastId, CommandId, CorrelationId, SpotlightId, StreamKey, derive_id};
use domain::views::{BroadcastView, SpotlightView};
use std::sync::Arc;
use uuid::Uuid;

use crate::extract::{Caller, trace};
use crate::problem::{Code, Problem};
use crate::state::App;

/// An id for a host's call: derived where the call has an idempotency key, so that its repeat is
/// recognised (design rule 14).
pub fn call_id(app: &App, caller: &Caller, kind: &str, of: Uuid, key: Option<&str>) -> Uuid {
    match key {
        None => app.ids.uuid(),
        Some(key) => {
            derive_id(kind, &[caller.seller.as_str().as_bytes(), of.as_bytes(), key.as_bytes()])
        }
    }
}

/// Carries a command out.
///
/// # Errors
/// The refusal, or 503 where the answer is not there in time.
pub async fn submit(
    app: &App,
    caller: &Caller,
    key: StreamKey,
    command_id: Uuid,
    command: Command,
) -> Result<(), Problem> {
    let record = CommandRecord {
        command_id: CommandId(command_id),
        seller: caller.seller.clone(),
        key,
        correlation: CorrelationId(command_id),
        causation: None,
        traceparent: trace::current().map(|trace| trace.traceparent().to_owned()),
        actor: caller.actor(app),
        issued_at: app.clock.now(),
        command,
    };
    // from the gate to the log it outlives a client that hangs up (design §2)
    let intake = Arc::clone(&app.intake);
    let submitted = app.tasks.spawn(async move { intake.submit(record).await });
    match submitted.await.map_err(Problem::internal)? {
        Ok(_) => Ok(()),
        Err(refusal) => Err(refused(refusal)),
    }
}

/// Why a command was not carried out, as a problem.
fn refused(refusal: HostRefusal) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        HostRefusal::NotFound => Problem::new(Code::NotFound).detail(detail),
        HostRefusal::Refused { code, detail } => said_no(&code, detail),
        HostRefusal::KeyReused => Problem::new(Code::IdempotencyKeyReused),
        HostRefusal::BelowCommitted { remaining } => {
            Problem::new(Code::BelowCommitted).detail(detail).with("remaining", remaining)
        }
        HostRefusal::OverLimit { limit, open_order } => {
            let problem = Problem::new(Code::OverLimit).with("per_viewer_limit", limit);
            match open_order {
                Some(order) => problem.location(&format!("/v1/orders/{order}")),
                None => problem,
            }
        }
        HostRefusal::StockUnavailable | HostRefusal::LogUnavailable => {
            Problem::new(Code::StockUnavailable)
        }
        HostRefusal::StoreUnavailable => Problem::new(Code::Unavailable).detail(detail),
        HostRefusal::OutcomeUnknown => Problem::new(Code::OutcomeUnknown),
        HostRefusal::DecisionPending => Problem::new(Code::DecisionPending),
        HostRefusal::Parked => Problem::internal("a host's command was parked"),
    }
}

/// A business *no* of the log as a problem.
fn said_no(code: &str, detail: String) -> Problem {
    let known = match code {
        "not_found" => return Problem::new(Code::NotFound).detail(detail),
        "unknown_sku" => return Problem::field("/sku", detail),
        "too_many_units" => return Problem::field("/delta", detail),
        "unknown_offer" => return Problem::field("/offer_version", detail),
        "currency_mismatch" => return Problem::field("/live_price", detail),
        "already_exists" => Code::IdempotencyKeyReused,
        "broadcast_ended" => Code::BroadcastEnded,
        "broadcast_not_live" => Code::BroadcastNotLive,
        "closed" => Code::Closed,
        "paused" => Code::Paused,
        "over_limit" => Code::OverLimit,
        "already_waiting" => Code::AlreadyWaiting,
        "not_waiting" => Code::NotWaiting,
        "waitlist_full" => Code::WaitlistFull,
        "already_withdrawn" => Code::AlreadyWithdrawn,
        "withdrawal_in_progress" => Code::WithdrawalInProgress,
        "not_open" => Code::NotOpen,
        "below_committed" => Code::BelowCommitted,
        "limit_exceeded" => Code::LimitExceeded,
        "already_confirmed" => Code::AlreadyConfirmed,
        "not_bought" => return Problem::field("/lines", detail),
        "not_confirmed" => Code::NotConfirmed,
        "refund_in_progress" => Code::RefundInProgress,
        "payment_not_awaited" => Code::PaymentNotAwaited,
        "hold_expired" => Code::HoldExpired,
        "already_ended" => Code::AlreadyEnded,
        other => return Problem::internal(format!("the log refused with {other}: {detail}")),
    };
    Problem::new(known).detail(detail)
}

/// A broadcast of the caller's seller.
///
/// # Errors
/// 404 where there is none.
pub async fn own_broadcast(
    app: &App,
    caller: &Caller,
    id: BroadcastId,
) -> Result<BroadcastView, Problem> {
    let view = app.sales_board.broadcast(id).await?;
    view.filter(|view| view.seller == caller.seller).ok_or_else(|| Problem::not_found("broadcast"))
}

/// A spotlight of the caller's seller.
///
/// # Errors
/// 404 where there is none.
pub async fn own_spotlight(
    app: &App,
    caller: &Caller,
    id: SpotlightId,
) -> Result<SpotlightView, Problem> {
    let view = app.sales_board.spotlight(id).await?;
    view.filter(|view| view.seller == caller.seller).ok_or_else(|| Problem::not_found("spotlight"))
}
