//! Rows of a database, decoded.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::envelope::{Metadata, Recorded, Source};
use domain::event::{StreamId, StreamKind};
use domain::fingerprint::Fingerprint;
use domain::ids::{CommandId, EventId, StreamKey};
use domain::ports::{
    Claim, CommandOutcome, InboxEntry, ParkedAction, ParkedCommand, ParkedVerb, PortError,
    StoredOutcome,
};
use domain::upcast;
use serde::{Deserialize, Serialize};
use sqlx::{ColumnIndex, Decode, Row, Type};
use uuid::Uuid;

use super::STORE;
use super::numbers::{to_position, unsigned};

/// A row of `events`, read in place; `T` is how the database gives a time. The columns come in
/// this order: looking twelve names up for every row costs as much as decoding it.
pub(super) struct StoredEvent<'r, T> {
    position: i64,
    prev: i64,
    event_id: Uuid,
    aggregate_type: &'r str,
    aggregate_id: &'r str,
    sequence: i64,
    stream_key: Uuid,
    recorded_at: T,
    event_type: &'r str,
    event_version: &'r str,
    payload: &'r str,
    metadata: &'r str,
}

impl<'r, T: IntoTime> StoredEvent<'r, T> {
    fn of<R: Row>(row: &'r R) -> Result<Self, sqlx::Error>
    where
        usize: ColumnIndex<R>,
        i64: Decode<'r, R::Database> + Type<R::Database>,
        Uuid: Decode<'r, R::Database> + Type<R::Database>,
        T: Decode<'r, R::Database> + Type<R::Database>,
        &'r str: Decode<'r, R::Database> + Type<R::Database>,
    {
        Ok(Self {
            position: row.try_get(0)?,
            prev: row.try_get(1)?,
            event_id: row.try_get(2)?,
            aggregate_type: row.try_get(3)?,
            aggregate_id: row.try_get(4)?,
            sequence: row.try_get(5)?,
            stream_key: row.try_get(6)?,
            recorded_at: row.try_get(7)?,
            event_type: row.try_get(8)?,
            event_version: row.try_get(9)?,
            payload: row.try_get(10)?,
            metadata: row.try_get(11)?,
        })
    }

    /// The event in today's words.
    fn decode(self) -> Result<Recorded, PortError> {
        let at = self.position;
        let corrupt =
            |detail: String| PortError::corrupt(STORE, format!("position {at}: {detail}"));
        let kind: StreamKind =
            self.aggregate_type.parse().map_err(|error| corrupt(format!("{error}")))?;
        let event = upcast::decode(kind, self.event_type, self.event_version, self.payload)
            .map_err(|error| corrupt(described(&error)))?;
        Ok(Recorded {
            position: to_position(self.position)?,
            prev: to_position(self.prev)?,
            event_id: EventId(self.event_id),
            stream: StreamId { kind, id: self.aggregate_id.to_owned() },
            sequence: unsigned(self.sequence, "a sequence")?,
            key: StreamKey(self.stream_key),
            recorded_at: self.recorded_at.into_time()?,
            event,
            metadata: Metadata::from_json(self.metadata)
                .map_err(|error| corrupt(error.to_string()))?,
        })
    }
}

fn described(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// How a database gives a time.
pub(super) trait IntoTime {
    fn into_time(self) -> Result<Timestamp, PortError>;
}

impl IntoTime for Timestamp {
    fn into_time(self) -> Result<Timestamp, PortError> {
        Ok(self)
    }
}

/// Microseconds since 1970.
impl IntoTime for i64 {
    fn into_time(self) -> Result<Timestamp, PortError> {
        Timestamp::from_timestamp_micros(self)
            .ok_or_else(|| PortError::corrupt(STORE, format!("the time {self} is out of range")))
    }
}

/// Every event of a page.
///
/// # Errors
/// [`PortError::Corrupt`] naming the first position that does not decode.
pub(super) fn decode_all<'r, T, R: Row>(rows: &'r [R]) -> Result<Vec<Recorded>, PortError>
where
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
    T: IntoTime + Decode<'r, R::Database> + Type<R::Database>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
{
    let decode =
        |row| StoredEvent::<T>::of(row).map_err(|e| PortError::corrupt(STORE, e))?.decode();
    rows.iter().map(decode).collect()
}

/// A row of `parked`.
#[derive(sqlx::FromRow)]
pub(super) struct StoredParked<T> {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub sequence: String,
    pub value: Vec<u8>,
    pub error: String,
    pub parked_at: T,
    pub deadline: T,
    pub action: Option<String>,
    pub action_by: Option<String>,
    pub action_reason: Option<String>,
    pub action_at: Option<T>,
}

/// The columns of a row of `parked`.
pub(super) const PARKED_COLUMNS: &str = "topic, partition, \"offset\", sequence, value, error, \
    parked_at, deadline, action, action_by, action_reason, action_at";

impl<T: IntoTime> StoredParked<T> {
    /// The command.
    ///
    /// # Errors
    /// [`PortError::Corrupt`] where a time is out of range.
    pub fn decode(self) -> Result<ParkedCommand, PortError> {
        let action = match (self.action.as_deref().and_then(ParkedVerb::named), self.action_at) {
            (Some(verb), Some(at)) => Some(ParkedAction {
                verb,
                author: self.action_by.unwrap_or_default(),
                reason: self.action_reason.unwrap_or_default(),
                at: at.into_time()?,
            }),
            _ => None,
        };
        Ok(ParkedCommand {
            source: Source { topic: self.topic, partition: self.partition, offset: self.offset },
            sequence: self.sequence,
            value: self.value,
            error: self.error,
            parked_at: self.parked_at.into_time()?,
            deadline: self.deadline.into_time()?,
            action,
        })
    }
}

/// A row of `ingest_offsets`.
///
/// # Errors
/// [`PortError::Corrupt`] where the epoch is negative.
pub(super) fn decode_claim((epoch, next_offset): (i64, Option<i64>)) -> Result<Claim, PortError> {
    Ok(Claim { epoch: unsigned(epoch, "an epoch")?, next_offset })
}

/// A row of `inbox`.
///
/// # Errors
/// [`PortError::Corrupt`] where the outcome does not decode.
pub(super) fn decode_outcome(
    (command, outcome, position): (Uuid, String, i64),
) -> Result<(CommandId, StoredOutcome), PortError> {
    let document: OutcomeDocument = serde_json::from_str(&outcome).map_err(|error| {
        PortError::corrupt(STORE, format!("the outcome of command {command}: {error}"))
    })?;
    let OutcomeDocument { outcome, request } = document;
    let position = to_position(position)?;
    Ok((CommandId(command), StoredOutcome { outcome, request, position }))
}

/// The JSON of an outcome; before the request was written down with it, there was none.
#[derive(Serialize, Deserialize)]
pub(super) struct OutcomeDocument {
    #[serde(flatten)]
    outcome: CommandOutcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<Fingerprint>,
}

impl OutcomeDocument {
    /// The JSON of an entry's outcome.
    pub fn of(entry: &InboxEntry) -> serde_json::Result<String> {
        let InboxEntry { outcome, request, .. } = entry.clone();
        serde_json::to_string(&Self { outcome, request })
    }
}

/// Rows of `stock_ledger` of one spotlight.
///
/// # Errors
/// [`PortError::Corrupt`] where a SKU is no name.
pub(super) fn decode_ledger(
    rows: Vec<(String, i64, i64, i64)>,
) -> Result<domain::ledger::Ledger, PortError> {
    let row = |(sku, limit, held, confirmed): (String, i64, i64, i64)| {
        let sku =
            sku.parse().map_err(|error| PortError::corrupt(STORE, format!("{sku:?} {error}")))?;
        Ok((sku, domain::ledger::LedgerRow { limit, held, confirmed }))
    };
    let rows = rows.into_iter().map(row).collect::<Result<_, PortError>>()?;
    Ok(domain::ledger::Ledger { rows })
}

/// Rows of `viewer_units` of one spotlight.
///
/// # Errors
/// [`PortError::Corrupt`] where a viewer is no name.
pub(super) fn decode_units(
    rows: Vec<(String, i64)>,
) -> Result<BTreeMap<domain::ids::ViewerRef, i64>, PortError> {
    let row = |(viewer, units): (String, i64)| {
        let viewer = viewer
            .parse()
            .map_err(|error| PortError::corrupt(STORE, format!("{viewer:?} {error}")))?;
        Ok((viewer, units))
    };
    rows.into_iter().map(row).collect()
}
