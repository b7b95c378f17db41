//! Rows and seals of a database, as bytes.

use domain::envelope::Position;
use domain::merkle::Hash;
use domain::ports::PortError;
use domain::row::StoredRow;
use domain::seal::{KeyRecord, Seal, SealedBlock};
use sqlx::{ColumnIndex, Decode, Row, Type};
use uuid::Uuid;

use super::STORE;
use super::numbers::{to_position, unsigned};

/// The bytes of a hash.
const HASH_BYTES: usize = 32;

/// Every row of a page: the columns of `events` in the order of the events' readers, the time in
/// microseconds since 1970.
pub(super) fn raw_all<'r, R: Row>(rows: &'r [R]) -> Result<Vec<StoredRow>, PortError>
where
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    rows.iter()
        .map(|row| {
            let number = |at: usize| row.try_get::<i64, usize>(at).map_err(unreadable);
            let text = |at: usize| row.try_get::<Vec<u8>, usize>(at).map_err(unreadable);
            let id = |at: usize| row.try_get::<Uuid, usize>(at).map_err(unreadable);
            Ok(StoredRow {
                position: to_position(number(0)?)?,
                prev: Position(unsigned(number(1)?, "a link")?),
                event_id: id(2)?,
                aggregate_type: text(3)?,
                aggregate_id: text(4)?,
                sequence: unsigned(number(5)?, "a sequence")?,
                stream_key: id(6)?,
                recorded_at: number(7)?,
                event_type: text(8)?,
                event_version: text(9)?,
                payload: text(10)?,
                metadata: text(11)?,
            })
        })
        .collect()
}

fn unreadable(error: sqlx::Error) -> PortError {
    PortError::corrupt(STORE, error)
}

/// A row of `seals`.
///
/// # Errors
/// [`PortError::Corrupt`] where the JSON is no seal.
pub(super) fn decode_seal((number, seal): (i64, String)) -> Result<Seal, PortError> {
    let wrong = |detail: String| PortError::corrupt(STORE, format!("seal {number}: {detail}"));
    let seal: Seal = serde_json::from_str(&seal).map_err(|error| wrong(error.to_string()))?;
    if i64::try_from(seal.number) != Ok(number) {
        return Err(wrong(format!("calls itself {}", seal.number)));
    }
    Ok(seal)
}

/// A row of `seals` with its hashes.
///
/// # Errors
/// As of [`decode_seal`], or the hashes are cut.
pub(super) fn decode_block(
    (number, seal, rows): (i64, String, Vec<u8>),
) -> Result<SealedBlock, PortError> {
    let seal = decode_seal((number, seal))?;
    let (hashes, rest) = rows.as_chunks::<HASH_BYTES>();
    if !rest.is_empty() {
        return Err(PortError::corrupt(STORE, format!("the hashes of seal {number} are cut")));
    }
    Ok(SealedBlock { seal, rows: hashes.iter().map(|hash| Hash(*hash)).collect() })
}

/// The hashes of a block, one after the other.
pub(super) fn hash_bytes(block: &SealedBlock) -> Vec<u8> {
    block.rows.iter().flat_map(|hash| hash.0).collect()
}

/// A row of `seal_keys`.
///
/// # Errors
/// [`PortError::Corrupt`] where a number is negative.
pub(super) fn decode_key(
    (key_id, public_key, first): (String, String, i64),
) -> Result<KeyRecord, PortError> {
    Ok(KeyRecord { key_id, public_key, first_seal: unsigned(first, "a seal's number")? })
}

/// The JSON of a block's seal.
pub(super) fn seal_json(block: &SealedBlock) -> Result<String, sqlx::Error> {
    serde_json::to_string(&block.seal).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}
