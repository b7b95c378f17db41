//! Bodies of moderation calls, from JSON to domain types.

use domain::broadcast::Target;
use domain::ids::{ViewerId, ViewerRef};
use domain::limits::{
    ANNOUNCEMENT_MAX_CHARS, BANNED_WORD_MAX_CHARS, BANNED_WORDS_MAX, CHAT_SLOW_SECONDS_MAX,
    SANCTION_SECONDS_MAX,
};
use domain::personal::Personal;
use serde_json::Value;
use uuid::Uuid;

use crate::extract::values::{self, Parsed};
use crate::extract::{Errors, Form};
use crate::problem::Problem;

/// What is to be pinned.
pub enum NewPin {
    /// A chat message.
    Message(Uuid),
    /// A text of its own.
    Text(String),
    /// Nothing any more.
    Nothing,
}

fn message(value: &Value) -> Parsed<String> {
    values::text(value, ANNOUNCEMENT_MAX_CHARS)
}

/// Reads `{message}`.
///
/// # Errors
/// 422 naming every bad field.
pub fn announcement(body: &Value) -> Result<String, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let message = form.required("message", message);
    form.close();
    errors.finish(message)
}

/// Reads `{message_id}`, `{message}` or nothing.
///
/// # Errors
/// 422 naming every bad field.
pub fn pin(body: &Value) -> Result<NewPin, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let id = form.optional("message_id", |value| {
        let id = value.as_str().and_then(|id| Uuid::parse_str(id).ok());
        id.ok_or_else(|| "is not a UUID".to_owned())
    });
    let text = form.optional("message", message);
    if matches!((&id, &text), (Some(Some(_)), Some(Some(_)))) {
        form.bad("message", "stands beside message_id");
    }
    form.close();
    let read = || {
        Some(match (id?, text?) {
            (Some(id), _) => NewPin::Message(id),
            (None, Some(text)) => NewPin::Text(text),
            (None, None) => NewPin::Nothing,
        })
    };
    let read = read();
    errors.finish(read)
}

/// Reads `{seconds}` of slow mode.
///
/// # Errors
/// 422 naming every bad field.
pub fn slow(body: &Value) -> Result<u32, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let seconds = form.required("seconds", |value| values::count(value, 0, CHAT_SLOW_SECONDS_MAX));
    form.close();
    errors.finish(seconds)
}

/// Reads `{words: []}`.
///
/// # Errors
/// 422 naming every bad field.
pub fn banned_words(body: &Value) -> Result<Vec<String>, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let words = form.required("words", |value| {
        let words = value.as_array().ok_or("is not a list")?;
        if words.len() > BANNED_WORDS_MAX {
            return Err(format!("has more than {BANNED_WORDS_MAX} words"));
        }
        let word = |value: &Value| values::text(value, BANNED_WORD_MAX_CHARS);
        words
            .iter()
            .map(|value| word(value).map_err(|why| format!("has a word that {why}")))
            .collect()
    });
    form.close();
    errors.finish(words)
}

/// For how long, whether unnoticed, and whom and why.
pub struct NewSanction {
    /// For how many seconds; for good where it is absent.
    pub seconds: Option<u32>,
    /// Whether the viewer is not to notice.
    pub shadow: bool,
    /// Whom, and why.
    pub target: Target,
}

/// Reads `{seconds?, reason?}`, and `shadow?` of a ban.
///
/// # Errors
/// 422 naming every bad field.
pub fn sanction(
    body: &Value,
    is_ban: bool,
    (viewer, viewer_ref): (ViewerId, ViewerRef),
) -> Result<NewSanction, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let seconds = form.optional("seconds", |value| values::count(value, 1, SANCTION_SECONDS_MAX));
    let reason = form.optional("reason", values::reason);
    let shadow = if is_ban {
        form.optional("shadow", |value| {
            value.as_bool().ok_or_else(|| "is not true or false".into())
        })
    } else {
        Some(None)
    };
    form.close();
    let read = || {
        let personal = Personal { viewer: Some(viewer), text: reason?, ..Personal::default() };
        let target = Target { viewer_ref, personal };
        Some(NewSanction { seconds: seconds?, shadow: shadow?.unwrap_or(false), target })
    };
    let read = read();
    errors.finish(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn target() -> (ViewerId, ViewerRef) {
        (ViewerId::try_new("ana").expect("valid"), ViewerRef::try_new("r").expect("valid"))
    }

    #[test]
    fn what_is_asked_ends_at_the_named_limits() {
        assert!(slow(&json!({"seconds": CHAT_SLOW_SECONDS_MAX})).is_ok());
        assert!(slow(&json!({"seconds": CHAT_SLOW_SECONDS_MAX + 1})).is_err());
        assert!(announcement(&json!({"message": "x".repeat(ANNOUNCEMENT_MAX_CHARS)})).is_ok());
        assert!(announcement(&json!({"message": "x".repeat(ANNOUNCEMENT_MAX_CHARS + 1)})).is_err());
        let words = |count: usize, length: usize| {
            banned_words(&json!({"words": vec!["x".repeat(length); count]}))
        };
        assert!(words(BANNED_WORDS_MAX, BANNED_WORD_MAX_CHARS).is_ok());
        assert!(words(BANNED_WORDS_MAX + 1, 1).is_err());
        assert!(words(1, BANNED_WORD_MAX_CHARS + 1).is_err());
        assert!(words(0, 0).is_ok());
        let mute = |body: Value| sanction(&body, false, target());
        assert!(mute(json!({"seconds": SANCTION_SECONDS_MAX, "reason": "spam"})).is_ok());
        assert!(mute(json!({"seconds": SANCTION_SECONDS_MAX + 1})).is_err());
        assert!(mute(json!({"seconds": 0})).is_err());
        assert!(mute(json!({"shadow": true})).is_err(), "only a ban is a shadow");
        assert!(sanction(&json!({"shadow": true}), true, target()).is_ok_and(|new| new.shadow));
    }

    #[test]
    fn a_pin_is_one_thing() {
        let id = Uuid::nil().to_string();
        assert!(matches!(pin(&json!({"message_id": id})), Ok(NewPin::Message(_))));
        assert!(matches!(pin(&json!({"message": "hi"})), Ok(NewPin::Text(_))));
        assert!(matches!(pin(&json!({})), Ok(NewPin::Nothing)));
        assert!(pin(&json!({"message_id": id, "message": "hi"})).is_err());
        assert!(pin(&json!({"message_id": "x"})).is_err());
    }
}
