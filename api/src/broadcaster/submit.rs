//! A host's command on its way: its id, its answer.

use domain::command::Command;
use domain::ids::{BroadcastId, CommandId, SpotlightId, StreamKey, derive_id};
use domain::views::{BroadcastView, SpotlightView};
use uuid::Uuid;

use crate::extract::{Caller, trace};
use crate::intake::{CommandAnswer, CommandRequest};
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
    let request = CommandRequest {
        command_id: CommandId(command_id),
        seller: caller.seller.clone(),
        key,
        actor: caller.actor(app),
        command,
        traceparent: trace::current().map(|trace| trace.traceparent),
    };
    match app.broadcasting.submit(request).await? {
        CommandAnswer::Done => Ok(()),
        CommandAnswer::Refused { code, detail, remaining } => {
            Err(refused(&code, detail, remaining))
        }
        CommandAnswer::Pending => Err(Problem::new(Code::DecisionPending)),
        CommandAnswer::Unavailable => Err(Problem::new(Code::StockUnavailable)),
    }
}

/// A business *no* as a problem.
pub fn refused(code: &str, detail: String, remaining: Option<i64>) -> Problem {
    let known = match code {
        "not_found" => return Problem::new(Code::NotFound).detail(detail),
        "unknown_sku" => return Problem::field("/sku", detail),
        "too_many_units" => return Problem::field("/delta", detail),
        "currency_mismatch" => return Problem::field("/live_price", detail),
        "already_exists" => Code::IdempotencyKeyReused,
        "broadcast_ended" => Code::BroadcastEnded,
        "broadcast_not_live" => Code::BroadcastNotLive,
        "closed" => Code::Closed,
        "not_open" => Code::NotOpen,
        "below_committed" => Code::BelowCommitted,
        "already_confirmed" => Code::AlreadyConfirmed,
        "already_ended" => Code::AlreadyEnded,
        other => return Problem::internal(format!("the log refused with {other}: {detail}")),
    };
    let problem = Problem::new(known).detail(detail);
    match remaining {
        Some(remaining) => problem.with("remaining", remaining),
        None => problem,
    }
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
