//! What moderators do, as viewers read it, and the rules of a chat as the log has them.

use domain::broadcast::{BroadcastEvent, ChatMode, ChatRules, Pinned};
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{BroadcastId, ViewerId};
use domain::ports::{EventReader, PortError};
use serde_json::{Value, json};

use super::shape::put;

/// Events read at once.
const EVENTS_AT_ONCE: usize = 1_000;

/// The name of the channel that tells nodes that the rules of a chat have changed.
pub fn moderation_channel(broadcast: BroadcastId) -> String {
    format!("moderation:{broadcast}")
}

/// What an event about a chat is told as.
#[derive(Debug, Default)]
pub struct Notices {
    /// To everybody.
    pub chat: Option<Value>,
    /// To the viewer that it is about.
    pub personal: Option<(ViewerId, Value)>,
}

/// The message that says who may say something, and how often.
pub fn mode_message(mode: ChatMode) -> Value {
    json!({"type": "mode", "frozen": mode.frozen, "slow_seconds": mode.slow_seconds})
}

/// The message that says what is pinned; without a message where nothing is.
pub fn pinned_message(pinned: Option<&Pinned>) -> Value {
    let mut message = json!({"type": "pinned"});
    if let Some(pinned) = pinned {
        put(&mut message, "id", Some(&pinned.pin_id));
        put(&mut message, "message_id", pinned.message_id.as_ref());
        put(&mut message, "message", pinned.personal.text.as_ref());
        if let Some(viewer) = &pinned.personal.viewer {
            let name = pinned.personal.name.as_deref().unwrap_or(viewer.as_str());
            put(&mut message, "viewer", Some(&json!({"id": viewer, "name": name})));
        }
        put(&mut message, "sent_at", Some(&pinned.at));
    }
    message
}

/// What an event is told as, from the mode that it leads to; nothing where it is not about the
/// chat.
pub fn notices(event: &BroadcastEvent, mode: ChatMode) -> Notices {
    let mut notices = Notices::default();
    let mut rules = ChatRules::default();
    match event {
        BroadcastEvent::ChatAnnounced { at, announcement_id, personal, .. } => {
            let (id, text) = (announcement_id, &personal.text);
            notices.chat =
                Some(json!({"type": "announcement", "id": id, "message": text, "sent_at": at}));
        }
        BroadcastEvent::ChatPinned { .. } | BroadcastEvent::ChatUnpinned { .. } => {
            rules.apply(event);
            notices.chat = Some(pinned_message(rules.pinned.as_ref()));
        }
        BroadcastEvent::ChatFrozen { .. }
        | BroadcastEvent::ChatThawed { .. }
        | BroadcastEvent::ChatSlowed { .. } => notices.chat = Some(mode_message(mode)),
        BroadcastEvent::ChatMessageRemoved { message_id, .. } => {
            notices.chat = Some(json!({"type": "removed", "id": message_id}));
        }
        _ => notices.personal = personal(event),
    }
    notices
}

/// What a viewer is told about itself; a shadow ban is not.
fn personal(event: &BroadcastEvent) -> Option<(ViewerId, Value)> {
    let (action, until, personal) = match event {
        BroadcastEvent::ViewerMuted { until, personal, .. } => ("muted", *until, personal),
        BroadcastEvent::ViewerBanned { until, shadow: false, personal, .. } => {
            ("banned", *until, personal)
        }
        BroadcastEvent::ViewerPardoned { silent: false, personal, .. } => {
            ("pardoned", None, personal)
        }
        _ => return None,
    };
    let mut message = json!({
        "type": "moderation", "action": action, "broadcast_id": event.broadcast_id(),
    });
    put(&mut message, "until", until.as_ref());
    put(&mut message, "reason", personal.text.as_ref());
    Some((personal.viewer.clone()?, message))
}

/// Takes into `rules` what the log has after `applied`; tells up to where.
///
/// # Errors
/// The log cannot be read.
pub async fn follow_rules(
    reader: &dyn EventReader,
    broadcast: BroadcastId,
    rules: &mut ChatRules,
    mut applied: Position,
) -> Result<Position, PortError> {
    loop {
        let page = reader.read_key(broadcast.into(), applied, EVENTS_AT_ONCE).await?;
        let Some(last) = page.last().map(|recorded| recorded.position) else {
            return Ok(applied);
        };
        for Recorded { event, .. } in &page {
            if let Event::Broadcast(event) = event {
                rules.apply(event);
            }
        }
        applied = last;
    }
}
