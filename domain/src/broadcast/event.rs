//! Facts of a broadcast.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::ids::{BroadcastId, SellerId};
use crate::money::Currency;
use crate::personal::Personal;

/// What happened to a broadcast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BroadcastEvent {
    /// The show was announced.
    BroadcastScheduled {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// Whose it is.
        seller: SellerId,
        /// What viewers read.
        title: String,
        /// The currency of every offer in it.
        currency: Currency,
        /// When it is to start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        starts_at: Option<Timestamp>,
    },
    /// The show is live.
    BroadcastStarted {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// The writer's time.
        at: Timestamp,
    },
    /// The show is over.
    BroadcastEnded {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// The writer's time.
        at: Timestamp,
        /// What the host typed.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
}

impl BroadcastEvent {
    /// The broadcast that it belongs to.
    pub const fn broadcast_id(&self) -> BroadcastId {
        match self {
            Self::BroadcastScheduled { broadcast_id, .. }
            | Self::BroadcastStarted { broadcast_id, .. }
            | Self::BroadcastEnded { broadcast_id, .. } => *broadcast_id,
        }
    }
}

impl DomainEvent for BroadcastEvent {
    fn event_type(&self) -> String {
        match self {
            Self::BroadcastScheduled { .. } => "BroadcastScheduled",
            Self::BroadcastStarted { .. } => "BroadcastStarted",
            Self::BroadcastEnded { .. } => "BroadcastEnded",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
