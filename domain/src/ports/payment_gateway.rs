//! The payment provider. Only the process role holds one: nothing in a replay can call it.

use async_trait::async_trait;

use crate::Timestamp;
use crate::ids::{OrderId, SpotlightId};
use crate::money::Money;
use crate::payment::PaymentResult;
use crate::ports::PortError;

/// One request to a provider; its event is in the log already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentCall {
    /// For which order.
    pub order: OrderId,
    /// In which spotlight; goes into the provider's metadata.
    pub spotlight: SpotlightId,
    /// Which attempt; of a refund its own number.
    pub attempt: u32,
    /// The attempt that holds or took the money; another one than `attempt` only in a refund.
    pub payment: u32,
    /// The provider's reference of that payment, where it gave one.
    pub reference: Option<String>,
    /// By which method.
    pub method: String,
    /// How much.
    pub amount: Money,
    /// Until when the units are held: a provider that can lets the attempt run out then.
    pub held_until: Option<Timestamp>,
}

impl PaymentCall {
    /// The provider's idempotency key of an operation, the same on every path:
    /// `order:operation:attempt`.
    pub fn key(&self, operation: &str) -> String {
        format!("{}:{operation}:{}", self.order, self.attempt)
    }
}

/// A payment provider. Every operation is idempotent under its key.
#[async_trait]
pub trait PaymentGateway: Send + Sync {
    /// The name in orders and routes.
    fn name(&self) -> &'static str;
    /// Sets the amount aside. [`PaymentResult::Unknown`] where the answer was lost.
    ///
    /// # Errors
    /// The provider could not be reached; the outcome is not known.
    async fn authorize(&self, call: &PaymentCall) -> Result<PaymentResult, PortError>;
    /// Takes the amount that was set aside.
    ///
    /// # Errors
    /// The provider could not be reached; the outcome is not known.
    async fn capture(&self, call: &PaymentCall) -> Result<PaymentResult, PortError>;
    /// Gives an authorisation back; also ends an attempt that never answered.
    ///
    /// # Errors
    /// The provider could not be reached; the outcome is not known.
    async fn void(&self, call: &PaymentCall) -> Result<PaymentResult, PortError>;
    /// Gives captured money back.
    ///
    /// # Errors
    /// The provider could not be reached; the outcome is not known.
    async fn refund(&self, call: &PaymentCall) -> Result<PaymentResult, PortError>;
    /// How often the provider tells what became of a call; providers repeat themselves.
    fn tells(&self, _call: &PaymentCall) -> usize {
        1
    }
    /// Whether the provider is known not to answer: nothing is asked of it for a while.
    fn is_down(&self) -> bool {
        false
    }
    /// What the provider knows of an attempt; `None` while it has no final answer.
    ///
    /// # Errors
    /// The provider could not be reached.
    async fn query(&self, call: &PaymentCall) -> Result<Option<PaymentResult>, PortError>;
}
