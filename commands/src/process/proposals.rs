//! Proposals: commands that onair issues itself, under ids that follow from their purpose.

use std::time::Duration;

use domain::Timestamp;
use domain::actor::Actor;
use domain::command::{Command, CommandRecord};
use domain::ids::{CommandId, CorrelationId, EventId, SellerId, StreamKey, derive_id};
use domain::ports::{AppendError, PortError};
use futures::StreamExt;
use lru::LruCache;
use metrics::counter;
use parking_lot::Mutex;

use super::{APPENDS_MAX, Process};
use crate::clock::delta;
use crate::metrics::PROCESS_PROPOSALS_TOTAL;

/// Proposals that are remembered, so that they are not made again at once.
pub const REMEMBERED_MAX: usize = 65_536;
/// First pause before the same proposal is made again; doubled up to [`REPEAT_PAUSE_MAX`].
pub const REPEAT_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause before the same proposal is made again.
pub const REPEAT_PAUSE_MAX: Duration = Duration::from_mins(1);

/// When each proposal may be made again: until its event is in the read model, it would be.
#[derive(Debug)]
pub(super) struct Remembered {
    next: Mutex<LruCache<CommandId, (Timestamp, Duration)>>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self { next: Mutex::new(LruCache::unbounded()) }
    }
}

impl Remembered {
    /// Whether the proposal may be made now; if so it is remembered.
    pub(super) fn may(&self, command: CommandId, now: Timestamp) -> bool {
        let mut next = self.next.lock();
        let pause = match next.get(&command) {
            Some((at, _)) if *at > now => return false,
            Some((_, pause)) => pause.saturating_mul(2).min(REPEAT_PAUSE_MAX),
            None => REPEAT_PAUSE,
        };
        next.put(command, (now + delta(pause), pause));
        while next.len() > REMEMBERED_MAX {
            next.pop_lru();
        }
        true
    }

    /// The proposal did not get out: it may be made again at once.
    pub(super) fn forget(&self, command: CommandId) {
        self.next.lock().pop(&command);
    }
}

/// What a proposal is for: its name in metrics, and what its id follows from.
pub(super) struct Purpose<'a> {
    pub(super) name: &'static str,
    pub(super) parts: &'a [&'a [u8]],
}

/// A proposal's command and whom it concerns.
pub(super) struct Proposal {
    pub(super) seller: SellerId,
    pub(super) key: StreamKey,
    pub(super) correlation: CorrelationId,
    pub(super) causation: Option<EventId>,
    pub(super) command: Command,
}

impl Process {
    pub(super) fn proposal(&self, purpose: &Purpose<'_>, proposal: Proposal) -> CommandRecord {
        let Proposal { seller, key, correlation, causation, command } = proposal;
        counter!(PROCESS_PROPOSALS_TOTAL, "purpose" => purpose.name).increment(1);
        CommandRecord {
            command_id: CommandId(derive_id(purpose.name, purpose.parts)),
            seller,
            key,
            correlation,
            causation,
            traceparent: None,
            actor: Actor::system(),
            issued_at: self.ports.clock.now(),
            command,
        }
    }

    /// Appends a record; whether an unacknowledged one is in the log does not matter, because it
    /// is proposed again.
    pub(super) async fn append(&self, record: &CommandRecord) -> Result<(), PortError> {
        match self.ports.log.append(record).await {
            Ok(_) => Ok(()),
            Err(AppendError::Refused(why) | AppendError::Unknown(why)) => {
                self.remembered.forget(record.command_id);
                Err(PortError::unavailable("the command log", why))
            }
        }
    }

    /// Appends records side by side; the first failure is told, the others are appended all the
    /// same.
    pub(super) async fn append_all(&self, records: Vec<CommandRecord>) -> Result<(), PortError> {
        let mut appends = futures::stream::iter(records)
            .map(|record| async move { self.append(&record).await })
            .buffer_unordered(APPENDS_MAX);
        let mut outcome = Ok(());
        while let Some(appended) = appends.next().await {
            outcome = outcome.and(appended);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_same_proposal_waits_longer_each_time() {
        let remembered = Remembered::default();
        let command = CommandId(Uuid::from_u128(1));
        let at = |seconds| Timestamp::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds);
        assert!(remembered.may(command, at(0)));
        assert!(!remembered.may(command, at(1)));
        assert!(remembered.may(command, at(2)));
        assert!(!remembered.may(command, at(5)));
        assert!(remembered.may(command, at(6)));
        remembered.forget(command);
        assert!(remembered.may(command, at(6)));
    }
}
