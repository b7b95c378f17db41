//! I11: the log is what was sealed.

use domain::envelope::Position;
use domain::ids::EventId;
use domain::invariants::{Finding, Violation};
use domain::merkle::{self, Hash};
use domain::ports::{PortError, RowReader};
use domain::row::StoredRow;
use domain::seal::{KeyRecord, Seal, SealState, chain_next, chain_start, row_hash};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::verify::Progress;
use super::witness::Witness;

/// Rows of a block that differ and are compared with each other, to find those that were swapped.
const SWAPPED_MAX: usize = 64;
/// Rows that are read at a time after the last seal.
const PAGE_ROWS: usize = 1_000;

/// What nothing vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unproven {
    /// From this position.
    pub first: Position,
    /// Up to this one.
    pub last: Position,
    /// Why.
    pub reason: String,
}

/// What the seals say.
#[derive(Debug, Default)]
pub struct SealsChecked {
    /// What is wrong, by position.
    pub findings: Vec<Finding>,
    /// Rows that were compared with a seal.
    pub checked: u64,
    /// The chain after the last row.
    pub hash: Option<Hash>,
    /// What follows the last seal, or the last one that a witness saw.
    pub unproven: Option<Unproven>,
}

struct Check<'a> {
    rows: &'a dyn RowReader,
    witness: Option<&'a Witness>,
    keys: Vec<KeyRecord>,
    told: SealsChecked,
    state: SealState,
    /// The chain over the rows as they are.
    chain: Hash,
    head: Position,
}

/// Compares every row with its seal, and every seal with its witness; nothing where the log is not
/// sealed and nobody saw it. `progress` is told of every block.
///
/// # Errors
/// The store cannot be reached.
pub async fn check_seals(
    rows: &dyn RowReader,
    witness: Option<&Witness>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Option<SealsChecked>, PortError> {
    let head = rows.last_row().await?;
    let keys = match witness {
        Some(witness) => witness.keys.clone(),
        None => rows.keys().await?,
    };
    let (told, state) = (SealsChecked::default(), SealState::default());
    let mut check = Check { rows, witness, keys, told, state, chain: chain_start(), head };
    while check.block().await? {
        progress(Progress { position: check.state.last().min(head), end: head });
    }
    if check.state.blocks() == 0 && check.told.findings.is_empty() {
        return Ok(None);
    }
    check.tail().await?;
    Ok(Some(check.told))
}

impl Check<'_> {
    fn find(&mut self, position: Position, event_id: Option<Uuid>, detail: String) {
        let event_id = EventId(event_id.unwrap_or_default());
        let violation = Violation { position, event_id, detail };
        self.told.findings.push(Finding { invariant: "I11", violation });
    }

    /// Checks the next block; tells whether there was one.
    async fn block(&mut self) -> Result<bool, PortError> {
        let number = self.state.blocks() + 1;
        let next = Position(self.state.last().0 + 1);
        let stored = match self.rows.block(number).await {
            Err(PortError::Corrupt { detail, .. }) => {
                self.find(next, None, format!("seal {number} cannot be read: {detail}"));
                None
            }
            stored => stored?,
        };
        let seen = self.witness.and_then(|witness| witness.seals.get(&number)).cloned();
        let Some(seal) = seen.clone().or_else(|| stored.as_ref().map(|it| it.seal.clone())) else {
            return Ok(false);
        };
        if let Err(error) = seal.check(&self.keys) {
            self.find(seal.first, None, format!("seal {number} {error}"));
        }
        if let (Some(seen), Some(stored)) = (&seen, &stored)
            && *seen != stored.seal
        {
            let detail = format!(
                "seal {number} is not the one that the witness saw: the log was rewritten and \
                 sealed again"
            );
            self.find(seen.first, None, detail);
        }
        // the hashes of the rows are believed as far as the seal's root says so
        let hashes = stored.map(|block| block.rows).filter(|rows| merkle::root(rows) == seal.root);
        self.follow(&seal, next, hashes).await?;
        Ok(true)
    }

    async fn follow(
        &mut self,
        seal: &Seal,
        next: Position,
        hashes: Option<Vec<Hash>>,
    ) -> Result<(), PortError> {
        let number = seal.number;
        if seal.first != next || seal.last < seal.first {
            self.find(next, None, format!("seal {number} begins at {}, not here", seal.first));
        }
        let rows = self.read(seal.first, seal.last).await?;
        let actual: Vec<Hash> = rows.iter().map(row_hash).collect();
        self.told.checked += u64::try_from(rows.len()).unwrap_or(0);
        self.chain = actual.iter().fold(self.chain, |chain, row| chain_next(&chain, row));
        let before = self.told.findings.len();
        self.find_missing(seal, &rows);
        match &hashes {
            Some(hashes) => self.find_changed(seal, &rows, &actual, hashes),
            None if merkle::root(&actual) != seal.root && self.told.findings.len() == before => {
                let detail = format!(
                    "positions {} to {} are not what seal {number} was made of",
                    seal.first, seal.last
                );
                self.find(seal.first, None, detail);
            }
            None => {}
        }
        if self.told.findings.is_empty() && self.chain != seal.chain {
            self.find(seal.last, None, format!("the chain is not that of seal {number}"));
        }
        self.state.follow(seal);
        if self.told.findings.is_empty() && self.state.tree() != seal.tree {
            self.find(seal.first, None, format!("the tree is not that of seal {number}"));
        }
        Ok(())
    }

    /// The rows of a block, as far as there are any.
    async fn read(&mut self, first: Position, last: Position) -> Result<Vec<StoredRow>, PortError> {
        let room = usize::try_from(last.0.saturating_sub(first.0) + 1).unwrap_or(usize::MAX);
        let after = Position(first.0.saturating_sub(1));
        match self.rows.rows(after, room.min(PAGE_ROWS * 10)).await {
            Ok(mut rows) => {
                rows.retain(|row| row.position <= last);
                Ok(rows)
            }
            Err(PortError::Corrupt { detail, .. }) => {
                self.find(first, None, format!("the block cannot be read: {detail}"));
                Ok(vec![])
            }
            Err(error) => Err(error),
        }
    }

    fn find_missing(&mut self, seal: &Seal, rows: &[StoredRow]) {
        if self.head < seal.last {
            let detail = format!(
                "the tail was cut: the log ends at position {}, seal {} goes up to {}",
                self.head, seal.number, seal.last
            );
            let cut = Position(self.head.0 + 1).max(seal.first);
            self.find(cut, None, detail);
        }
        let mut there = rows.iter().map(|row| row.position.0).peekable();
        for position in seal.first.0..=seal.last.min(self.head).0 {
            if there.next_if_eq(&position).is_none() {
                let detail = format!("position {position} was deleted");
                self.find(Position(position), None, detail);
            }
        }
    }

    fn find_changed(&mut self, seal: &Seal, rows: &[StoredRow], actual: &[Hash], sealed: &[Hash]) {
        let meant = |position: Position| {
            let index = position.0.checked_sub(seal.first.0)?;
            sealed.get(usize::try_from(index).ok()?)
        };
        let differs = |(row, hash): &(&StoredRow, &Hash)| meant(row.position) != Some(*hash);
        let mut changed: Vec<&StoredRow> =
            rows.iter().zip(actual).filter(differs).map(|(row, _)| row).collect();
        let moved = |row: &StoredRow, to: Position| {
            let moved = StoredRow { position: to, ..row.clone() };
            meant(to) == Some(&row_hash(&moved))
        };
        while let Some(row) = changed.first().copied() {
            changed.remove(0);
            let other = changed
                .iter()
                .take(SWAPPED_MAX)
                .position(|other| moved(row, other.position) && moved(other, row.position));
            let (at, id) = (row.position, Some(row.event_id));
            if let Some(other) = other.map(|index| changed.remove(index)) {
                let detail = format!("positions {at} and {} were swapped", other.position);
                self.find(at, id, detail);
            } else {
                self.find(at, id, format!("the bytes of position {at} were changed"));
            }
        }
    }

    /// What follows the last seal.
    async fn tail(&mut self) -> Result<(), PortError> {
        let sealed = self.state.last();
        let mut after = sealed;
        loop {
            let page = match self.rows.rows(after, PAGE_ROWS).await {
                Err(PortError::Corrupt { .. }) => break,
                page => page?,
            };
            let Some(last) = page.last() else { break };
            after = last.position;
            let next = |chain, row| chain_next(&chain, &row_hash(row));
            self.chain = page.iter().fold(self.chain, next);
        }
        self.told.hash = Some(self.chain);
        let seen = self.witness.and_then(|it| it.seals.values().next_back());
        let (proven, reason) = match seen {
            Some(seal) => (seal.last, "no witness saw what follows its last seal"),
            None => (sealed, "it is not sealed yet"),
        };
        if self.head > proven {
            let first = Position(proven.0 + 1);
            let (last, reason) = (self.head, reason.to_owned());
            self.told.unproven = Some(Unproven { first, last, reason });
        }
        Ok(())
    }
}
