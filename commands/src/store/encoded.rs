//! A batch as it goes to a database: owned, summed up and serialised before the writer's connection
//! is taken.

use domain::Timestamp;
use domain::envelope::NewEvent;
use domain::ports::{Batch, Fence, InboxEntry, StoreError};
use uuid::Uuid;

use super::changes::{Changes, Link};
use super::numbers::{signed, signed_index};
use super::personal_keys::{Slots, sealed_payload};
use super::stored::OutcomeDocument;

/// One transaction of a writer.
pub(super) struct Encoded {
    pub fences: Vec<Fence>,
    pub ledger: Vec<EncodedLedger>,
    pub units: Vec<EncodedUnits>,
    pub parked: Vec<EncodedParked>,
    pub keys: Vec<EncodedKey>,
    pub events: Vec<EncodedEvent>,
    pub inbox: Vec<EncodedInbox>,
    /// The keys of the events' personal parts; absent where nothing is personal.
    pub personal_keys: Option<Vec<u8>>,
}

/// Added to a row of the ledger.
pub(super) struct EncodedLedger {
    pub spotlight: Uuid,
    pub sku: String,
    pub limit: i64,
    pub held: i64,
    pub confirmed: i64,
}

/// Added to the units of a viewer.
pub(super) struct EncodedUnits {
    pub spotlight: Uuid,
    pub viewer: String,
    pub delta: i64,
    pub limit: i64,
}

/// A command that is put aside.
pub(super) struct EncodedParked {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub sequence: String,
    pub value: Vec<u8>,
    pub error: String,
    pub parked_at: Timestamp,
    pub deadline: Timestamp,
}

/// A key of the events, and the place of its last event, from 1.
pub(super) struct EncodedKey {
    pub key: Uuid,
    pub last: i64,
}

/// An event.
pub(super) struct EncodedEvent {
    pub aggregate_type: &'static str,
    pub aggregate_id: String,
    pub sequence: i64,
    /// Whether it is the first of its stream in the batch.
    pub leads: bool,
    pub event_type: String,
    pub event_version: String,
    pub payload: String,
    pub metadata: String,
    pub event_id: Uuid,
    /// The place of its key in [`Encoded::keys`], from 1.
    pub key: i32,
    /// The place of the previous event of its key, from 1; 0 where that is not in the batch.
    pub previous: i64,
}

/// The outcome of a command.
pub(super) struct EncodedInbox {
    pub command: Uuid,
    pub key: Uuid,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub outcome: String,
}

impl Encoded {
    /// Sums a batch up and serialises its events.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the batch contradicts itself or holds what cannot be stored.
    pub fn of(batch: &Batch) -> Result<Self, StoreError> {
        let changes = Changes::of(batch)?;
        let mut streams = std::collections::BTreeSet::new();
        let mut slots = Slots::default();
        let event = |(event, link): (&NewEvent, &Link)| {
            let payload = sealed_payload(event, &mut slots).map_err(unserialisable)?;
            let leads = streams.insert(event.stream.clone());
            encode_event(event, payload, leads, link)
        };
        let events =
            batch.events.iter().zip(&changes.links).map(event).collect::<Result<_, _>>()?;
        let ledger = changes.ledger.into_iter().map(|((spotlight, sku), row)| EncodedLedger {
            spotlight: spotlight.0,
            sku: sku.into(),
            limit: row.limit,
            held: row.held,
            confirmed: row.confirmed,
        });
        let units = changes.units.into_iter().map(|((spotlight, viewer), change)| EncodedUnits {
            spotlight: spotlight.0,
            viewer: viewer.into(),
            delta: change.delta,
            limit: i64::from(change.limit),
        });
        let keys = changes
            .keys
            .iter()
            .map(|change| EncodedKey { key: change.key.0, last: signed(change.last) });
        let parked = batch.parked.iter().map(|command| EncodedParked {
            topic: command.source.topic.clone(),
            partition: command.source.partition,
            offset: command.source.offset,
            sequence: command.sequence.clone(),
            value: command.value.clone(),
            error: command.error.clone(),
            parked_at: command.parked_at,
            deadline: command.deadline,
        });
        Ok(Self {
            fences: batch.fences.clone(),
            ledger: ledger.collect(),
            units: units.collect(),
            parked: parked.collect(),
            keys: keys.collect(),
            events,
            inbox: batch.inbox.iter().map(encode_inbox).collect::<Result<_, _>>()?,
            personal_keys: slots.into_bytes(),
        })
    }
}

fn encode_event(
    event: &NewEvent,
    payload: String,
    leads: bool,
    link: &Link,
) -> Result<EncodedEvent, StoreError> {
    Ok(EncodedEvent {
        aggregate_type: event.stream.kind.as_str(),
        aggregate_id: event.stream.id.clone(),
        sequence: signed(event.sequence),
        leads,
        event_type: event.event.event_type(),
        event_version: event.event.event_version(),
        payload,
        metadata: event.metadata.to_json().map_err(unserialisable)?,
        event_id: event.event_id.0,
        key: signed_index(link.key),
        previous: signed(link.previous),
    })
}

fn encode_inbox(entry: &InboxEntry) -> Result<EncodedInbox, StoreError> {
    Ok(EncodedInbox {
        command: entry.command_id.0,
        key: entry.key.0,
        topic: entry.source.topic.clone(),
        partition: entry.source.partition,
        offset: entry.source.offset,
        outcome: OutcomeDocument::of(entry).map_err(unserialisable)?,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "used as an argument of map_err")]
fn unserialisable(error: serde_json::Error) -> StoreError {
    StoreError::Conflict(format!("cannot be stored: {error}"))
}
