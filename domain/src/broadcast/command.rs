//! What may be asked of a broadcast.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;
use crate::ids::{BroadcastId, ViewerRef};
use crate::money::Currency;
use crate::personal::Personal;

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
    /// Keep the chat.
    ModerateChat {
        /// What.
        action: ChatAction,
    },
}

/// What moderators and hosts do to a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum ChatAction {
    /// Say something to everybody.
    Announce {
        /// What.
        message: String,
    },
    /// Keep a message above the chat.
    Pin {
        /// The chat message that it is, if it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<Uuid>,
        /// What it says, and who said it.
        personal: Personal,
    },
    /// Take the pinned message away.
    Unpin,
    /// Let nobody but moderators and hosts say anything.
    Freeze,
    /// Let everybody say something again.
    Thaw,
    /// Let a viewer say something only so often.
    Slow {
        /// Seconds between two messages; 0 for no such rule.
        seconds: u32,
    },
    /// Take a message away.
    RemoveMessage {
        /// Which.
        message_id: Uuid,
    },
    /// Let a viewer say nothing.
    Mute {
        /// Whom.
        target: Target,
        /// For how many seconds; for good where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u32>,
    },
    /// Let a viewer not come in.
    Ban {
        /// Whom.
        target: Target,
        /// For how many seconds; for good where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u32>,
        /// Whether the viewer is not to notice: it comes in, and nobody else reads what it says.
        #[serde(default)]
        shadow: bool,
    },
    /// Lift mute and ban.
    Pardon {
        /// Whom.
        target: Target,
    },
    /// Words that nobody but moderators and hosts may say.
    BanWords {
        /// All of them.
        words: Vec<String>,
    },
}

/// Whom a moderator means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The viewer's pseudonym.
    pub viewer_ref: ViewerRef,
    /// The viewer's id, and the reason that was typed.
    pub personal: Personal,
}
