//! Facts of a broadcast.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;
use crate::ids::{BroadcastId, SellerId, ViewerRef};
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
    /// Something was said to everybody.
    ChatAnnounced {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// The writer's time.
        at: Timestamp,
        /// Names the announcement.
        announcement_id: Uuid,
        /// What was said.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// A message is kept above the chat.
    ChatPinned {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// The writer's time.
        at: Timestamp,
        /// Names what is pinned.
        pin_id: Uuid,
        /// The chat message that it is, if it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<Uuid>,
        /// What it says, and who said it.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// Nothing is pinned any more.
    ChatUnpinned {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// The writer's time.
        at: Timestamp,
    },
    /// Only moderators and hosts may say something.
    ChatFrozen {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// The writer's time.
        at: Timestamp,
    },
    /// Everybody may say something again.
    ChatThawed {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// The writer's time.
        at: Timestamp,
    },
    /// A viewer may say something only so often.
    ChatSlowed {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// The writer's time.
        at: Timestamp,
        /// Seconds between two messages; 0 for no such rule.
        seconds: u32,
    },
    /// A chat message was taken away.
    ChatMessageRemoved {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// The writer's time.
        at: Timestamp,
        /// Which.
        message_id: Uuid,
    },
    /// A viewer may say nothing.
    ViewerMuted {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// The writer's time.
        at: Timestamp,
        /// Whom, as a keyed pseudonym.
        viewer_ref: ViewerRef,
        /// Until when; for good where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Whom, and why.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// A viewer may not come in, or is not read by others.
    ViewerBanned {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// The writer's time.
        at: Timestamp,
        /// Whom, as a keyed pseudonym.
        viewer_ref: ViewerRef,
        /// Until when; for good where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Whether the viewer is not to notice.
        shadow: bool,
        /// Whom, and why.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// Mute and ban of a viewer were lifted.
    ViewerPardoned {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// The writer's time.
        at: Timestamp,
        /// Whom, as a keyed pseudonym.
        viewer_ref: ViewerRef,
        /// Whether the viewer was never told what is lifted.
        silent: bool,
        /// Whom.
        #[serde(default, skip_serializing_if = "Personal::is_empty")]
        personal: Personal,
    },
    /// Other words are banned.
    WordsBanned {
        /// Which broadcast.
        broadcast_id: BroadcastId,
        /// The writer's time.
        at: Timestamp,
        /// All of them.
        words: Vec<String>,
    },
}

impl BroadcastEvent {
    /// The broadcast that it belongs to.
    pub const fn broadcast_id(&self) -> BroadcastId {
        match self {
            Self::BroadcastScheduled { broadcast_id, .. }
            | Self::BroadcastStarted { broadcast_id, .. }
            | Self::BroadcastEnded { broadcast_id, .. }
            | Self::ChatAnnounced { broadcast_id, .. }
            | Self::ChatPinned { broadcast_id, .. }
            | Self::ChatUnpinned { broadcast_id, .. }
            | Self::ChatFrozen { broadcast_id, .. }
            | Self::ChatThawed { broadcast_id, .. }
            | Self::ChatSlowed { broadcast_id, .. }
            | Self::ChatMessageRemoved { broadcast_id, .. }
            | Self::ViewerMuted { broadcast_id, .. }
            | Self::ViewerBanned { broadcast_id, .. }
            | Self::ViewerPardoned { broadcast_id, .. }
            | Self::WordsBanned { broadcast_id, .. } => *broadcast_id,
        }
    }
}

impl BroadcastEvent {
    /// Whether it is a fact of the chat, and not of the show.
    pub const fn is_about_chat(&self) -> bool {
        !matches!(
            self,
            Self::BroadcastScheduled { .. }
                | Self::BroadcastStarted { .. }
                | Self::BroadcastEnded { .. }
        )
    }
}

impl DomainEvent for BroadcastEvent {
    fn event_type(&self) -> String {
        match self {
            Self::BroadcastScheduled { .. } => "BroadcastScheduled",
            Self::BroadcastStarted { .. } => "BroadcastStarted",
            Self::BroadcastEnded { .. } => "BroadcastEnded",
            Self::ChatAnnounced { .. } => "ChatAnnounced",
            Self::ChatPinned { .. } => "ChatPinned",
            Self::ChatUnpinned { .. } => "ChatUnpinned",
            Self::ChatFrozen { .. } => "ChatFrozen",
            Self::ChatThawed { .. } => "ChatThawed",
            Self::ChatSlowed { .. } => "ChatSlowed",
            Self::ChatMessageRemoved { .. } => "ChatMessageRemoved",
            Self::ViewerMuted { .. } => "ViewerMuted",
            Self::ViewerBanned { .. } => "ViewerBanned",
            Self::ViewerPardoned { .. } => "ViewerPardoned",
            Self::WordsBanned { .. } => "WordsBanned",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
