//! Commands that were put aside: list them, look into one, have it decided again, or let it go.

mod view;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::ports::{ParkedAction, ParkedCommand, ParkedVerb};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::broadcaster::input;
use crate::extract::{Admin, Caller, Id, JsonBody, Params};
use crate::problem::{Code, Problem};
use crate::responses::Refusals;
use crate::state::App;
use crate::wire::requests::NeededReason;

pub use view::{ParkedBody, ParkedGroup, ParkedList, id_of, is_money, may_retry, seller_of};

/// Parked commands that are looked at.
pub const PARKED_MAX: usize = 1_000;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
        .routes(routes!(retry))
        .routes(routes!(discard))
}

async fn own(app: &App, caller: &Caller) -> Result<Vec<ParkedCommand>, Problem> {
    let parked = app.parked.parked(PARKED_MAX).await?;
    let own = |parked: &ParkedCommand| seller_of(parked).as_ref() == Some(&caller.seller);
    Ok(parked.into_iter().filter(own).collect())
}

async fn find(app: &App, caller: &Caller, id: Uuid) -> Result<ParkedCommand, Problem> {
    let found = own(app, caller).await?.into_iter().find(|parked| id_of(parked) == id);
    found.ok_or_else(|| Problem::not_found("parked command"))
}

/// List commands that could not be processed, oldest first
///
/// Those of the seller that nobody has settled, at most 1,000. `groups` counts them by
/// `fingerprint`: what failed, and why. An order's deadline ends it; money of an order that has
/// ended waits without one.
#[utoipa::path(
    get, path = "/v1/parked", tag = "operations", operation_id = "listParked",
    params(("fingerprint" = Option<String>, Query, description = "Only of this group.")),
    responses((status = 200, description = "The commands", body = ParkedList), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["admin"])))
)]
async fn list(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    mut params: Params,
) -> Result<Json<ParkedList>, Problem> {
    let fingerprint = params.fingerprint();
    params.finish()?;
    let mut parked = own(&app, &caller).await?;
    if let Some(fingerprint) = fingerprint {
        parked.retain(|parked| view::fingerprint(parked) == fingerprint);
    }
    Ok(Json(ParkedList::of(&parked)))
}

/// Look into a parked command
#[utoipa::path(
    get, path = "/v1/parked/{id}", tag = "operations", operation_id = "readParked",
    params(("id" = Uuid, Path, description = "The parked command.")),
    responses((status = 200, description = "The command", body = ParkedBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["admin"])))
)]
async fn read(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Id(id): Id<Uuid>,
) -> Result<Json<ParkedBody>, Problem> {
    Ok(Json(ParkedBody::of(&find(&app, &caller, id).await?)))
}

/// Have a parked command decided again
///
/// With everything that waits behind it, in its order. A refund that failed is asked for again.
#[utoipa::path(
    post, path = "/v1/parked/{id}/retry", tag = "operations", operation_id = "retryParked",
    request_body = NeededReason,
    params(("id" = Uuid, Path, description = "The parked command.")),
    responses((status = 200, description = "It is about to be decided", body = ParkedBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["admin"])))
)]
async fn retry(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Id(id): Id<Uuid>,
    JsonBody(body): JsonBody,
) -> Result<Json<ParkedBody>, Problem> {
    let reason = input::needed_reason(&body)?;
    let parked = find(&app, &caller, id).await?;
    if !may_retry(&parked) {
        return Err(
            Problem::new(Code::AlreadyEnded).detail("the record does not parse: discard it")
        );
    }
    ask(&app, &caller, parked, ParkedVerb::Retry, reason).await
}

/// Let a parked command go
///
/// Its order ends now, as it would at its deadline. Where it is about money of an order that has
/// ended it is left aside for good, and nobody is asked about that money again.
#[utoipa::path(
    post, path = "/v1/parked/{id}/discard", tag = "operations", operation_id = "discardParked",
    request_body = NeededReason,
    params(("id" = Uuid, Path, description = "The parked command.")),
    responses((status = 200, description = "It is about to be let go", body = ParkedBody), Refusals),
    security(("token" = [])), extensions(("x-roles" = json!(["admin"])))
)]
async fn discard(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Id(id): Id<Uuid>,
    JsonBody(body): JsonBody,
) -> Result<Json<ParkedBody>, Problem> {
    let reason = input::needed_reason(&body)?;
    let parked = find(&app, &caller, id).await?;
    let verb = if is_money(&parked) { ParkedVerb::Keep } else { ParkedVerb::Discard };
    ask(&app, &caller, parked, verb, reason).await
}

async fn ask(
    app: &App,
    caller: &Caller,
    mut parked: ParkedCommand,
    verb: ParkedVerb,
    reason: String,
) -> Result<Json<ParkedBody>, Problem> {
    let author = caller.subject.to_string();
    let action = ParkedAction { verb, author, reason, at: app.clock.now() };
    // who asked first has it done; the same again shows what is asked for
    if !app.parked.ask(&parked.source, &action).await? && parked.action.is_none() {
        return Err(Problem::not_found("parked command"));
    }
    parked.action = parked.action.or(Some(action));
    Ok(Json(ParkedBody::of(&parked)))
}
