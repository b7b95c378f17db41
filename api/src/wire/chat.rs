//! A chat as moderators read it.

use chrono::{DateTime, Utc};
use domain::broadcast::ChatRules;
use domain::ids::BroadcastId;
use domain::ports::ChatRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::order::name_of;

/// What is kept above a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PinnedMessage)]
pub struct PinnedBody {
    /// Names it.
    pub id: Uuid,
    /// The chat message that it is, if it is one.
    pub message_id: Option<Uuid>,
    /// What it says.
    pub message: Option<String>,
    /// Who said it, if a viewer did.
    pub viewer: Option<String>,
}

/// The rules of a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Chat)]
pub struct ChatBody {
    /// Names what was just done: the announcement's or the pin's id.
    pub id: Uuid,
    /// Which broadcast.
    pub broadcast_id: Uuid,
    /// Whether only moderators and hosts may say something.
    pub frozen: bool,
    /// Seconds between two messages of a viewer; 0 for no such rule.
    pub slow_seconds: u32,
    /// What is kept above the chat.
    pub pinned: Option<PinnedBody>,
    /// Words that viewers may not say.
    pub banned_words: Vec<String>,
}

impl ChatBody {
    /// From the rules, after what `id` names.
    pub fn new(broadcast: BroadcastId, id: Uuid, rules: &ChatRules) -> Self {
        let pinned = rules.pinned.as_ref().map(|pinned| PinnedBody {
            id: pinned.pin_id,
            message_id: pinned.message_id,
            message: pinned.personal.text.clone(),
            viewer: pinned.personal.viewer.as_ref().map(ToString::to_string),
        });
        Self {
            id,
            broadcast_id: broadcast.0,
            frozen: rules.mode.frozen,
            slow_seconds: rules.mode.slow_seconds,
            pinned,
            banned_words: rules.words.clone(),
        }
    }
}

/// One message of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatLine {
    /// Names it.
    pub id: Uuid,
    /// When it was sent.
    pub sent_at: DateTime<Utc>,
    /// Who said it.
    pub viewer: String,
    /// The name that others read.
    pub name: String,
    /// viewer, host or moderator.
    pub role: String,
    /// What was said.
    pub message: String,
    /// Whether nobody else was to read it.
    pub hidden: bool,
    /// When it was taken away; null where it was not.
    pub removed_at: Option<DateTime<Utc>>,
}

impl ChatLine {
    /// The first line of the CSV.
    pub const CSV_HEAD: &'static str = "id,sent_at,viewer,name,role,message,hidden,removed_at\r\n";

    /// From the chat log, and what moderators did.
    pub fn new(record: ChatRecord, removed_at: Option<DateTime<Utc>>) -> Self {
        Self {
            id: record.id,
            sent_at: record.sent_at,
            viewer: record.viewer.into(),
            name: record.name,
            role: name_of(record.role),
            message: record.message,
            hidden: record.hidden,
            removed_at,
        }
    }

    /// The line of the CSV (RFC 4180).
    pub fn csv(&self) -> String {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        let fields = [
            self.id.to_string(),
            time(self.sent_at),
            cell(&self.viewer),
            cell(&self.name),
            self.role.clone(),
            cell(&self.message),
            self.hidden.to_string(),
            self.removed_at.map(time).unwrap_or_default(),
        ];
        format!("{}\r\n", fields.join(","))
    }
}

/// A cell that viewers wrote. One that a spreadsheet would take for a formula begins with an
/// apostrophe.
pub(super) fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_is_quoted_and_no_formula() {
        assert_eq!(cell("hi, \"you\""), "\"hi, \"\"you\"\"\"");
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
        assert_eq!(cell("안녕"), "\"안녕\"");
    }
}
