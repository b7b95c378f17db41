//! What the store in memory holds, and how a batch changes it.

use std::collections::{BTreeMap, BTreeSet};

use domain::Timestamp;
use domain::envelope::{NewEvent, Position, Recorded, Source};
use domain::event::StreamId;
use domain::ids::{CommandId, EventId, Sku, SpotlightId, StreamKey, ViewerRef};
use domain::ledger::{Ledger, LedgerRow};
use domain::ports::{Batch, Claim, ParkedCommand, StoreError, StoredOutcome};

use super::changes::{Changes, UnitsChange, add, out_of_sequence};

/// Where a partition stands.
#[derive(Debug, Default)]
pub(super) struct Offset {
    pub epoch: u64,
    pub owner: String,
    pub next: Option<i64>,
}

impl Offset {
    pub fn claim(&self) -> Claim {
        Claim { epoch: self.epoch, next_offset: self.next }
    }
}

/// A command that was put aside.
#[derive(Debug)]
pub(super) struct Parked {
    pub command: ParkedCommand,
    pub settled: bool,
    /// Its sequence goes on.
    pub released: bool,
}

/// One SKU of one spotlight.
type StockPlace = (SpotlightId, Sku);
/// One viewer of one spotlight.
type ViewerPlace = (SpotlightId, ViewerRef);
/// Topic, partition, offset.
type SourceKey = (String, i32, i64);

impl Parked {
    pub fn key(source: &Source) -> SourceKey {
        (source.topic.clone(), source.partition, source.offset)
    }
}

/// Who runs a role, until when, and where it stands.
#[derive(Debug)]
pub(super) struct Lease {
    pub owner: String,
    pub epoch: u64,
    pub expires_at: Timestamp,
    pub position: Position,
}

impl Lease {
    pub fn new(owner: &str, now: Timestamp) -> Self {
        Self { owner: owner.to_owned(), epoch: 1, expires_at: now, position: Position::START }
    }
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct State {
    /// By position; the first has position 1.
    events: Vec<Recorded>,
    event_ids: BTreeSet<EventId>,
    streams: BTreeMap<StreamId, Vec<Position>>,
    keys: BTreeMap<StreamKey, Vec<Position>>,
    pub offsets: BTreeMap<(String, i32), Offset>,
    pub inbox: BTreeMap<CommandId, StoredOutcome>,
    pub ledgers: BTreeMap<SpotlightId, Ledger>,
    pub units: BTreeMap<ViewerPlace, i64>,
    pub parked: BTreeMap<SourceKey, Parked>,
    pub leases: BTreeMap<String, Lease>,
}

impl State {
    pub fn head(&self) -> Position {
        self.events.last().map_or(Position::START, |event| event.position)
    }

    pub fn key_head(&self, key: StreamKey) -> Position {
        self.keys.get(&key).and_then(|list| list.last()).copied().unwrap_or_default()
    }

    pub fn after(&self, after: Position, limit: usize) -> Vec<Recorded> {
        let from = usize::try_from(after.0).unwrap_or(usize::MAX);
        self.events.iter().skip(from).take(limit).cloned().collect()
    }

    pub fn key_after(&self, key: StreamKey, after: Position, limit: usize) -> Vec<Recorded> {
        let Some(list) = self.keys.get(&key) else { return vec![] };
        let from = list.partition_point(|position| *position <= after);
        list.iter().skip(from).take(limit).filter_map(|at| self.at(*at)).cloned().collect()
    }

    pub fn streams(&self, streams: &[StreamId]) -> Vec<Recorded> {
        let positions: BTreeSet<Position> = streams
            .iter()
            .filter_map(|stream| self.streams.get(stream))
            .flatten()
            .copied()
            .collect();
        positions.into_iter().filter_map(|at| self.at(at)).cloned().collect()
    }

    fn at(&self, position: Position) -> Option<&Recorded> {
        let index = usize::try_from(position.0).ok()?.checked_sub(1)?;
        self.events.get(index)
    }

    pub fn is_parked(&self, sequence: &str) -> bool {
        self.parked.values().any(|parked| {
            !parked.settled && !parked.released && parked.command.sequence == sequence
        })
    }

    /// Takes a batch in whole, or not at all: everything is checked before anything is changed.
    pub fn append(
        &mut self,
        batch: &Batch,
        changes: &Changes,
        now: Timestamp,
    ) -> Result<Position, StoreError> {
        self.check_fences(batch)?;
        self.check_unique(batch)?;
        self.check_streams(batch)?;
        let ledger = self.ledger_after(changes)?;
        let units = self.units_after(changes)?;

        for fence in &batch.fences {
            let place = (fence.topic.clone(), fence.partition);
            self.offsets.entry(place).or_default().next = Some(fence.next_offset);
        }
        for ((spotlight, sku), row) in ledger {
            self.ledgers.entry(spotlight).or_default().rows.insert(sku, row);
        }
        for (place, sum) in units {
            if sum == 0 {
                self.units.remove(&place);
            } else {
                self.units.insert(place, sum);
            }
        }
        for command in &batch.parked {
            let parked = Parked { command: command.clone(), settled: false, released: false };
            self.parked.insert(Parked::key(&command.source), parked);
        }
        for event in &batch.events {
            self.push(event, now);
        }
        for entry in &batch.inbox {
            let position = self.key_head(entry.key);
            let outcome = StoredOutcome {
                outcome: entry.outcome.clone(),
                request: entry.request.clone(),
                position,
            };
            self.inbox.insert(entry.command_id, outcome);
        }
        Ok(if batch.events.is_empty() { Position::START } else { self.head() })
    }

    fn push(&mut self, event: &NewEvent, now: Timestamp) {
        let position = Position(self.head().0 + 1);
        let prev = self.key_head(event.key);
        self.event_ids.insert(event.event_id);
        self.streams.entry(event.stream.clone()).or_default().push(position);
        self.keys.entry(event.key).or_default().push(position);
        self.events.push(Recorded {
            position,
            prev,
            event_id: event.event_id,
            stream: event.stream.clone(),
            sequence: event.sequence,
            key: event.key,
            recorded_at: now,
            event: event.event.clone(),
            metadata: event.metadata.clone(),
        });
    }

    fn check_fences(&self, batch: &Batch) -> Result<(), StoreError> {
        let holds = batch.fences.iter().all(|fence| {
            self.offsets.get(&(fence.topic.clone(), fence.partition)).is_some_and(|offset| {
                offset.epoch == fence.epoch && offset.next == fence.first_offset
            })
        });
        if holds { Ok(()) } else { Err(StoreError::Fenced) }
    }

    fn check_unique(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut ids = BTreeSet::new();
        for event in &batch.events {
            if self.event_ids.contains(&event.event_id) || !ids.insert(event.event_id) {
                return conflict(format!("the event {} exists", event.event_id));
            }
        }
        let mut commands = BTreeSet::new();
        for entry in &batch.inbox {
            let id = entry.command_id;
            if self.inbox.contains_key(&id) || !commands.insert(id) {
                return conflict(format!("the outcome of command {id} exists"));
            }
        }
        let mut sources = BTreeSet::new();
        for command in &batch.parked {
            let key = Parked::key(&command.source);
            if self.parked.contains_key(&key) || !sources.insert(key) {
                return conflict("the command is parked".to_owned());
            }
        }
        Ok(())
    }

    fn check_streams(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut seen = BTreeSet::new();
        for event in batch.events.iter().filter(|event| seen.insert(&event.stream)) {
            let stored = self.streams.get(&event.stream).map_or(0, Vec::len);
            if event.sequence != u64::try_from(stored).unwrap_or(u64::MAX) + 1 {
                return Err(out_of_sequence(event.sequence, &event.stream));
            }
        }
        Ok(())
    }

    fn ledger_after(&self, changes: &Changes) -> Result<Vec<(StockPlace, LedgerRow)>, StoreError> {
        let after = |((spotlight, sku), delta): (&StockPlace, &LedgerRow)| {
            let ledger = self.ledgers.get(spotlight);
            let now = ledger.and_then(|ledger| ledger.get(sku)).copied().unwrap_or_default();
            let row = LedgerRow {
                limit: add(now.limit, delta.limit)?,
                held: add(now.held, delta.held)?,
                confirmed: add(now.confirmed, delta.confirmed)?,
            };
            add(row.held, row.confirmed)?;
            if row.is_sound() {
                Ok(((*spotlight, sku.clone()), row))
            } else {
                conflict(format!("the stock of {sku} in {spotlight} would be {row:?}"))
            }
        };
        changes.ledger.iter().map(after).collect()
    }

    fn units_after(&self, changes: &Changes) -> Result<Vec<(ViewerPlace, i64)>, StoreError> {
        let after = |(place, change): (&ViewerPlace, &UnitsChange)| {
            let sum = add(self.units.get(place).copied().unwrap_or(0), change.delta)?;
            if (0..=i64::from(change.limit)).contains(&sum) {
                Ok((place.clone(), sum))
            } else {
                conflict(format!("a viewer of {} would have {sum} units", place.0))
            }
        };
        changes.units.iter().map(after).collect()
    }
}

fn conflict<T>(text: String) -> Result<T, StoreError> {
    Err(StoreError::Conflict(text))
}
