//! Commands that were put aside, for whoever looks into them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::envelope::Source;
use crate::ports::{ParkedCommand, PortError};

/// What is to be done with a parked command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkedVerb {
    /// Decide it again, with all that waits behind it.
    Retry,
    /// Let it go; its order ends now.
    Discard,
    /// Leave it aside for good: it is about money of an order that has ended.
    Keep,
}

impl ParkedVerb {
    /// The name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Discard => "discard",
            Self::Keep => "keep",
        }
    }

    /// The verb of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Retry, Self::Discard, Self::Keep].into_iter().find(|verb| verb.as_str() == name)
    }
}

/// What somebody wants done, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedAction {
    /// What.
    pub verb: ParkedVerb,
    /// Who wants it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

/// The commands that were put aside and are not settled. What is asked for here is done by the
/// process role.
#[async_trait]
pub trait ParkedBook: Send + Sync {
    /// All of them, oldest first, at most `limit`.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn parked(&self, limit: usize) -> Result<Vec<ParkedCommand>, PortError>;
    /// Asks for something; a retry is asked for the whole sequence, whose order is kept. False
    /// where the command is settled, or something was asked for already.
    ///
    /// # Errors
    /// It cannot be reached.
    async fn ask(&self, source: &Source, action: &ParkedAction) -> Result<bool, PortError>;
}
