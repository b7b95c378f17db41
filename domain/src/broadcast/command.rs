//! What may be asked of a broadcast.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::BroadcastId;
use crate::money::Currency;

/// A command to a broadcast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BroadcastCommand {
    /// Announce a show.
    ScheduleBroadcast {
        /// The new broadcast's id, derived from the idempotency key.
        broadcast_id: BroadcastId,
        /// What viewers read.
        title: String,
        /// The currency of every offer in it.
        currency: Currency,
        /// When it is to start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        starts_at: Option<Timestamp>,
    },
    /// Go live.
    StartBroadcast,
    /// End the show; its spotlights are closed by the process role (design rule 13).
    EndBroadcast {
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}
