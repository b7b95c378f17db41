//! Between the domain's numbers and a database's, which have a sign.

use domain::envelope::Position;
use domain::ports::PortError;

use super::STORE;

/// A database has no number above `i64::MAX`; nothing that is counted here gets there.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A position as a database compares it.
pub(super) fn from_position(position: Position) -> i64 {
    signed(position.0)
}

/// A page's length as a database takes it.
pub(super) fn from_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A place in a list, from 1, as SQL arrays count.
pub(super) fn signed_index(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX).saturating_add(1)
}

/// A stored number that is never negative.
///
/// # Errors
/// [`PortError::Corrupt`] where it is.
pub(super) fn unsigned(number: i64, what: &'static str) -> Result<u64, PortError> {
    u64::try_from(number)
        .map_err(|_| PortError::corrupt(STORE, format!("{what} is negative: {number}")))
}

/// A stored position.
///
/// # Errors
/// [`PortError::Corrupt`] where it is negative.
pub(super) fn to_position(number: i64) -> Result<Position, PortError> {
    unsigned(number, "a position").map(Position)
}
