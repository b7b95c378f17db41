//! The rows of the order book as both databases have them, and the one way in which events change
//! them.

use std::collections::{BTreeMap, BTreeSet};

use domain::envelope::Recorded;
use domain::ids::OrderId;
use domain::ports::{OrderQuery, PortError};
use domain::views::OrderView;
use serde::Serialize;
use uuid::Uuid;

use super::NAME;
use super::fold::{fold, hold_to_expire, order_of, payment_is_open};
use crate::read_model::{Cursor, Identity, encode, micros};

/// The version of the fold.
const VERSION: i32 = 1;

/// The events that the fold takes in.
const EVENTS: [&str; 17] = [
    "OrderAccepted",
    "PaymentRequested",
    "PaymentActionRequired",
    "PaymentAuthorized",
    "PaymentCaptured",
    "PaymentDeclined",
    "PaymentUnknown",
    "CaptureFailed",
    "PaymentVoided",
    "OrderConfirmed",
    "OrderFailed",
    "OrderCancelled",
    "RefundRequested",
    "OrderRefunded",
    "StockReserved",
    "ReservationConfirmed",
    "ReservationReleased",
];

/// Who writes the rows.
pub fn identity() -> Identity {
    Identity::new(NAME, VERSION, &EVENTS)
}

/// One row: what queries look at, and the view.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The order.
    pub id: Uuid,
    /// Whose broadcast.
    pub seller: String,
    /// The viewer's pseudonym.
    pub viewer_ref: String,
    /// In which spotlight.
    pub spotlight: Uuid,
    /// In which broadcast.
    pub broadcast: Uuid,
    /// Where it stands.
    pub status: &'static str,
    /// When it was accepted.
    pub accepted_us: i64,
    /// When the end of its hold is to be proposed.
    pub hold_us: Option<i64>,
    /// Whether the provider owes an answer.
    pub payment_open: bool,
    /// The view as JSON.
    pub view: String,
}

impl Row {
    fn new(view: &OrderView) -> Result<Self, PortError> {
        Ok(Self {
            id: view.id.0,
            seller: view.seller.to_string(),
            viewer_ref: view.viewer_ref.to_string(),
            spotlight: view.spotlight_id.0,
            broadcast: view.broadcast_id.0,
            status: view.status.as_str(),
            accepted_us: micros(view.accepted_at),
            hold_us: hold_to_expire(view).map(micros),
            payment_open: payment_is_open(view),
            view: encode(NAME, view)?,
        })
    }
}

/// The orders whose rows a batch needs.
pub fn touched(events: &[Recorded]) -> BTreeSet<OrderId> {
    events.iter().filter_map(|recorded| order_of(&recorded.event)).collect()
}

/// What the touched rows become.
///
/// # Errors
/// [`PortError::Corrupt`] where a view cannot be written.
pub fn fold_rows(known: Vec<OrderView>, events: &[Recorded]) -> Result<Vec<Row>, PortError> {
    let mut views: BTreeMap<OrderId, OrderView> =
        known.into_iter().map(|view| (view.id, view)).collect();
    for recorded in events {
        if let Some(order) = order_of(&recorded.event)
            && let Some(view) = fold(views.remove(&order), recorded)
        {
            views.insert(order, view);
        }
    }
    views.values().map(Row::new).collect()
}

/// The statement of a list. Its parameters, in this order and only as far as the query has them:
/// seller, viewer, spotlight, status, since, the cursor's two, and at last the limit.
pub fn list_statement(column: &str, query: &OrderQuery, cursor: Option<&Cursor>) -> String {
    let asked = [
        (query.viewer.is_some(), "viewer_ref ="),
        (query.spotlight.is_some(), "spotlight ="),
        (query.status.is_some(), "status ="),
        (query.since.is_some(), "accepted_us >="),
    ];
    let mut conditions = vec!["seller = $1".to_owned()];
    for (_, condition) in asked.iter().filter(|(asked, _)| *asked) {
        conditions.push(format!("{condition} ${}", conditions.len() + 1));
    }
    let mut next = conditions.len() + 1;
    if cursor.is_some() {
        conditions.push(format!("(accepted_us, id) < (${next}, ${})", next + 1));
        next += 2;
    }
    let conditions = conditions.join(" AND ");
    format!(
        "SELECT {column} FROM order_book WHERE {conditions} \
         ORDER BY accepted_us DESC, id DESC LIMIT ${next}"
    )
}

/// The key of a view in a list.
pub const fn key(view: &OrderView) -> Cursor {
    Cursor::new(view.accepted_at, view.id.0)
}
