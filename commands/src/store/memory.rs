//! The store in memory: what the simulator and the tests run on, and the shortest statement of what
//! every store does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::{Position, Recorded, Source};
use domain::event::StreamId;
use domain::ids::{CommandId, SpotlightId, StreamKey, ViewerRef};
use domain::ledger::Ledger;
use domain::ports::{
    Batch, Claim, Clock, EventReader, EventStore, ParkedAction, ParkedBook, ParkedCommand,
    ParkedVerb, PortError, StoreError, StoredOutcome,
};
use parking_lot::Mutex;

use super::LEASE_SECONDS;
use super::changes::Changes;
use super::head::Head;
use super::memory_state::{Lease, Offset, Parked, State};

/// How long [`EventReader::wait`] waits at most; no append is missed, so it only bounds idleness.
const WAIT: Duration = Duration::from_secs(1);

/// The store in memory. Clones share what they hold: a clone is what a restarted process opens.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    head: Head,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    /// An empty store that stamps events by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Arc::default(), head: Head::at(Position::START), clock }
    }
}

#[async_trait]
impl EventReader for MemoryStore {
    async fn head(&self) -> Result<Position, PortError> {
        Ok(self.state.lock().head())
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, PortError> {
        Ok(self.state.lock().after(after, limit))
    }

    async fn read_key(
        &self,
        key: StreamKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, PortError> {
        Ok(self.state.lock().key_after(key, after, limit))
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Recorded>, PortError> {
        Ok(self.state.lock().streams(streams))
    }

    async fn key_head(&self, key: StreamKey) -> Result<Position, PortError> {
        Ok(self.state.lock().key_head(key))
    }

    async fn wait(&self, after: Position) {
        tokio::select! {
            biased;
            () = self.head.past(after) => {}
            () = self.clock.sleep(WAIT) => {}
        }
    }

    async fn outcomes(
        &self,
        commands: &[CommandId],
    ) -> Result<BTreeMap<CommandId, StoredOutcome>, PortError> {
        let state = self.state.lock();
        let found = |id| state.inbox.get(id).map(|outcome| (*id, outcome.clone()));
        Ok(commands.iter().filter_map(found).collect())
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn claim(&self, topic: &str, partition: i32, owner: &str) -> Result<Claim, PortError> {
        let mut state = self.state.lock();
        let offset = state.offsets.entry((topic.to_owned(), partition)).or_default();
        owner.clone_into(&mut offset.owner);
        offset.epoch += 1;
        Ok(offset.claim())
    }

    async fn position_of(&self, topic: &str, partition: i32) -> Result<Option<Claim>, PortError> {
        let state = self.state.lock();
        Ok(state.offsets.get(&(topic.to_owned(), partition)).map(Offset::claim))
    }

    async fn ledger(&self, spotlight: SpotlightId) -> Result<Ledger, PortError> {
        Ok(self.state.lock().ledgers.get(&spotlight).cloned().unwrap_or_default())
    }

    async fn units(
        &self,
        spotlight: SpotlightId,
        viewers: &[ViewerRef],
    ) -> Result<BTreeMap<ViewerRef, i64>, PortError> {
        let state = self.state.lock();
        let found = |viewer: &ViewerRef| {
            state.units.get(&(spotlight, viewer.clone())).map(|units| (viewer.clone(), *units))
        };
        Ok(viewers.iter().filter_map(found).collect())
    }

    async fn append(&self, batch: &Batch) -> Result<Position, StoreError> {
        let changes = Changes::of(batch)?;
        let now = self.clock.now();
        let position = self.state.lock().append(batch, &changes, now)?;
        self.head.advance(position);
        Ok(position)
    }

    async fn parked_among(&self, sequences: &[String]) -> Result<Vec<String>, PortError> {
        let state = self.state.lock();
        let mut among: Vec<String> =
            sequences.iter().filter(|sequence| state.is_parked(sequence)).cloned().collect();
        among.sort();
        among.dedup();
        Ok(among)
    }

    async fn parked_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<ParkedCommand>, PortError> {
        let state = self.state.lock();
        let mut due: Vec<&ParkedCommand> = state
            .parked
            .values()
            .filter(|parked| !parked.settled && is_due(&parked.command, now))
            .map(|parked| &parked.command)
            .collect();
        // stable, so equal deadlines stay in the order of their sources
        due.sort_by_key(|command| command.deadline);
        Ok(due.into_iter().take(limit).cloned().collect())
    }

    async fn unpark(&self, source: &Source) -> Result<(), PortError> {
        let key = Parked::key(source);
        if let Some(parked) = self.state.lock().parked.get_mut(&key) {
            parked.released = true;
        }
        Ok(())
    }

    async fn settle_parked(&self, source: &Source) -> Result<(), PortError> {
        let key = Parked::key(source);
        if let Some(parked) = self.state.lock().parked.get_mut(&key) {
            parked.settled = true;
        }
        Ok(())
    }

    async fn lease(&self, role: &str, owner: &str) -> Result<Option<u64>, PortError> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let lease = state.leases.entry(role.to_owned()).or_insert_with(|| Lease::new(owner, now));
        if lease.owner != owner {
            if lease.expires_at > now {
                return Ok(None);
            }
            owner.clone_into(&mut lease.owner);
            lease.epoch += 1;
        }
        lease.expires_at = now + chrono::Duration::seconds(LEASE_SECONDS);
        Ok(Some(lease.epoch))
    }

    async fn release(&self, role: &str, owner: &str) -> Result<(), PortError> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        if let Some(lease) = state.leases.get_mut(role).filter(|lease| lease.owner == owner) {
            lease.expires_at = now;
        }
        Ok(())
    }

    async fn checkpoint(&self, role: &str) -> Result<Position, PortError> {
        Ok(self.state.lock().leases.get(role).map_or(Position::START, |lease| lease.position))
    }

    async fn set_checkpoint(
        &self,
        role: &str,
        epoch: u64,
        position: Position,
    ) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let lease = state.leases.get_mut(role).filter(|lease| lease.epoch == epoch);
        lease.ok_or(StoreError::Fenced)?.position = position;
        Ok(())
    }
}

/// Whether its deadline has passed, or somebody wants something done with it.
fn is_due(parked: &ParkedCommand, now: Timestamp) -> bool {
    let asked = parked.action.as_ref().is_some_and(|action| action.verb != ParkedVerb::Keep);
    asked || parked.deadline <= now
}

#[async_trait]
impl ParkedBook for MemoryStore {
    async fn parked(&self, limit: usize) -> Result<Vec<ParkedCommand>, PortError> {
        let state = self.state.lock();
        let open = state.parked.values().filter(|parked| !parked.settled);
        let mut open: Vec<ParkedCommand> = open.map(|parked| parked.command.clone()).collect();
        open.sort_by_key(|command| command.parked_at);
        open.truncate(limit);
        Ok(open)
    }

    async fn ask(&self, source: &Source, action: &ParkedAction) -> Result<bool, PortError> {
        let mut state = self.state.lock();
        let Some(asked) = state.parked.get(&Parked::key(source)) else { return Ok(false) };
        if asked.settled || asked.command.action.is_some() {
            return Ok(false);
        }
        let (sequence, whole) = (asked.command.sequence.clone(), action.verb == ParkedVerb::Retry);
        for parked in state.parked.values_mut() {
            let meant =
                parked.command.source == *source || whole && parked.command.sequence == sequence;
            if meant && !parked.settled {
                parked.command.action = Some(action.clone());
            }
        }
        Ok(true)
    }
}
