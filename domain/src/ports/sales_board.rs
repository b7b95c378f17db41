//! The read model of broadcasts, spotlights and what they sold.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::envelope::{Position, Recorded};
use crate::ids::{BroadcastId, SellerId, SpotlightId};
use crate::money::Money;
use crate::ports::{Page, PortError};
use crate::views::{BroadcastView, SpotlightView};

/// What a broadcast has sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SalesTotals {
    /// Orders accepted.
    pub orders: u64,
    /// Orders confirmed.
    pub confirmed: u64,
    /// Orders failed.
    pub failed: u64,
    /// Orders called off.
    pub cancelled: u64,
    /// Units sold.
    pub units_sold: u64,
    /// Money captured and not given back.
    pub revenue: Money,
    /// Orders accepted and then failed for stock; 0 unless Redis lost data.
    pub failed_for_stock: u64,
}

/// The sales board. Its fold is pure, its checkpoint is in the transaction.
#[async_trait]
pub trait SalesBoard: Send + Sync {
    /// The position that all events up to are applied.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn checkpoint(&self) -> Result<Position, PortError>;
    /// Applies events of all keys in the order of positions; those up to the checkpoint are
    /// skipped. Rows and checkpoint move together.
    ///
    /// # Errors
    /// It cannot be reached; nothing was applied.
    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError>;
    /// One broadcast.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn broadcast(&self, id: BroadcastId) -> Result<Option<BroadcastView>, PortError>;
    /// A page of a seller's broadcasts, newest first.
    ///
    /// # Errors
    /// It cannot be reached, or the cursor is malformed ([`PortError::Corrupt`]).
    async fn broadcasts(
        &self,
        seller: &SellerId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<BroadcastView>, PortError>;
    /// One spotlight.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn spotlight(&self, id: SpotlightId) -> Result<Option<SpotlightView>, PortError>;
    /// A page of a broadcast's spotlights, newest first.
    ///
    /// # Errors
    /// It cannot be reached, or the cursor is malformed ([`PortError::Corrupt`]).
    async fn spotlights(
        &self,
        broadcast: BroadcastId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<SpotlightView>, PortError>;
    /// Spotlights whose time has come: scheduled ones of a live broadcast with `opens_at <= now`,
    /// open or paused ones with `closes_at <= now`, and ones not closed of an ended broadcast.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<SpotlightView>, PortError>;
    /// Spotlights with a withdrawal that is not settled, by id.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn withdrawing(&self, limit: usize) -> Result<Vec<SpotlightView>, PortError>;
    /// What a broadcast has sold; `None` where it does not exist.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn totals(&self, broadcast: BroadcastId) -> Result<Option<SalesTotals>, PortError>;
}
