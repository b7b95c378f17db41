//! Who asks.

use serde::{Deserialize, Serialize};

/// What a token allows, within its seller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Watches and buys.
    Viewer,
    /// Runs broadcasts.
    Host,
    /// Keeps the chat.
    Moderator,
    /// Operates onair.
    Admin,
    /// Reads the log.
    Auditor,
    /// onair itself: sweepers, the payment process, the re-driver.
    System,
}

/// Who issued a command. The subject is a keyed pseudonym, as in
/// [`ViewerRef`](crate::ids::ViewerRef).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The role that the command was issued under.
    pub role: Role,
    /// Who, as a keyed pseudonym; absent for onair itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl Actor {
    /// onair itself.
    pub const fn system() -> Self {
        Self { role: Role::System, subject: None }
    }
}
