//! Orders between their acceptance and their first event (design rule 15).

use async_trait::async_trait;

use crate::ids::OrderId;
use crate::ports::PortError;
use crate::views::AcceptedOrder;

/// Where an accepted order can be read before the log has decided it; kept for
/// [`AcceptedOrders::KEPT_SECONDS`].
#[async_trait]
pub trait AcceptedOrders: Send + Sync {
    /// Writes down what is about to be answered. The first answer stands: where an order has one
    /// already, that one is kept and returned in its place, so that two nodes that are asked the
    /// same at once give the same receipt.
    ///
    /// # Errors
    /// It cannot be written; the orders are in the log all the same.
    async fn put(&self, orders: &[AcceptedOrder]) -> Result<Vec<Option<AcceptedOrder>>, PortError>;
    /// What was answered.
    ///
    /// # Errors
    /// It cannot be read.
    async fn get(&self, order: OrderId) -> Result<Option<AcceptedOrder>, PortError>;
    /// What was answered for each of a page of orders, in their order, with one look.
    ///
    /// # Errors
    /// They cannot be read.
    async fn get_all(&self, orders: &[OrderId]) -> Result<Vec<Option<AcceptedOrder>>, PortError>;
}

impl dyn AcceptedOrders {
    /// How long an accepted order is kept, in seconds (24 h).
    pub const KEPT_SECONDS: u64 = 86_400;
}
