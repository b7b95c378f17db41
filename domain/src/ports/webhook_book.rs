//! The book of seller webhooks: who is told what, and what came of it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;
use crate::envelope::Position;
use crate::ids::SellerId;
use crate::ports::{Page, PortError};

/// Whether an endpoint is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointStatus {
    /// It is.
    Enabled,
    /// It failed for too long, or said that it is gone.
    Disabled,
}

/// Where a seller wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub seller: SellerId,
    /// The address that is posted to.
    pub url: String,
    /// Names of events such as `order.confirmed`, or `*`.
    pub events: Vec<String>,
    /// For people.
    pub description: Option<String>,
    /// Whether it is sent to.
    pub status: EndpointStatus,
    /// Why it is not.
    pub disabled_reason: Option<String>,
    /// Counts the rotations of its secret; the secret follows from id and generation.
    pub generation: u32,
    /// Until when messages are signed with the secret before, too.
    pub previous_until: Option<Timestamp>,
    /// Since when nothing was delivered, where the last attempt failed.
    pub failing_since: Option<Timestamp>,
    /// When it was registered; older events are not sent.
    pub created_at: Timestamp,
}

impl WebhookEndpoint {
    /// Whether it wants events of this name.
    pub fn wants(&self, event: &str) -> bool {
        self.events.iter().any(|wanted| wanted == "*" || wanted == event)
    }
}

/// A message to one endpoint, to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookMessage {
    /// Its id, the same at each attempt and where the events are read again.
    pub id: Uuid,
    /// Where it goes.
    pub endpoint: Uuid,
    /// The event's name.
    pub event: String,
    /// The body, as it is signed and sent.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// To be tried, for the first time or again.
    Pending,
    /// Taken with 2xx.
    Delivered,
    /// Not tried again by itself.
    Failed,
}

/// A message and its attempts so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// The message.
    pub message: WebhookMessage,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Attempts begun.
    pub attempts: u32,
    /// When it is tried next.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was tried last.
    pub last_attempt_at: Option<Timestamp>,
    /// The HTTP status of the last answer.
    pub response_status: Option<u16>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// When it was taken.
    pub delivered_at: Option<Timestamp>,
}

/// A delivery that one process has for itself until the lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedDelivery {
    /// What.
    pub delivery: WebhookDelivery,
    /// Where to.
    pub endpoint: WebhookEndpoint,
    /// Until when; names the claim.
    pub lease: Timestamp,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptResult {
    /// When it ended.
    pub at: Timestamp,
    /// The HTTP status, where there was an answer.
    pub response_status: Option<u16>,
    /// Why it failed; absent where it was taken.
    pub error: Option<String>,
    /// When to try again; absent where it was taken, or is given up.
    pub retry_at: Option<Timestamp>,
    /// The endpoint is not sent to any more, and why.
    pub disable: Option<String>,
}

/// Endpoints and deliveries. Messages are written in the transaction of the checkpoint, so that an
/// event is never told twice under two ids nor left out.
#[async_trait]
pub trait WebhookBook: Send + Sync {
    /// The position that all events up to are written as messages.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn checkpoint(&self) -> Result<Position, PortError>;
    /// Moves the checkpoint `from` one position `to` another with the messages of the events
    /// between; messages that are there already stay as they are. Answers with the checkpoint,
    /// which is another one where somebody else has moved it.
    ///
    /// # Errors
    /// It cannot be reached; nothing was written.
    async fn enqueue(
        &self,
        from: Position,
        to: Position,
        messages: &[WebhookMessage],
    ) -> Result<Position, PortError>;
    /// Registers an endpoint. False where the seller has `most` of them already.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn register(&self, endpoint: &WebhookEndpoint, most: usize) -> Result<bool, PortError>;
    /// The seller's endpoints, oldest first; there are few.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn endpoints(&self, seller: &SellerId) -> Result<Vec<WebhookEndpoint>, PortError>;
    /// Every endpoint that is sent to.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn enabled(&self) -> Result<Vec<WebhookEndpoint>, PortError>;
    /// Overwrites an endpoint's status, secret generation and failure. False where it is gone.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn update(&self, endpoint: &WebhookEndpoint) -> Result<bool, PortError>;
    /// Removes an endpoint and its deliveries. False where there is none.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn remove(&self, seller: &SellerId, endpoint: Uuid) -> Result<bool, PortError>;
    /// Takes deliveries that are due, until `lease`: at most `each` per endpoint, `most` in all.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn claim(
        &self,
        now: Timestamp,
        lease: Timestamp,
        each: usize,
        most: usize,
    ) -> Result<Vec<ClaimedDelivery>, PortError>;
    /// Writes down what came of an attempt. False where the claim has run out meanwhile.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn settle(
        &self,
        claimed: &ClaimedDelivery,
        result: &AttemptResult,
    ) -> Result<bool, PortError>;
    /// A page of an endpoint's deliveries, newest first.
    ///
    /// # Errors
    /// It cannot be reached, or the cursor is malformed ([`PortError::Corrupt`]).
    async fn deliveries(
        &self,
        endpoint: Uuid,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<WebhookDelivery>, PortError>;
    /// Makes a delivery due now with all its attempts before it. `None` where there is none.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn redeliver(
        &self,
        endpoint: Uuid,
        delivery: Uuid,
        now: Timestamp,
    ) -> Result<Option<WebhookDelivery>, PortError>;
    /// Forgets ended deliveries of before a time, at most `most`. Answers how many.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn prune(&self, before: Timestamp, most: usize) -> Result<u64, PortError>;
}
