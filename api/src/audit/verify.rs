//! The invariants, window by window.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::envelope::Position;
use domain::ids::SellerId;
use projections::replay::{self, Report, VerifyOptions};
use serde::Serialize;
use utoipa::ToSchema;

use crate::extract::{Auditor, Params};
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;

/// Positions that one request verifies.
pub const VERIFIED_EVENTS_MAX: u64 = 10_000;
/// Violations of one request whose seller is looked up; further ones are only counted.
const NAMED_MAX: usize = 50;

/// The verdict over a window: what `onair replay verify --json` prints, and where the next window
/// begins.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditVerdict {
    /// The report.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    report: Report,
    /// Where the next window starts; null at the head of the log.
    next_cursor: Option<String>,
}

/// Check the invariants over a window of the log
///
/// 10,000 positions at a time: what began before the window is not judged in it. The first window
/// judges everything; `onair replay verify` has no windows.
#[utoipa::path(
    get, path = "/v1/audit/verify", tag = "audit", operation_id = "readAuditVerdict",
    params(("after" = Option<u64>, Query, description = "Only positions after this one."),
           ("cursor" = Option<String>, Query, description = "`next_cursor` of the last window, in the place of `after`.")),
    responses((status = 200, description = "The verdict", body = AuditVerdict), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["auditor"])))
)]
pub async fn read(
    State(app): State<Arc<App>>,
    Auditor(caller): Auditor,
    mut params: Params,
) -> Result<Json<AuditVerdict>, Problem> {
    let after = params.after();
    params.finish()?;
    let Ok(_one) = app.audit.verifying.try_acquire() else {
        let busy = "another verification is under way in this process";
        return Err(Problem::new(Code::RateLimited).detail(busy).retry_after(1));
    };
    let head = app.reader.head().await?;
    let end = Position(after.0.saturating_add(VERIFIED_EVENTS_MAX));
    let is_last = end >= head;
    let options = VerifyOptions {
        after,
        up_to: (!is_last).then_some(end),
        // a gate that is asked spotlight by spotlight has no bound
        gate: None,
        orders: Some(app.order_book.as_ref()),
        board: Some(app.sales_board.as_ref()),
        rows: Some(app.audit.rows.as_ref()),
        ..VerifyOptions::default()
    };
    let mut report = replay::verify(app.reader.as_ref(), options, &mut |_| {}).await?;
    hide(&app, &mut report, &caller.seller).await?;
    let next_cursor = (!is_last).then(|| end.0.to_string());
    Ok(Json(AuditVerdict { report, next_cursor }))
}

/// A break is counted, whoever's it is; what it says of another seller's event is left out.
async fn hide(app: &App, report: &mut Report, seller: &SellerId) -> Result<(), Problem> {
    let mut named = 0;
    for invariant in &mut report.invariants {
        for violation in &mut invariant.violations {
            named += 1;
            let before = Position(violation.position.0.saturating_sub(1));
            let own = if named > NAMED_MAX {
                false
            } else {
                let found = app.reader.read(before, 1).await.unwrap_or_default();
                found.first().is_some_and(|event| event.metadata.seller == *seller)
            };
            if !own {
                "not an event of this seller: `onair replay verify` tells more"
                    .clone_into(&mut violation.detail);
            }
        }
    }
    Ok(())
}
