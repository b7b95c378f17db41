//! The store of events: every decision, in commit order.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::envelope::{NewEvent, Position, Recorded, Source};
use crate::event::StreamId;
use crate::fingerprint::Fingerprint;
use crate::ids::{CommandId, SpotlightId, StreamKey, ViewerRef};
use crate::ledger::Ledger;
use crate::ports::{ParkedAction, PortError};

/// A partition that a writer has taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The owner's epoch; every older owner is fenced.
    pub epoch: u64,
    /// The first offset that is not decided; `None` where nothing of it was ever decided.
    pub next_offset: Option<i64>,
}

/// The condition under which a batch may commit: the partition is still owned under `epoch`, and
/// stands at `first_offset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The command log's topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The epoch that was claimed.
    pub epoch: u64,
    /// Where the partition stands before the batch; `None` where nothing was decided yet.
    pub first_offset: Option<i64>,
    /// Where it stands after the batch.
    pub next_offset: i64,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CommandOutcome {
    /// It led to events, or was a repeat.
    Done,
    /// A business *no*.
    Refused {
        /// The stable code.
        code: String,
        /// In words.
        detail: String,
    },
    /// It could not be processed.
    Parked,
}

/// A command's outcome, to be stored with its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxEntry {
    /// The command.
    pub command_id: CommandId,
    /// Its key.
    pub key: StreamKey,
    /// Where it stood.
    pub source: Source,
    /// What became of it.
    pub outcome: CommandOutcome,
    /// The fingerprint of what was asked: the same id with another one is no repeat.
    pub request: Option<Fingerprint>,
}

/// A command's outcome as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOutcome {
    /// What became of it.
    pub outcome: CommandOutcome,
    /// The fingerprint of what was asked, where it was written down.
    pub request: Option<Fingerprint>,
    /// The last position of its key when it was decided: what readers wait for (design rule 14).
    pub position: Position,
}

/// A command that could not be processed, put aside with everything after it of its sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedCommand {
    /// Where it stood.
    pub source: Source,
    /// Its order, else its spotlight: commands of it that follow are parked too (design rule 9).
    pub sequence: String,
    /// The record as it stood in the log.
    pub value: Vec<u8>,
    /// Why it could not be processed.
    pub error: String,
    /// When it was put aside.
    pub parked_at: Timestamp,
    /// When its order fails.
    pub deadline: Timestamp,
    /// What somebody wants done with it.
    pub action: Option<ParkedAction>,
}

/// One transaction of a writer. The store derives the ledger, the viewers' units and the stream
/// heads from the events ([`crate::ledger`]) and checks them (design rule 2).
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Every partition that the batch reads from.
    pub fences: Vec<Fence>,
    /// The events, in order.
    pub events: Vec<NewEvent>,
    /// Outcomes of commands whose repeat is recognised by their id.
    pub inbox: Vec<InboxEntry>,
    /// Commands to be put aside.
    pub parked: Vec<ParkedCommand>,
    /// Per-viewer limits of the spotlights in the batch; a spotlight without one is absent, and
    /// its viewers' units are not kept.
    pub unit_limits: BTreeMap<SpotlightId, u32>,
}

/// Why a batch did not commit.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A partition has another owner, or another place; nothing was written.
    #[error("fenced: another writer owns the partition")]
    Fenced,
    /// A key or a check of the ledger was violated; nothing was written, and trying the same again
    /// gives the same.
    #[error("conflict: {0}")]
    Conflict(String),
    /// Certainly not committed; may be tried again.
    #[error(transparent)]
    Unavailable(PortError),
    /// The answer to COMMIT was lost: the fences' offsets tell ([`EventStore::position_of`]).
    #[error("the outcome of the commit is not known")]
    Ambiguous(#[source] PortError),
}

/// Reading the log.
#[async_trait]
pub trait EventReader: Send + Sync {
    /// The last position.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn head(&self) -> Result<Position, PortError>;
    /// Events after a position, in order, at most `limit`.
    ///
    /// # Errors
    /// The store cannot be reached, or an event does not decode.
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, PortError>;
    /// Events of one key after a position, in order, at most `limit`.
    ///
    /// # Errors
    /// The store cannot be reached, or an event does not decode.
    async fn read_key(
        &self,
        key: StreamKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, PortError>;
    /// All events of the streams, by position.
    ///
    /// # Errors
    /// The store cannot be reached, or an event does not decode.
    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Recorded>, PortError>;
    /// The last position of a key; [`Position::START`] where it has no event.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn key_head(&self, key: StreamKey) -> Result<Position, PortError>;
    /// Returns once the head may be past `after`; at the latest after a short poll interval.
    async fn wait(&self, after: Position);
    /// Outcomes of commands, as far as they were decided.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn outcomes(
        &self,
        commands: &[CommandId],
    ) -> Result<BTreeMap<CommandId, StoredOutcome>, PortError>;
}

/// Writing the log; only writers do.
#[async_trait]
pub trait EventStore: EventReader {
    /// Takes a partition over under a new epoch.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn claim(&self, topic: &str, partition: i32, owner: &str) -> Result<Claim, PortError>;
    /// Who owns a partition and where it stands; `None` where it was never claimed.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn position_of(&self, topic: &str, partition: i32) -> Result<Option<Claim>, PortError>;
    /// The stock of a spotlight.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn ledger(&self, spotlight: SpotlightId) -> Result<Ledger, PortError>;
    /// Units of viewers in a spotlight; a viewer without any is absent.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn units(
        &self,
        spotlight: SpotlightId,
        viewers: &[ViewerRef],
    ) -> Result<BTreeMap<ViewerRef, i64>, PortError>;
    /// Commits a batch whole or not at all: fences, then inbox, ledger and units with their
    /// checks, then events at the next positions. Returns the events' last position, or
    /// [`Position::START`] where the batch has none.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn append(&self, batch: &Batch) -> Result<Position, StoreError>;
    /// Sequences that wait for a parked command, among `sequences`.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn parked_among(&self, sequences: &[String]) -> Result<Vec<String>, PortError>;
    /// Parked commands that are not settled and whose deadline has passed, or with which somebody
    /// wants something done; by deadline.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn parked_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<ParkedCommand>, PortError>;
    /// Lets the sequence of a parked command go on. The command itself stays due until it is
    /// settled, so that a crash in between loses nothing.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn unpark(&self, source: &Source) -> Result<(), PortError>;
    /// Marks a parked command as settled.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn settle_parked(&self, source: &Source) -> Result<(), PortError>;
    /// Takes or renews the lease of a role that only one process may run (relay, process), for a
    /// few seconds; `None` while another owner has it.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn lease(&self, role: &str, owner: &str) -> Result<Option<u64>, PortError>;
    /// Gives a lease back, so that another owner may take it at once; nothing where another one has
    /// it.
    ///
    /// # Errors
    /// The store cannot be reached; the lease ends by itself.
    async fn release(&self, role: &str, owner: &str) -> Result<(), PortError>;
    /// Where a role stands.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn checkpoint(&self, role: &str) -> Result<Position, PortError>;
    /// Moves a role's checkpoint; fenced by the lease's epoch.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] where the lease was lost.
    async fn set_checkpoint(
        &self,
        role: &str,
        epoch: u64,
        position: Position,
    ) -> Result<(), StoreError>;
}
