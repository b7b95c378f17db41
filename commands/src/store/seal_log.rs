//! Sealing what of the log is not sealed yet.

use domain::Timestamp;
use domain::envelope::Position;
use domain::ports::{Clock, PortError, RowReader};
use domain::seal::{KeyRecord, SEAL_BLOCK_EVENTS, SealSigner, SealState, SealedBlock, row_hash};

use super::{OpenError, StoreOptions};

/// Seals that are read at a time.
const PAGE_SEALS: usize = 1_000;

/// Why the log was not sealed, or not to its end: every block that was written stands.
#[derive(Debug, thiserror::Error)]
pub enum SealLogError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] PortError),
    /// A position is missing: what has a gap is not sealed.
    #[error("position {0} is missing from the log: `onair replay verify` tells what is wrong")]
    Gap(Position),
    /// The seal cannot be written, or another process wrote it.
    #[error("seal {number} cannot be written")]
    Refused {
        /// Which.
        number: u64,
        /// Why.
        source: sqlx::Error,
    },
}

/// What was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedLog {
    /// Blocks that were sealed now.
    pub blocks: u64,
    /// Seals of the log.
    pub seals: u64,
    /// The last position that is sealed.
    pub last: Position,
}

/// Where seals go.
#[async_trait::async_trait]
pub trait SealSink: Send {
    /// Writes a seal, and the key that signed it where it is new.
    ///
    /// # Errors
    /// The database cannot be reached, or has a seal of that number.
    async fn insert(&mut self, block: &SealedBlock, key: &KeyRecord) -> Result<(), sqlx::Error>;
}

/// Seals all that follows the last seal, in whole blocks and then what is left; `now` tells the
/// time of each seal and `progress` is told of each.
///
/// # Errors
/// [`SealLogError`].
pub async fn seal_log(
    database: &str,
    options: &StoreOptions,
    signer: &SealSigner,
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<SealedLog, SealLogError> {
    let mut sink = super::open::seal_sink(database).await?;
    let rows = super::open_audit(database, options).await?.rows;
    let clock = options.clock.as_ref();
    seal_on(rows.as_ref(), sink.as_mut(), clock, (signer, 1), progress).await
}

/// As [`seal_log`], on a log and a sink that are open; with at least `least` rows in each block.
///
/// # Errors
/// [`SealLogError`].
pub async fn seal_on(
    rows: &dyn RowReader,
    sink: &mut dyn SealSink,
    clock: &dyn Clock,
    (signer, least): (&SealSigner, u64),
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<SealedLog, SealLogError> {
    let mut state = state_of(rows).await?;
    let end = rows.last_row().await?;
    let (mut blocks, limit) = (0, usize::try_from(SEAL_BLOCK_EVENTS).unwrap_or(usize::MAX));
    while end.0.saturating_sub(state.last().0) >= least.max(1) {
        let mut page = rows.rows(state.last(), limit).await?;
        page.retain(|row| row.position <= end);
        let mut hashes = Vec::with_capacity(page.len());
        for (row, position) in page.iter().zip(state.last().0 + 1..) {
            if row.position.0 != position {
                return Err(SealLogError::Gap(Position(position)));
            }
            hashes.push(row_hash(row));
        }
        if hashes.is_empty() {
            break;
        }
        let at: Timestamp = micros(clock.now());
        let block = state.seal(hashes, at, signer);
        let number = block.seal.number;
        let key = KeyRecord::of(&signer.public_key(), number);
        let written = sink.insert(&block, &key).await;
        written.map_err(|source| SealLogError::Refused { number, source })?;
        blocks += 1;
        progress(state.last(), end);
    }
    Ok(SealedLog { blocks, seals: state.blocks(), last: state.last() })
}

/// A time as every store and every text keeps it.
fn micros(at: Timestamp) -> Timestamp {
    Timestamp::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

async fn state_of(rows: &dyn RowReader) -> Result<SealState, PortError> {
    let mut state = SealState::default();
    loop {
        let page = rows.seals(state.blocks(), PAGE_SEALS).await?;
        if page.is_empty() {
            return Ok(state);
        }
        for seal in &page {
            state.follow(seal);
        }
    }
}
