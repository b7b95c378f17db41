//! The read model of orders.

use async_trait::async_trait;

use crate::Timestamp;
use crate::envelope::{Position, Recorded};
use crate::ids::{OrderId, SellerId, SpotlightId, ViewerRef};
use crate::ports::PortError;
use crate::views::{OrderStatus, OrderView};

/// Which orders to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderQuery {
    /// Whose broadcasts.
    pub seller: SellerId,
    /// Only this viewer's.
    pub viewer: Option<ViewerRef>,
    /// Only this spotlight's.
    pub spotlight: Option<SpotlightId>,
    /// Only in this status.
    pub status: Option<OrderStatus>,
    /// Only those accepted at or after this.
    pub since: Option<Timestamp>,
    /// Where the last page ended; opaque.
    pub cursor: Option<String>,
    /// How many at most.
    pub limit: usize,
}

/// One page of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last one.
    pub next_cursor: Option<String>,
}

/// The order book: one row per order. Its fold is pure, its checkpoint is in the transaction.
#[async_trait]
pub trait OrderBook: Send + Sync {
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
    /// One order.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn order(&self, order: OrderId) -> Result<Option<OrderView>, PortError>;
    /// A page of orders, newest first.
    ///
    /// # Errors
    /// It cannot be reached, or the cursor is malformed ([`PortError::Corrupt`]).
    async fn orders(&self, query: &OrderQuery) -> Result<Page<OrderView>, PortError>;
    /// Orders whose hold ran out at or before `now`, earliest first; one whose payment is
    /// authorised is left to its capture and not listed.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn due_holds(&self, now: Timestamp, limit: usize) -> Result<Vec<OrderView>, PortError>;
    /// Orders whose payment is under way (requested, authorised or unknown) or whose refund is,
    /// after an order id, by id.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn open_payments(
        &self,
        after: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<OrderView>, PortError>;
}
