//! What was said, kept for whoever has to look into it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;
use crate::actor::Role;
use crate::ids::{BroadcastId, SellerId, ViewerId};
use crate::ports::{Page, PortError};

/// One message as it was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatRecord {
    /// Names it.
    pub id: Uuid,
    /// Where.
    pub broadcast: BroadcastId,
    /// Whose broadcast.
    pub seller: SellerId,
    /// Who.
    pub viewer: ViewerId,
    /// The name that others read.
    pub name: String,
    /// As what.
    pub role: Role,
    /// What.
    pub message: String,
    /// When.
    pub sent_at: Timestamp,
    /// Whether only its author was to see it.
    #[serde(default)]
    pub hidden: bool,
}

/// The chat log. Its rows are kept for a term, and are no part of the event log.
#[async_trait]
pub trait ChatLog: Send + Sync {
    /// Keeps messages; one that is kept already is left alone.
    ///
    /// # Errors
    /// It cannot be reached; keeping them again is safe.
    async fn append(&self, records: &[ChatRecord]) -> Result<(), PortError>;
    /// One message of a broadcast.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn message(
        &self,
        broadcast: BroadcastId,
        id: Uuid,
    ) -> Result<Option<ChatRecord>, PortError>;
    /// A page of a broadcast's messages, oldest first.
    ///
    /// # Errors
    /// It cannot be reached, or the cursor is malformed ([`PortError::Corrupt`]).
    async fn page(
        &self,
        broadcast: BroadcastId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<ChatRecord>, PortError>;
    /// Forgets messages that were sent before a time; tells how many.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn forget_before(&self, time: Timestamp) -> Result<u64, PortError>;
}
