//! The event store over a bad line; every commit is checked against the invariants as it is made.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use commands::store::MemoryStore;
use domain::Timestamp;
use domain::envelope::{Position, Recorded, Source};
use domain::event::StreamId;
use domain::ids::{CommandId, SpotlightId, StreamKey, ViewerRef};
use domain::invariants::Invariants;
use domain::ledger::Ledger;
use domain::ports::{
    Batch, Claim, EventReader, EventStore, ParkedCommand, PortError, StoreError, StoredOutcome,
};
use parking_lot::Mutex;

use super::breaks::Break;
use super::command_log::SimCommandLog;
use super::faults::{Fate, Line, gone};
use super::world::World;

/// The store.
pub struct SimStore {
    line: Line,
    inner: MemoryStore,
    planted: Option<Break>,
    /// Everything that was committed, checked at every prefix; shared by all connections.
    witness: Arc<Mutex<Witness>>,
    commands: Arc<SimCommandLog>,
}

/// What watches the commits.
#[derive(Default)]
pub struct Witness {
    /// The checkers.
    pub invariants: Invariants,
    /// The last position that they have seen.
    pub seen: Position,
}

impl SimStore {
    /// A line to the store.
    pub fn new(
        line: Line,
        inner: MemoryStore,
        planted: Option<Break>,
        witness: Arc<Mutex<Witness>>,
        commands: Arc<SimCommandLog>,
    ) -> Self {
        Self { line, inner, planted, witness, commands }
    }

    /// Now and then the group takes the writer for dead while it stands still; when it goes on,
    /// another one owns the partition.
    async fn perhaps_stand_still(&self, batch: &Batch) {
        let world = &self.line.world;
        let Some(fence) = batch.fences.first().filter(|_| world.chance(world.levels().zombie))
        else {
            return;
        };
        world.note(|| "stands still, and is taken for dead".to_owned());
        self.commands.expel_owner(usize::try_from(fence.partition).unwrap_or(0));
        let pause = world.between(50, 3_000);
        self.line.sleep(pause).await;
    }

    async fn watch(&self) {
        let after = self.witness.lock().seen;
        let Ok(events) = self.inner.read(after, usize::MAX).await else { return };
        let mut witness = self.witness.lock();
        for event in &events {
            self.line.world.note(|| describe(event));
            witness.seen = event.position;
            for finding in witness.invariants.check(event) {
                let violation = finding.violation;
                let (position, detail) = (violation.position, violation.detail);
                self.line.world.fail(format!("{} at {position}: {detail}", finding.invariant));
            }
        }
    }

    /// I6: a batch is decided once, by whoever owns its partition; so it was committed only if the
    /// partition stood where the batch begins.
    async fn stood(&self, batch: &Batch) -> Vec<(Option<i64>, Option<i64>)> {
        let mut stood = Vec::new();
        for fence in &batch.fences {
            let claim = self.inner.position_of(&fence.topic, fence.partition).await.ok().flatten();
            stood.push((fence.first_offset, claim.and_then(|claim| claim.next_offset)));
        }
        stood
    }

    fn check_stood(&self, stood: &[(Option<i64>, Option<i64>)]) {
        for (begins, stood) in stood {
            if begins != stood {
                let failure = format!("I6: a batch from {begins:?} on is committed at {stood:?}");
                self.line.world.fail(failure);
            }
        }
    }

    /// The planted fault: whoever commits is taken for the owner, wherever the partition stands.
    async fn without_fences(&self, batch: &Batch) -> Batch {
        let mut batch = batch.clone();
        for fence in &mut batch.fences {
            let claim = self.inner.position_of(&fence.topic, fence.partition).await;
            if let Ok(Some(claim)) = claim {
                fence.epoch = claim.epoch;
                fence.first_offset = claim.next_offset;
                fence.next_offset = fence.next_offset.max(claim.next_offset.unwrap_or(0));
            }
        }
        batch
    }
}

fn describe(event: &Recorded) -> String {
    let source = &event.metadata.source;
    format!(
        "{} {} of {} (command {}/{})",
        event.position,
        event.event.event_type(),
        event.stream,
        source.partition,
        source.offset
    )
}

#[async_trait]
impl EventReader for SimStore {
    async fn head(&self) -> Result<Position, PortError> {
        self.line.call("head", self.inner.head()).await
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, PortError> {
        self.line.call("read", self.inner.read(after, limit)).await
    }

    async fn read_key(
        &self,
        key: StreamKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, PortError> {
        self.line.call("read_key", self.inner.read_key(key, after, limit)).await
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Recorded>, PortError> {
        self.line.call("load", self.inner.load(streams)).await
    }

    async fn key_head(&self, key: StreamKey) -> Result<Position, PortError> {
        self.line.call("key_head", self.inner.key_head(key)).await
    }

    async fn wait(&self, after: Position) {
        self.inner.wait(after).await;
    }

    async fn outcomes(
        &self,
        commands: &[CommandId],
    ) -> Result<BTreeMap<CommandId, StoredOutcome>, PortError> {
        self.line.call("outcomes", self.inner.outcomes(commands)).await
    }
}

#[async_trait]
impl EventStore for SimStore {
    async fn claim(&self, topic: &str, partition: i32, owner: &str) -> Result<Claim, PortError> {
        self.line.call("claim", self.inner.claim(topic, partition, owner)).await
    }

    async fn position_of(&self, topic: &str, partition: i32) -> Result<Option<Claim>, PortError> {
        self.line.call("position_of", self.inner.position_of(topic, partition)).await
    }

    async fn ledger(&self, spotlight: SpotlightId) -> Result<Ledger, PortError> {
        self.line.call("ledger", self.inner.ledger(spotlight)).await
    }

    async fn units(
        &self,
        spotlight: SpotlightId,
        viewers: &[ViewerRef],
    ) -> Result<BTreeMap<ViewerRef, i64>, PortError> {
        self.line.call("units", self.inner.units(spotlight, viewers)).await
    }

    async fn append(&self, batch: &Batch) -> Result<Position, StoreError> {
        self.perhaps_stand_still(batch).await;
        let fate = self.line.before("commit").await;
        if fate == Fate::Refused {
            return Err(if self.line.world.chance(500) {
                StoreError::Unavailable(gone("commit"))
            } else {
                StoreError::Ambiguous(gone("commit"))
            });
        }
        // what a planted fault sets spinning must not spin inside of one step
        World::yield_now().await;
        let stood = self.stood(batch).await;
        let answer = if self.planted == Some(Break::NoFence) {
            self.inner.append(&self.without_fences(batch).await).await
        } else {
            self.inner.append(batch).await
        };
        match &answer {
            Ok(_) => {
                self.check_stood(&stood);
                self.watch().await;
            }
            Err(error) => self.line.world.note(|| format!("the commit is refused: {error}")),
        }
        self.line.after("commit").await;
        if fate == Fate::Lost && answer.is_ok() {
            return Err(StoreError::Ambiguous(gone("commit")));
        }
        answer
    }

    async fn parked_among(&self, sequences: &[String]) -> Result<Vec<String>, PortError> {
        self.line.call("parked_among", self.inner.parked_among(sequences)).await
    }

    async fn parked_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<ParkedCommand>, PortError> {
        self.line.call("parked_due", self.inner.parked_due(now, limit)).await
    }

    async fn unpark(&self, source: &Source) -> Result<(), PortError> {
        self.line.call("unpark", self.inner.unpark(source)).await
    }

    async fn settle_parked(&self, source: &Source) -> Result<(), PortError> {
        self.line.call("settle_parked", self.inner.settle_parked(source)).await
    }

    async fn lease(&self, role: &str, owner: &str) -> Result<Option<u64>, PortError> {
        self.line.call("lease", self.inner.lease(role, owner)).await
    }

    async fn release(&self, role: &str, owner: &str) -> Result<(), PortError> {
        self.line.call("release", self.inner.release(role, owner)).await
    }

    async fn checkpoint(&self, role: &str) -> Result<Position, PortError> {
        self.line.call("checkpoint", self.inner.checkpoint(role)).await
    }

    async fn set_checkpoint(
        &self,
        role: &str,
        epoch: u64,
        position: Position,
    ) -> Result<(), StoreError> {
        match self.line.before("set_checkpoint").await {
            Fate::Done => self.inner.set_checkpoint(role, epoch, position).await,
            Fate::Refused => Err(StoreError::Unavailable(gone("set_checkpoint"))),
            Fate::Lost => {
                self.inner.set_checkpoint(role, epoch, position).await?;
                Err(StoreError::Ambiguous(gone("set_checkpoint")))
            }
        }
    }
}
