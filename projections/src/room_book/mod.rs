//! What rooms came to: likes and viewers, beside the read models.

mod memory;
mod postgres;
mod sqlite;

use domain::ports::{PortError, RoomTotals};

pub use memory::MemoryRoomBook;
pub use postgres::PostgresRoomBook;
pub use sqlite::SqliteRoomBook;

/// Its name in errors.
pub const NAME: &str = "room_book";

/// The numbers of a row.
type Row = (i64, i64, i64);

/// The columns of a room; what does not fit is the most that does.
fn row_of(totals: RoomTotals) -> Row {
    let column = |number| i64::try_from(number).unwrap_or(i64::MAX);
    (column(totals.likes), totals.viewers_peak.into(), column(totals.viewers_distinct))
}

fn totals_of((likes, peak, distinct): Row) -> Result<RoomTotals, PortError> {
    let corrupt = |error| PortError::corrupt(NAME, error);
    Ok(RoomTotals {
        likes: u64::try_from(likes).map_err(corrupt)?,
        viewers_peak: u32::try_from(peak).map_err(corrupt)?,
        viewers_distinct: u64::try_from(distinct).map_err(corrupt)?,
    })
}
