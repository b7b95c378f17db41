//! Waiting for what is sold out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::command::Command;
use domain::envelope::Position;
use domain::ids::{SpotlightId, StreamKey, ViewerRef};
use domain::line::Lines;
use domain::order::OrderCommand;
use domain::personal::Personal;
use domain::spotlight::{SpotlightCommand, SpotlightStatus, Wait};
use domain::views::SpotlightView;
use projections::waitlist::{WaitRow, WaitStatus, WaitlistFold};

use super::input;
use crate::broadcaster::submit::{call_id, own_spotlight, submit};
use crate::extract::address::ClientAddress;
use crate::extract::{Caller, Id, JsonBody, OptionalKey, Viewer};
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::WaitBody;
use crate::wire::requests::NewWait;

/// Within so many seconds the same request without a key is a repeat, also where its outcome is not
/// known.
const SAME_AGAIN_SECONDS: i64 = 10;

/// Wait for what is sold out
///
/// First come, first served. Units that are given up or added are offered in the order of the line:
/// `offered` comes with an order that waits for its payment until `offer_expires_at`; paying it
/// accepts the offer, cancelling it declines it. What is waited for counts against the limit per
/// viewer. The same lines again answer with the same place; other lines are 409 `already_waiting`.
/// While the lines can be ordered: 409 `in_stock`.
#[utoipa::path(
    post, path = "/v1/spotlights/{id}/waitlist", tag = "waitlist", operation_id = "joinWaitlist",
    request_body = NewWait,
    params(("id" = Uuid, Path, description = "The spotlight."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat harmless.")),
    responses((status = 202, description = "In line", body = WaitBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["viewer"])))
)]
pub async fn join(
    State(app): State<Arc<App>>,
    Viewer(caller): Viewer,
    ClientAddress(address): ClientAddress,
    Id(id): Id<SpotlightId>,
    OptionalKey(key): OptionalKey,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<WaitBody>), Problem> {
    app.order_rate.check(&caller, address)?;
    let view = own_spotlight(&app, &caller, id).await?;
    let lines = input::wait(&body)?;
    let viewer_ref = app.pseudonyms.viewer_ref(&caller.seller, &caller.subject);
    let known = row(&app, id, &viewer_ref).await?;
    let waits = known.as_ref().filter(|row| is_open(row.status));
    match waits {
        Some(row) if row.lines == lines => {}
        Some(_) => return Err(Problem::new(Code::AlreadyWaiting)),
        None => {
            refuse_what_can_be_ordered(&app, &view, &lines).await?;
            let before = known.as_ref().map_or(Position::START, |row| row.joined);
            let named = key.unwrap_or_else(|| unnamed(&app, before, &lines));
            stand(&app, &caller, id, &named, viewer_ref.clone(), lines).await?;
        }
    }
    Ok((StatusCode::ACCEPTED, body_of(&app, id, &viewer_ref).await?))
}

/// Read one's place in line
#[utoipa::path(
    get, path = "/v1/spotlights/{id}/waitlist", tag = "waitlist", operation_id = "readWaitlist",
    params(("id" = Uuid, Path, description = "The spotlight.")),
    responses((status = 200, description = "Where the viewer stands", body = WaitBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["viewer"])))
)]
pub async fn read(
    State(app): State<Arc<App>>,
    Viewer(caller): Viewer,
    Id(id): Id<SpotlightId>,
) -> Result<Json<WaitBody>, Problem> {
    own_spotlight(&app, &caller, id).await?;
    let viewer_ref = app.pseudonyms.viewer_ref(&caller.seller, &caller.subject);
    body_of(&app, id, &viewer_ref).await
}

/// Wait no longer
///
/// The place is gone; an offer is declined. A repeat changes nothing.
#[utoipa::path(
    delete, path = "/v1/spotlights/{id}/waitlist", tag = "waitlist",
    operation_id = "leaveWaitlist",
    params(("id" = Uuid, Path, description = "The spotlight.")),
    responses((status = 200, description = "No longer in line", body = WaitBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["viewer"])))
)]
pub async fn leave(
    State(app): State<Arc<App>>,
    Viewer(caller): Viewer,
    Id(id): Id<SpotlightId>,
) -> Result<Json<WaitBody>, Problem> {
    own_spotlight(&app, &caller, id).await?;
    let viewer_ref = app.pseudonyms.viewer_ref(&caller.seller, &caller.subject);
    let known = row(&app, id, &viewer_ref).await?;
    let known = known.ok_or_else(|| Problem::not_found("place in line"))?;
    let command = match (known.status, known.order_id) {
        (WaitStatus::Waiting, _) => Command::Spotlight {
            command: SpotlightCommand::LeaveWaitlist { viewer_ref: viewer_ref.clone() },
        },
        (WaitStatus::Offered, Some(order_id)) => {
            Command::Order { command: OrderCommand::CancelOrder { order_id, reason: None } }
        }
        _ => return body_of(&app, id, &viewer_ref).await,
    };
    let command_id = call_id(&app, &caller, "leave_waitlist", id.0, None);
    submit(&app, &caller, StreamKey::from(id), command_id, command).await?;
    body_of(&app, id, &viewer_ref).await
}

const fn is_open(status: WaitStatus) -> bool {
    matches!(status, WaitStatus::Waiting | WaitStatus::Offered)
}

async fn refuse_what_can_be_ordered(
    app: &App,
    view: &SpotlightView,
    lines: &Lines,
) -> Result<(), Problem> {
    if let Some(line) = lines.iter().find(|line| !view.inventory.contains_key(&line.sku)) {
        let detail = format!("name {}, which the spotlight does not have", line.sku);
        return Err(Problem::field("/lines", detail));
    }
    let gate = app.gate.view(view.id).await?.ok_or_else(|| Problem::new(Code::StockUnavailable))?;
    let fits = lines.iter().all(|line| {
        let stock = gate.inventory.get(&line.sku);
        stock.is_some_and(|stock| stock.remaining >= i64::from(line.quantity.get()))
    });
    match gate.status {
        SpotlightStatus::Open if fits => Err(Problem::new(Code::InStock)),
        _ => Ok(()),
    }
}

/// What a repeat without a key is recognised by: nothing has happened to the viewer's place since.
/// A refusal is not remembered for long.
fn unnamed(app: &App, before: Position, lines: &Lines) -> String {
    let lately = app.clock.now().timestamp() / SAME_AGAIN_SECONDS;
    let lines: Vec<String> =
        lines.iter().map(|line| format!("{}x{}", line.quantity.get(), line.sku)).collect();
    format!("{lately}/{before}/{}", lines.join(","))
}

async fn stand(
    app: &App,
    caller: &Caller,
    id: SpotlightId,
    named: &str,
    viewer_ref: ViewerRef,
    lines: Lines,
) -> Result<(), Problem> {
    let wait = Wait {
        lines,
        received_at: app.clock.now(),
        node: app.node.clone(),
        personal: Personal {
            viewer: Some(caller.subject.clone()),
            name: caller.name.clone(),
            ..Personal::default()
        },
        viewer_ref,
    };
    let named = format!("{}/{named}", wait.viewer_ref);
    let command_id = call_id(app, caller, "join_waitlist", id.0, Some(&named));
    let command = SpotlightCommand::JoinWaitlist { wait: Box::new(wait), admission: None };
    submit(app, caller, StreamKey::from(id), command_id, Command::Spotlight { command }).await
}

async fn row(app: &App, id: SpotlightId, viewer: &ViewerRef) -> Result<Option<WaitRow>, Problem> {
    Ok(app.waitlist.row(WaitlistFold::key_of(id, viewer)).await?)
}

async fn body_of(
    app: &App,
    id: SpotlightId,
    viewer: &ViewerRef,
) -> Result<Json<WaitBody>, Problem> {
    let row = row(app, id, viewer).await?;
    let row = row.ok_or_else(|| Problem::not_found("place in line"))?;
    let place = match row.status {
        WaitStatus::Waiting => Some(app.waitlist.in_line(id, row.joined).await?),
        _ => None,
    };
    Ok(Json(WaitBody::new(&row, place)))
}
