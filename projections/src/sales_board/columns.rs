//! The rows of the sales board as both databases have them.

use std::collections::BTreeSet;

use domain::broadcast::BroadcastStatus;
use domain::envelope::Recorded;
use domain::ids::{BroadcastId, SpotlightId};
use domain::ports::{PortError, SalesTotals};
use domain::spotlight::SpotlightStatus;
use domain::views::BroadcastView;
use serde::Serialize;
use uuid::Uuid;

use super::NAME;
use super::fold::{broadcast_of, spotlight_of, sum_totals};
use super::rows::{Rows, SpotlightRow};
use crate::read_model::{Identity, decode, encode, micros};

/// The version of the folds.
const VERSION: i32 = 1;

/// The events that the folds take in.
const EVENTS: [&str; 24] = [
    "BroadcastScheduled",
    "BroadcastStarted",
    "BroadcastEnded",
    "SpotlightScheduled",
    "SpotlightOpened",
    "SpotlightPaused",
    "SpotlightResumed",
    "StockAdjusted",
    "OfferChanged",
    "OfferWithdrawn",
    "WithdrawalProgressed",
    "GateReopened",
    "AdmissionVoided",
    "SpotlightClosed",
    "UnitsFreed",
    "StockReserved",
    "ReservationConfirmed",
    "ReservationReleased",
    "OrderAccepted",
    "OrderConfirmed",
    "OrderCancelled",
    "OrderFailed",
    "PaymentCaptured",
    "OrderRefunded",
];

/// Who writes the rows.
pub fn identity() -> Identity {
    Identity::new(NAME, VERSION, &EVENTS)
}

/// A broadcast's row.
#[derive(Debug, Serialize)]
pub struct BroadcastColumns {
    /// The broadcast.
    pub id: Uuid,
    /// Whose it is.
    pub seller: String,
    /// Where it stands.
    pub status: &'static str,
    /// When it was announced.
    pub created_us: i64,
    /// When it ended.
    pub ended_us: Option<i64>,
    /// The view as JSON.
    pub view: String,
}

/// A spotlight's row.
#[derive(Debug, Serialize)]
pub struct SpotlightColumns {
    /// The spotlight.
    pub id: Uuid,
    /// In which broadcast.
    pub broadcast: Uuid,
    /// Where it stands.
    pub status: &'static str,
    /// When it was prepared.
    pub created_us: i64,
    /// When it is to open.
    pub opens_us: Option<i64>,
    /// When it is to close.
    pub closes_us: Option<i64>,
    /// The view as JSON.
    pub view: String,
    /// What it has sold, as JSON.
    pub totals: String,
}

const fn broadcast_status(status: BroadcastStatus) -> &'static str {
    match status {
        BroadcastStatus::Scheduled => "scheduled",
        BroadcastStatus::Live => "live",
        BroadcastStatus::Ended => "ended",
    }
}

const fn spotlight_status(status: SpotlightStatus) -> &'static str {
    match status {
        SpotlightStatus::Scheduled => "scheduled",
        SpotlightStatus::Open => "open",
        SpotlightStatus::Paused => "paused",
        SpotlightStatus::Closed => "closed",
    }
}

impl BroadcastColumns {
    fn new(view: &BroadcastView) -> Result<Self, PortError> {
        Ok(Self {
            id: view.id.0,
            seller: view.seller.to_string(),
            status: broadcast_status(view.status),
            created_us: micros(view.created_at),
            ended_us: view.ended_at.map(micros),
            view: encode(NAME, view)?,
        })
    }
}

impl SpotlightColumns {
    fn new(row: &SpotlightRow) -> Result<Self, PortError> {
        let view = &row.view;
        Ok(Self {
            id: view.id.0,
            broadcast: view.broadcast_id.0,
            status: spotlight_status(view.status),
            created_us: micros(view.created_at),
            opens_us: view.opens_at.map(micros),
            closes_us: view.closes_at.map(micros),
            view: encode(NAME, view)?,
            totals: encode(NAME, &row.totals)?,
        })
    }
}

/// What a batch needs to know before it is folded.
#[derive(Debug)]
pub struct Touched {
    /// Broadcasts whose rows may change.
    pub broadcasts: BTreeSet<BroadcastId>,
    /// Spotlights whose rows may change.
    pub spotlights: BTreeSet<SpotlightId>,
}

impl Touched {
    /// What a batch touches.
    pub fn by(events: &[Recorded]) -> Self {
        Self {
            broadcasts: events.iter().filter_map(|event| broadcast_of(&event.event)).collect(),
            spotlights: events.iter().filter_map(spotlight_of).collect(),
        }
    }
}

/// The rows that a batch touches, from what the tables hold: views of broadcasts, and views and
/// totals of spotlights.
///
/// # Errors
/// [`PortError::Corrupt`] where a row does not decode.
pub fn read_rows(
    broadcasts: &[String],
    spotlights: &[(String, String)],
) -> Result<Rows, PortError> {
    let mut rows = Rows::default();
    for text in broadcasts {
        let view: BroadcastView = decode(NAME, text)?;
        rows.broadcasts.insert(view.id, view);
    }
    for (view, totals) in spotlights {
        let row = SpotlightRow { view: decode(NAME, view)?, totals: decode(NAME, totals)? };
        rows.spotlights.insert(row.view.id, row);
    }
    Ok(rows)
}

/// The rows as they are to be written.
///
/// # Errors
/// [`PortError::Corrupt`] where a view cannot be written.
pub fn write_rows(
    rows: &Rows,
) -> Result<(Vec<BroadcastColumns>, Vec<SpotlightColumns>), PortError> {
    let broadcasts = rows.broadcasts.values().map(BroadcastColumns::new);
    let spotlights = rows.spotlights.values().map(SpotlightColumns::new);
    Ok((broadcasts.collect::<Result<_, _>>()?, spotlights.collect::<Result<_, _>>()?))
}

/// The totals of a broadcast from its view and the totals of each of its spotlights; `None` where
/// there is no broadcast.
///
/// # Errors
/// [`PortError::Corrupt`] where a row does not decode.
pub fn totals_of(rows: &[(String, Option<String>)]) -> Result<Option<SalesTotals>, PortError> {
    let Some((view, _)) = rows.first() else { return Ok(None) };
    let view: BroadcastView = decode(NAME, view)?;
    let sold = rows.iter().filter_map(|(_, totals)| totals.as_deref());
    let sold: Vec<SalesTotals> =
        sold.map(|totals| decode(NAME, totals)).collect::<Result<_, _>>()?;
    Ok(Some(sum_totals(view.currency, sold)))
}

/// The statement of a list of one owner, newest first: its parameters are the owner, the cursor's
/// two where there is a cursor, and the limit.
pub fn list_statement(table: &str, column: &str, owner: &str, with_cursor: bool) -> String {
    let (after, limit) =
        if with_cursor { (" AND (created_us, id) < ($2, $3)", 4) } else { ("", 2) };
    format!(
        "SELECT {column} FROM {table} WHERE {owner} = $1{after} \
         ORDER BY created_us DESC, id DESC LIMIT ${limit}"
    )
}

/// The statement of what is due: the same three cases as [`super::due_at`], each by an index of
/// its own. Its parameters are the time and the limit.
pub fn due_statement(column: &str) -> String {
    format!(
        "SELECT {column} FROM (
             SELECT s.view, s.id, s.opens_us AS due_us
             FROM board_spotlights s JOIN board_broadcasts b ON b.id = s.broadcast
             WHERE s.status = 'scheduled' AND s.opens_us <= $1 AND b.status = 'live'
             UNION ALL
             SELECT s.view, s.id, s.closes_us AS due_us
             FROM board_spotlights s LEFT JOIN board_broadcasts b ON b.id = s.broadcast
             WHERE s.status IN ('open', 'paused') AND s.closes_us <= $1
                 AND (b.status IS NULL OR b.status <> 'ended')
             UNION ALL
             SELECT s.view, s.id, b.ended_us AS due_us
             FROM board_spotlights s JOIN board_broadcasts b ON b.id = s.broadcast
             WHERE s.status <> 'closed' AND b.status = 'ended' AND b.ended_us <= $1
         ) AS due ORDER BY due_us, id LIMIT $2"
    )
}
