//! Holding two slots against each other, at one position.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::envelope::Position;
use domain::ports::{EventReader, PortError};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::RebuildError;
use super::model::Table;
use super::replace::bring;
use super::tables::{Snapshot, Tables};
use crate::read_model::Slot;

/// Differences that an answer names; the rest is counted.
pub const DIFFERENCES_KEPT_MAX: usize = 100;
/// Rows that are read at a time.
const PAGE_ROWS: i64 = 1_000;
/// How often a moment is looked for at which both sides stand at one position.
const MOMENTS_MAX: u32 = 1_000;

/// One side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Its rows.
    pub rows: u64,
    /// SHA-256 over its rows by key, in hexadecimal.
    pub checksum: String,
}

/// How a row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The live tables lack it.
    Missing,
    /// Only the live tables have it.
    Extra,
    /// The live tables have it otherwise.
    Differs,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// The row's key.
    pub id: String,
    /// How.
    pub kind: DifferenceKind,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The read model.
    pub model: &'static str,
    /// The position at which both sides were compared.
    pub position: Position,
    /// Whether they are equal.
    pub equal: bool,
    /// What serves.
    pub live: Side,
    /// What was held against it.
    pub other: Side,
    /// Where they differ, at most [`DIFFERENCES_KEPT_MAX`].
    pub differences: Vec<Difference>,
    /// How many rows differ.
    pub differences_total: u64,
}

/// Compares a slot with the live tables, at one position, while these go on. A slot that is elsewhere
/// is brought there first; where both stand at one position nothing is written.
///
/// # Errors
/// There are no tables in that slot, or the database cannot be reached.
pub async fn compare(
    tables: &dyn Tables,
    reader: &Arc<dyn EventReader>,
    slot: Slot,
) -> Result<Compared, RebuildError> {
    let (mut live, mut other) = (Position::START, Position::START);
    for _ in 0..MOMENTS_MAX {
        let mut moment = tables.snapshot().await?;
        let slots = moment.slots().await?;
        (live, other) = (slots.live, slots.of(slot).unwrap_or_default());
        if slots.of(slot) == Some(live) {
            let mut work = Comparison::default();
            for table in tables.model().tables() {
                work.take(moment.as_mut(), slot, table).await?;
            }
            return Ok(work.finish(tables.model().name(), live));
        }
        drop(moment);
        bring(tables, reader, slot, false).await?;
    }
    Err(RebuildError::Apart { model: tables.model().name(), live, other })
}

/// Rows of one side, in pages.
struct Rows {
    slot: Slot,
    buffer: VecDeque<(String, String)>,
    last: Option<String>,
    is_done: bool,
}

impl Rows {
    const fn of(slot: Slot) -> Self {
        Self { slot, buffer: VecDeque::new(), last: None, is_done: false }
    }

    async fn fill(&mut self, moment: &mut dyn Snapshot, table: &Table) -> Result<(), PortError> {
        if self.is_done || !self.buffer.is_empty() {
            return Ok(());
        }
        let page = moment.rows(self.slot, table, self.last.as_deref(), PAGE_ROWS).await?;
        self.is_done = page.is_empty();
        self.last = page.last().map(|(id, _)| id.clone());
        self.buffer = page.into();
        Ok(())
    }
}

#[derive(Default)]
struct Tally {
    rows: u64,
    hash: Sha256,
}

impl Tally {
    fn add(&mut self, table: &Table, row: &str) {
        self.rows += 1;
        self.hash.update(table.name);
        self.hash.update(row);
        self.hash.update(b"\n");
    }

    fn finish(self) -> Side {
        Side { rows: self.rows, checksum: hex::encode(self.hash.finalize()) }
    }
}

#[derive(Default)]
struct Comparison {
    live: Tally,
    other: Tally,
    differences: Vec<Difference>,
    total: u64,
}

impl Comparison {
    fn note(&mut self, table: &Table, id: String, kind: DifferenceKind) {
        self.total += 1;
        if self.differences.len() < DIFFERENCES_KEPT_MAX {
            self.differences.push(Difference { table: table.name, id, kind });
        }
    }

    /// Merges the rows of a table by key.
    async fn take(
        &mut self,
        moment: &mut dyn Snapshot,
        slot: Slot,
        table: &Table,
    ) -> Result<(), PortError> {
        let (mut live, mut other) = (Rows::of(Slot::Live), Rows::of(slot));
        loop {
            live.fill(moment, table).await?;
            other.fill(moment, table).await?;
            let order = match (live.buffer.front(), other.buffer.front()) {
                (None, None) => return Ok(()),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((left, _)), Some((right, _))) => left.cmp(right),
            };
            let mine = if order.is_le() { live.buffer.pop_front() } else { None };
            let theirs = if order.is_ge() { other.buffer.pop_front() } else { None };
            if let Some((_, row)) = &mine {
                self.live.add(table, row);
            }
            if let Some((_, row)) = &theirs {
                self.other.add(table, row);
            }
            match (mine, theirs) {
                (Some((id, left)), Some((_, right))) if left != right => {
                    self.note(table, id, DifferenceKind::Differs);
                }
                (Some((id, _)), None) => self.note(table, id, DifferenceKind::Extra),
                (None, Some((id, _))) => self.note(table, id, DifferenceKind::Missing),
                _ => {}
            }
        }
    }

    fn finish(self, model: &'static str, position: Position) -> Compared {
        Compared {
            model,
            position,
            equal: self.total == 0,
            live: self.live.finish(),
            other: self.other.finish(),
            differences: self.differences,
            differences_total: self.total,
        }
    }
}
