//! Proofs that fit into a letter: an event was sealed, and the log only grew.

use domain::envelope::Position;
use domain::merkle::{self, Hash, climbed, is_consistent};
use domain::ports::{PortError, RowReader};
use domain::row::StoredRow;
use domain::seal::{KeyRecord, Seal, row_hash};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::export::{Format, encode_row};
use super::order_log::AskError;

/// Rows that are read at a time, where an event is looked for by its id.
const PAGE_ROWS: usize = 1_000;
/// Seals that are read at a time.
const PAGE_SEALS: usize = 1_000;

/// The proof that an event is in a block, and the block in everything that was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// What this is.
    pub proof: String,
    /// Where the event stands.
    pub position: Position,
    /// The event, as a line of an ndjson export.
    pub row: String,
    /// The hash of the row's canonical bytes.
    pub row_hash: Hash,
    /// The row's place in its block, from 0.
    pub index: u64,
    /// Rows of the block.
    pub rows: u64,
    /// From the row's sibling up to the block's root.
    pub row_path: Vec<Hash>,
    /// The seal of the block.
    pub block: Seal,
    /// From the block's sibling up to the root over all blocks.
    pub block_path: Vec<Hash>,
    /// The last seal: its tree is that root.
    pub checkpoint: Seal,
    /// The keys, as the store publishes them.
    pub keys: Vec<KeyRecord>,
}

/// The proof that one checkpoint continues another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consistency {
    /// What this is.
    pub proof: String,
    /// The earlier checkpoint.
    pub first: Seal,
    /// The later one.
    pub second: Seal,
    /// From the root of the first to that of the second.
    pub path: Vec<Hash>,
    /// The keys, as the store publishes them.
    pub keys: Vec<KeyRecord>,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The log has no such thing.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Nothing was sealed there.
    #[error("position {0} is not sealed yet: `onair replay seal` does it")]
    NotSealed(Position),
    /// What would be proven is not so.
    #[error("there is no proof: {0}")]
    False(String),
}

impl From<PortError> for ProofError {
    fn from(error: PortError) -> Self {
        Self::Ask(AskError::Store(error))
    }
}

/// An event by its position or by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventRef {
    /// By position.
    Position(Position),
    /// By id.
    Id(Uuid),
}

impl std::str::FromStr for EventRef {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(position) = text.parse() {
            return Ok(Self::Position(Position(position)));
        }
        text.parse().map(Self::Id).map_err(|_| "is neither a position nor an event's id".to_owned())
    }
}

async fn row_of(rows: &dyn RowReader, event: EventRef) -> Result<StoredRow, ProofError> {
    let unknown = |name: String| ProofError::Ask(AskError::Unknown(format!("event {name}")));
    match event {
        EventRef::Position(position) => {
            let after = Position(position.0.saturating_sub(1));
            let row = rows.rows(after, 1).await?.pop().filter(|row| row.position == position);
            row.ok_or_else(|| unknown(position.to_string()))
        }
        EventRef::Id(id) => {
            let mut after = Position::START;
            loop {
                let page = rows.rows(after, PAGE_ROWS).await?;
                let Some(last) = page.last() else { return Err(unknown(id.to_string())) };
                after = last.position;
                if let Some(row) = page.into_iter().find(|row| row.event_id == id) {
                    return Ok(row);
                }
            }
        }
    }
}

async fn all_seals(rows: &dyn RowReader) -> Result<Vec<Seal>, PortError> {
    let mut seals: Vec<Seal> = vec![];
    loop {
        let after = seals.last().map_or(0, |seal| seal.number);
        let page = rows.seals(after, PAGE_SEALS).await?;
        if page.is_empty() {
            return Ok(seals);
        }
        seals.extend(page);
    }
}

fn leaves(seals: &[Seal]) -> Vec<Hash> {
    seals.iter().map(Seal::leaf).collect()
}

/// Proves that an event was sealed as it is.
///
/// # Errors
/// [`ProofError`].
pub async fn prove_event(rows: &dyn RowReader, event: EventRef) -> Result<Inclusion, ProofError> {
    let row = row_of(rows, event).await?;
    let position = row.position;
    let seals = all_seals(rows).await?;
    let found = seals.iter().position(|seal| (seal.first..=seal.last).contains(&position));
    let Some((place, block, checkpoint)) =
        found.and_then(|place| Some((place, seals.get(place)?, seals.last()?)))
    else {
        return Err(ProofError::NotSealed(position));
    };
    let sealed = rows.block(block.number).await?.map(|block| block.rows).unwrap_or_default();
    let index = position.0.saturating_sub(block.first.0);
    let at = usize::try_from(index).unwrap_or(usize::MAX);
    let line = encode_row(Format::Ndjson, &row)
        .map_err(|error| ProofError::False(format!("position {position}: {error}")))?;
    let proof = Inclusion {
        proof: "onair inclusion v1".to_owned(),
        position,
        row: line,
        row_hash: row_hash(&row),
        index,
        rows: u64::try_from(sealed.len()).unwrap_or(u64::MAX),
        row_path: merkle::path(&sealed, at),
        block: block.clone(),
        block_path: merkle::path(&leaves(&seals), place),
        checkpoint: checkpoint.clone(),
        keys: rows.keys().await?,
    };
    check_inclusion(&proof, &proof.keys).map_err(ProofError::False)?;
    Ok(proof)
}

/// Whether a proof holds, by keys that are trusted.
///
/// # Errors
/// What does not hold, in words.
pub fn check_inclusion(proof: &Inclusion, keys: &[KeyRecord]) -> Result<(), String> {
    for seal in [&proof.block, &proof.checkpoint] {
        seal.check(keys).map_err(|error| format!("seal {} {error}", seal.number))?;
    }
    let up = climbed(proof.row_hash, proof.index, proof.rows, &proof.row_path);
    if up != Some(proof.block.root) {
        return Err(format!(
            "the bytes of position {} do not lead to the root of seal {}",
            proof.position, proof.block.number
        ));
    }
    let place = proof.block.number.saturating_sub(1);
    let up = climbed(proof.block.leaf(), place, proof.checkpoint.number, &proof.block_path);
    if up != Some(proof.checkpoint.tree) {
        return Err(format!(
            "seal {} does not lead to the tree of seal {}",
            proof.block.number, proof.checkpoint.number
        ));
    }
    Ok(())
}

/// Proves that a checkpoint continues another, by their numbers.
///
/// # Errors
/// [`ProofError`].
pub async fn prove_consistency(
    rows: &dyn RowReader,
    (first, second): (u64, u64),
) -> Result<Consistency, ProofError> {
    let seals = all_seals(rows).await?;
    let find = |number: u64| {
        let unknown = || AskError::Unknown(format!("seal {number}"));
        seals.iter().find(|seal| seal.number == number).cloned().ok_or_else(unknown)
    };
    let (first, second) = (find(first)?, find(second)?);
    let size = |seal: &Seal| usize::try_from(seal.number).unwrap_or(usize::MAX);
    let all = leaves(&seals);
    let path = all
        .get(..size(&second))
        .and_then(|whole| merkle::consistency(whole, size(&first)))
        .ok_or_else(|| {
            let (first, second) = (first.number, second.number);
            ProofError::False(format!("seal {second} is not after seal {first}"))
        })?;
    let keys = rows.keys().await?;
    for seal in [&first, &second] {
        seal.check(&keys)
            .map_err(|error| ProofError::False(format!("seal {} {error}", seal.number)))?;
    }
    if !is_consistent((first.number, first.tree), (second.number, second.tree), &path) {
        let (first, second) = (first.number, second.number);
        return Err(ProofError::False(format!("seal {second} does not continue seal {first}")));
    }
    let proof = "onair consistency v1".to_owned();
    Ok(Consistency { proof, first, second, path, keys })
}
