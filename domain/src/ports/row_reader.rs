//! Reading the log as its bytes.

use async_trait::async_trait;

use crate::envelope::Position;
use crate::ports::PortError;
use crate::row::StoredRow;
use crate::seal::{KeyRecord, Seal, SealedBlock};

/// The log as its bytes, and what was sealed of it.
#[async_trait]
pub trait RowReader: Send + Sync {
    /// Rows after a position, in order, at most `limit`; also those that do not decode.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn rows(&self, after: Position, limit: usize) -> Result<Vec<StoredRow>, PortError>;
    /// The last position.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn last_row(&self) -> Result<Position, PortError>;
    /// Seals after a number, in order, at most `limit`; none where the log is not sealed.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn seals(&self, after: u64, limit: usize) -> Result<Vec<Seal>, PortError>;
    /// A seal with the hashes of its rows.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn block(&self, number: u64) -> Result<Option<SealedBlock>, PortError>;
    /// The keys that ever sealed, oldest first.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn keys(&self) -> Result<Vec<KeyRecord>, PortError>;
}
