//! What a batch changes besides the events: the same sums for every store.

use std::collections::BTreeMap;

use domain::ids::{Sku, SpotlightId, StreamKey, ViewerRef};
use domain::ledger::{LedgerRow, ledger_deltas, units_delta};
use domain::ports::{Batch, Fence, StoreError};

/// The sums of a batch, one per row that it touches.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Added to the rows of the ledger.
    pub ledger: BTreeMap<(SpotlightId, Sku), LedgerRow>,
    /// Added to the units of viewers in spotlights that have a limit.
    pub units: BTreeMap<(SpotlightId, ViewerRef), UnitsChange>,
    /// The keys of the events, each once.
    pub keys: Vec<KeyChange>,
    /// Per event: its key's place in `keys`, and the place of the key's previous event in the batch.
    pub links: Vec<Link>,
}

/// Added to the units of one viewer, whose sum may not pass `limit`.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnitsChange {
    pub delta: i64,
    pub limit: u32,
}

/// A key of the batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyChange {
    pub key: StreamKey,
    /// The place of its last event in the batch, from 1.
    pub last: u64,
}

/// Where an event stands among those of its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    /// The place of its key in [`Changes::keys`], from 0.
    pub key: usize,
    /// The place of the key's previous event in the batch, from 1; 0 where there is none.
    pub previous: u64,
}

impl Changes {
    /// Adds a batch up.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the batch contradicts itself.
    pub fn of(batch: &Batch) -> Result<Self, StoreError> {
        check_fences(batch)?;
        check_sequences(batch)?;
        let mut changes = Self::default();
        let mut places: BTreeMap<StreamKey, usize> = BTreeMap::new();
        for (place, event) in (1_u64..).zip(&batch.events) {
            changes.link(&mut places, event.key, place);
            for delta in ledger_deltas(&event.event) {
                let row = changes.ledger.entry((delta.spotlight, delta.sku)).or_default();
                row.limit = add(row.limit, delta.limit)?;
                row.held = add(row.held, delta.held)?;
                row.confirmed = add(row.confirmed, delta.confirmed)?;
            }
            let Some(units) = units_delta(&event.event) else { continue };
            let Some(limit) = batch.unit_limits.get(&units.spotlight) else { continue };
            let change = changes
                .units
                .entry((units.spotlight, units.viewer))
                .or_insert(UnitsChange { delta: 0, limit: *limit });
            change.delta = add(change.delta, units.units)?;
        }
        changes.units.retain(|_, change| change.delta != 0);
        Ok(changes)
    }

    fn link(&mut self, places: &mut BTreeMap<StreamKey, usize>, key: StreamKey, place: u64) {
        let index = *places.entry(key).or_insert(self.keys.len());
        let previous = if let Some(change) = self.keys.get_mut(index) {
            std::mem::replace(&mut change.last, place)
        } else {
            self.keys.push(KeyChange { key, last: place });
            0
        };
        self.links.push(Link { key: index, previous });
    }
}

/// A sum that does not fit is a conflict: trying again gives the same.
pub(super) fn add(left: i64, right: i64) -> Result<i64, StoreError> {
    left.checked_add(right).ok_or_else(|| StoreError::Conflict("a sum of units overflows".into()))
}

fn check_fences(batch: &Batch) -> Result<(), StoreError> {
    let conflict = |text: &str| Err(StoreError::Conflict(text.to_owned()));
    for (index, fence) in batch.fences.iter().enumerate() {
        if fence.first_offset.is_some_and(|first| fence.next_offset < first) {
            return conflict("a fence moves its partition back");
        }
        let same = |other: &Fence| other.partition == fence.partition && other.topic == fence.topic;
        if batch.fences.iter().take(index).any(same) {
            return conflict("two fences name one partition");
        }
    }
    Ok(())
}

/// Within a batch each stream goes on by one; against what is stored, each store checks.
fn check_sequences(batch: &Batch) -> Result<(), StoreError> {
    let mut last = BTreeMap::new();
    for event in &batch.events {
        let before = last.insert(&event.stream, event.sequence);
        if event.sequence == 0 || before.is_some_and(|before| event.sequence != before + 1) {
            return Err(out_of_sequence(event.sequence, &event.stream));
        }
    }
    Ok(())
}

/// An event that does not follow its stream.
pub(super) fn out_of_sequence(sequence: u64, stream: &impl std::fmt::Display) -> StoreError {
    StoreError::Conflict(format!("sequence {sequence} does not follow the stream {stream}"))
}
