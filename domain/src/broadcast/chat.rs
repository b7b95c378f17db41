//! The rules of a broadcast's chat, as moderators and hosts have set them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::command::{ChatAction, Target};
use super::{BroadcastError, BroadcastEvent};
use crate::Timestamp;
use crate::command::Context;
use crate::ids::{BroadcastId, ViewerRef};
use crate::limits::CHAT_SANCTIONS_MAX;
use crate::personal::Personal;

/// Who may say something, and how often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMode {
    /// Whether only moderators and hosts may.
    pub frozen: bool,
    /// Seconds between two messages of a viewer; 0 for no such rule.
    pub slow_seconds: u32,
}

impl ChatMode {
    /// Takes a fact in; tells whether it changed the mode.
    pub const fn apply(&mut self, event: &BroadcastEvent) -> bool {
        match event {
            BroadcastEvent::ChatFrozen { .. } => self.frozen = true,
            BroadcastEvent::ChatThawed { .. } => self.frozen = false,
            BroadcastEvent::ChatSlowed { seconds, .. } => self.slow_seconds = *seconds,
            _ => return false,
        }
        true
    }
}

/// What is kept above the chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Names it.
    pub pin_id: Uuid,
    /// When.
    pub at: Timestamp,
    /// The chat message that it is, if it is one.
    pub message_id: Option<Uuid>,
    /// What it says, and who said it.
    pub personal: Personal,
}

/// A term: until when; for good where it is `None`.
pub type Until = Option<Timestamp>;

/// What a viewer may not do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sanction {
    /// Say something.
    pub mute: Option<Until>,
    /// Come in.
    pub ban: Option<Until>,
    /// Be read by others.
    pub shadow: Option<Until>,
}

/// The rules of a chat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatRules {
    /// Who may say something, and how often.
    pub mode: ChatMode,
    /// What is kept above the chat.
    pub pinned: Option<Pinned>,
    /// Words that may not be said.
    pub words: Vec<String>,
    /// Viewers that may not do everything.
    pub sanctions: BTreeMap<ViewerRef, Sanction>,
    /// Messages that were taken away, and when.
    pub removed: BTreeMap<Uuid, Timestamp>,
}

fn holds(term: Option<Until>, now: Timestamp) -> bool {
    term.is_some_and(|until| until.is_none_or(|until| now < until))
}

impl ChatRules {
    fn sanction(&self, viewer: &ViewerRef) -> Sanction {
        self.sanctions.get(viewer).copied().unwrap_or_default()
    }

    /// Whether a viewer may say nothing now, and until when.
    pub fn muted(&self, viewer: &ViewerRef, now: Timestamp) -> Option<Until> {
        self.sanction(viewer).mute.filter(|until| holds(Some(*until), now))
    }

    /// Whether a viewer may not come in now.
    pub fn is_banned(&self, viewer: &ViewerRef, now: Timestamp) -> bool {
        holds(self.sanction(viewer).ban, now)
    }

    /// Whether nobody else reads now what a viewer says.
    pub fn is_hidden(&self, viewer: &ViewerRef, now: Timestamp) -> bool {
        holds(self.sanction(viewer).shadow, now)
    }

    /// What an action leads to; a repeat leads to nothing.
    pub(super) fn decide(
        &self,
        broadcast_id: BroadcastId,
        action: &ChatAction,
        context: &Context,
    ) -> Result<Option<BroadcastEvent>, BroadcastError> {
        let at = context.decided_at;
        let id = context.command_id.0;
        Ok(match action {
            ChatAction::Announce { message } => Some(BroadcastEvent::ChatAnnounced {
                broadcast_id,
                at,
                announcement_id: id,
                personal: Personal::text(Some(message.clone())),
            }),
            ChatAction::Pin { message_id, personal } => Some(BroadcastEvent::ChatPinned {
                broadcast_id,
                at,
                pin_id: id,
                message_id: *message_id,
                personal: personal.clone(),
            }),
            ChatAction::Unpin => {
                self.pinned.as_ref().map(|_| BroadcastEvent::ChatUnpinned { broadcast_id, at })
            }
            ChatAction::Freeze => {
                (!self.mode.frozen).then_some(BroadcastEvent::ChatFrozen { broadcast_id, at })
            }
            ChatAction::Thaw => {
                self.mode.frozen.then_some(BroadcastEvent::ChatThawed { broadcast_id, at })
            }
            ChatAction::Slow { seconds } => (self.mode.slow_seconds != *seconds)
                .then_some(BroadcastEvent::ChatSlowed { broadcast_id, at, seconds: *seconds }),
            ChatAction::RemoveMessage { message_id } => {
                let message_id = *message_id;
                (!self.removed.contains_key(&message_id))
                    .then_some(BroadcastEvent::ChatMessageRemoved { broadcast_id, at, message_id })
            }
            ChatAction::BanWords { words } => {
                let words: BTreeSet<String> = words.iter().cloned().collect();
                let words: Vec<String> = words.into_iter().collect();
                (self.words != words).then_some(BroadcastEvent::WordsBanned {
                    broadcast_id,
                    at,
                    words,
                })
            }
            ChatAction::Mute { target, .. }
            | ChatAction::Ban { target, .. }
            | ChatAction::Pardon { target } => self.sanctioned(broadcast_id, action, target, at)?,
        })
    }

    fn sanctioned(
        &self,
        broadcast_id: BroadcastId,
        action: &ChatAction,
        target: &Target,
        at: Timestamp,
    ) -> Result<Option<BroadcastEvent>, BroadcastError> {
        let viewer_ref = target.viewer_ref.clone();
        let personal = target.personal.clone();
        let known = self.sanctions.get(&viewer_ref);
        let is_full = known.is_none() && self.sanctions.len() >= CHAT_SANCTIONS_MAX;
        let until = |seconds: &Option<u32>| {
            seconds.map(|seconds| at + TimeDelta::seconds(i64::from(seconds)))
        };
        Ok(match action {
            ChatAction::Mute { .. } | ChatAction::Ban { .. } if is_full => {
                return Err(BroadcastError::TooManySanctions);
            }
            ChatAction::Mute { seconds, .. } => {
                let until = until(seconds);
                Some(BroadcastEvent::ViewerMuted { broadcast_id, at, viewer_ref, until, personal })
            }
            ChatAction::Ban { seconds, shadow, .. } => Some(BroadcastEvent::ViewerBanned {
                broadcast_id,
                at,
                viewer_ref,
                until: until(seconds),
                shadow: *shadow,
                personal,
            }),
            _ => known.map(|known| BroadcastEvent::ViewerPardoned {
                broadcast_id,
                at,
                viewer_ref,
                silent: known.mute.is_none() && known.ban.is_none(),
                personal,
            }),
        })
    }

    /// Takes a fact in; one that is not about the chat changes nothing.
    pub fn apply(&mut self, event: &BroadcastEvent) {
        self.mode.apply(event);
        match event {
            BroadcastEvent::ChatPinned { at, pin_id, message_id, personal, .. } => {
                let (pin_id, at, message_id) = (*pin_id, *at, *message_id);
                self.pinned = Some(Pinned { pin_id, at, message_id, personal: personal.clone() });
            }
            BroadcastEvent::ChatUnpinned { .. } => self.pinned = None,
            BroadcastEvent::ChatMessageRemoved { at, message_id, .. } => {
                self.removed.insert(*message_id, *at);
                // what was taken away does not stand above the chat
                self.pinned.take_if(|pinned| pinned.message_id == Some(*message_id));
            }
            BroadcastEvent::ViewerMuted { viewer_ref, until, .. } => {
                self.sanctions.entry(viewer_ref.clone()).or_default().mute = Some(*until);
            }
            BroadcastEvent::ViewerBanned { viewer_ref, until, shadow, .. } => {
                let sanction = self.sanctions.entry(viewer_ref.clone()).or_default();
                let term = if *shadow { &mut sanction.shadow } else { &mut sanction.ban };
                *term = Some(*until);
            }
            BroadcastEvent::ViewerPardoned { viewer_ref, .. } => {
                self.sanctions.remove(viewer_ref);
            }
            BroadcastEvent::WordsBanned { words, .. } => self.words.clone_from(words),
            _ => {}
        }
    }
}
