//! The rules of a room's chat, as this node knows them from the log.

use chrono::TimeDelta;
use domain::Timestamp;
use domain::broadcast::ChatRules;
use domain::envelope::Position;
use domain::ids::{BroadcastId, ViewerId, ViewerRef};
use domain::ports::{EventReader, PortError};
use lru::LruCache;
use parking_lot::Mutex;
use projections::viewer_feed::chat::{follow_rules, mode_message, pinned_message};
use serde_json::{Value, json};

use super::limits::CHAT_SPEAKERS_MAX;
use super::refused::Refused;
use super::words::Words;

struct State {
    rules: ChatRules,
    words: Words,
    applied: Position,
    /// When each viewer said something last; for slow mode.
    said: LruCache<ViewerId, Timestamp>,
}

/// The rules of a room's chat.
pub struct Rules {
    state: Mutex<State>,
}

impl Default for Rules {
    fn default() -> Self {
        let said = LruCache::new(CHAT_SPEAKERS_MAX);
        let (rules, words, applied) = (ChatRules::default(), Words::default(), Position::START);
        Self { state: Mutex::new(State { rules, words, applied, said }) }
    }
}

impl Rules {
    /// Takes in what the log has.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn learn(
        &self,
        reader: &dyn EventReader,
        broadcast: BroadcastId,
    ) -> Result<(), PortError> {
        let (mut rules, applied) = {
            let state = self.state.lock();
            (state.rules.clone(), state.applied)
        };
        let applied = follow_rules(reader, broadcast, &mut rules, applied).await?;
        let mut state = self.state.lock();
        if state.rules.words != rules.words {
            state.words = Words::new(&rules.words);
        }
        (state.rules, state.applied) = (rules, applied);
        Ok(())
    }

    /// What whoever comes is told of the chat beside its messages.
    pub fn about(&self) -> Value {
        let state = self.state.lock();
        let mut about = json!({"mode": mode_message(state.rules.mode)});
        if let (Some(pinned), Some(members)) = (&state.rules.pinned, about.as_object_mut()) {
            members.insert("pinned".to_owned(), pinned_message(Some(pinned)));
        }
        about
    }

    /// Whether a viewer may not come in.
    pub fn is_banned(&self, viewer: &ViewerRef, now: Timestamp) -> bool {
        self.state.lock().rules.is_banned(viewer, now)
    }

    /// Whether nobody else reads what a viewer says.
    pub fn is_hidden(&self, viewer: &ViewerRef, now: Timestamp) -> bool {
        self.state.lock().rules.is_hidden(viewer, now)
    }

    /// Whether a viewer may say something now.
    ///
    /// # Errors
    /// Why not, and for how long.
    pub fn may_say(
        &self,
        (viewer, subject): (&ViewerRef, &ViewerId),
        text: &str,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let state = self.state.lock();
        let wait = |until: Timestamp| until.signed_duration_since(now).to_std().unwrap_or_default();
        if let Some(until) = state.rules.muted(viewer, now) {
            let refused = Refused::new("muted", "you may not take part in this chat");
            return Err(until.map_or(refused.clone(), |until| refused.retry_after(wait(until))));
        }
        if state.rules.mode.frozen {
            return Err(Refused::new("frozen", "the chat is frozen"));
        }
        if state.words.are_in(text) {
            return Err(Refused::new("banned_word", "the message has a word that is not allowed"));
        }
        let slow = TimeDelta::seconds(state.rules.mode.slow_seconds.into());
        match state.said.peek(subject).map(|said| *said + slow) {
            Some(next) if now < next => {
                Err(Refused::new("slow_mode", "the chat is slowed down").retry_after(wait(next)))
            }
            _ => Ok(()),
        }
    }

    /// Notes that a viewer said something, at whichever node.
    pub fn said(&self, viewer: ViewerId, at: Timestamp) {
        self.state.lock().said.put(viewer, at);
    }
}
