//! Adapters that fail when a test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use commands::intake::{GateRebuilder, Presence, ReadModels};
use commands::log::MemoryCommandLog;
use commands::store::MemoryStore;
use domain::actor::Actor;
use domain::command::{Command, CommandRecord};
use domain::envelope::{Position, Recorded, Source};
use domain::event::StreamId;
use domain::gate::SnapshotFold;
use domain::ids::{CommandId, CorrelationId, SpotlightId, StreamKey, ViewerRef, derive_id};
use domain::ledger::Ledger;
use domain::ports::{
    AppendError, Batch, Claim, Clock, CommandConsumer, CommandLog, ConsumerEvent, Delivered,
    EventReader, EventStore, ParkedCommand, PortError, StockGate, StoreError, StoredOutcome,
};
use domain::spotlight::SpotlightCommand;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

/// A consumer that gets what a test sends.
pub struct Script {
    pub events: mpsc::Receiver<Vec<ConsumerEvent>>,
    pub started: Arc<Mutex<Vec<i64>>>,
    pub committed: Arc<Mutex<Vec<i64>>>,
    /// Where the log ends, as far as the test has told.
    pub end: i64,
}

#[async_trait]
impl CommandConsumer for Script {
    async fn next(&mut self, _: usize) -> Result<Vec<ConsumerEvent>, PortError> {
        let events = self.events.recv().await.ok_or(PortError::Closed)?;
        for event in &events {
            self.end = match event {
                ConsumerEvent::Assigned { high, .. } => *high,
                ConsumerEvent::Record(delivered) => self.end.max(delivered.source.offset + 1),
                ConsumerEvent::Revoked { .. } => self.end,
            };
        }
        Ok(events)
    }
    async fn start_at(&mut self, _: &str, _: i32, offset: i64) -> Result<(), PortError> {
        if offset > self.end {
            return Err(PortError::corrupt("the command log", format!("it ends at {}", self.end)));
        }
        self.started.lock().push(offset);
        Ok(())
    }
    async fn committed(&mut self, _: &str, _: i32, next_offset: i64) {
        self.committed.lock().push(next_offset);
    }
}

pub const TOPIC: &str = "commands";

pub fn assigned(low: i64, high: i64) -> ConsumerEvent {
    ConsumerEvent::Assigned { topic: TOPIC.to_owned(), partition: 0, low, high }
}

pub fn raw(offset: i64, value: &[u8]) -> ConsumerEvent {
    let source = Source { topic: TOPIC.to_owned(), partition: 0, offset };
    ConsumerEvent::Record(Delivered { source, value: value.to_vec() })
}

pub fn record(offset: i64, record: &CommandRecord) -> ConsumerEvent {
    raw(offset, &serde_json::to_vec(record).expect("serialises"))
}

/// How the next append fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguous {
    AfterCommit,
    BeforeCommit,
}

/// The store in memory, with faults.
pub struct FaultyStore {
    pub inner: MemoryStore,
    /// Streams that cannot be written: a batch with one of them conflicts.
    pub cursed: Mutex<BTreeSet<StreamId>>,
    pub ambiguous: Mutex<Vec<Ambiguous>>,
    pub away: AtomicBool,
    pub appends: AtomicUsize,
    /// What a process has only so many of; who waits gets the next one in turn.
    connections: Semaphore,
    /// How long each use of a connection takes.
    pub answers_after: Mutex<Duration>,
    clock: Arc<dyn Clock>,
}

impl FaultyStore {
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStore::new(clock.clone()),
            cursed: Mutex::default(),
            ambiguous: Mutex::default(),
            away: AtomicBool::new(false),
            appends: AtomicUsize::new(0),
            connections: Semaphore::new(1),
            answers_after: Mutex::default(),
            clock,
        })
    }

    async fn connected(&self) -> SemaphorePermit<'_> {
        let permit = self.connections.acquire().await.expect("is never closed");
        let pause = *self.answers_after.lock();
        if !pause.is_zero() {
            self.clock.sleep(pause).await;
        }
        permit
    }

    fn up(&self) -> Result<(), PortError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(PortError::unavailable("the store", "switched off"));
        }
        Ok(())
    }
}

#[async_trait]
impl EventReader for FaultyStore {
    async fn head(&self) -> Result<Position, PortError> {
        self.up()?;
        self.inner.head().await
    }
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, PortError> {
        self.up()?;
        self.inner.read(after, limit).await
    }
    async fn read_key(
        &self,
        key: StreamKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, PortError> {
        self.up()?;
        self.inner.read_key(key, after, limit).await
    }
    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Recorded>, PortError> {
        self.up()?;
        let _connection = self.connected().await;
        self.inner.load(streams).await
    }
    async fn key_head(&self, key: StreamKey) -> Result<Position, PortError> {
        self.inner.key_head(key).await
    }
    async fn wait(&self, after: Position) {
        self.inner.wait(after).await;
    }
    async fn outcomes(
        &self,
        commands: &[CommandId],
    ) -> Result<BTreeMap<CommandId, StoredOutcome>, PortError> {
        self.up()?;
        self.inner.outcomes(commands).await
    }
}

#[async_trait]
impl EventStore for FaultyStore {
    async fn claim(&self, topic: &str, partition: i32, owner: &str) -> Result<Claim, PortError> {
        self.up()?;
        self.inner.claim(topic, partition, owner).await
    }
    async fn position_of(&self, topic: &str, partition: i32) -> Result<Option<Claim>, PortError> {
        self.up()?;
        self.inner.position_of(topic, partition).await
    }
    async fn ledger(&self, spotlight: SpotlightId) -> Result<Ledger, PortError> {
        self.inner.ledger(spotlight).await
    }
    async fn units(
        &self,
        spotlight: SpotlightId,
        viewers: &[ViewerRef],
    ) -> Result<BTreeMap<ViewerRef, i64>, PortError> {
        self.inner.units(spotlight, viewers).await
    }
    async fn append(&self, batch: &Batch) -> Result<Position, StoreError> {
        self.up().map_err(StoreError::Unavailable)?;
        self.appends.fetch_add(1, Ordering::SeqCst);
        if batch.events.iter().any(|event| self.cursed.lock().contains(&event.stream)) {
            return Err(StoreError::Conflict("cursed".to_owned()));
        }
        let fault = self.ambiguous.lock().pop();
        let lost = || StoreError::Ambiguous(PortError::unavailable("the store", "reply lost"));
        match fault {
            Some(Ambiguous::BeforeCommit) => Err(lost()),
            Some(Ambiguous::AfterCommit) => {
                self.inner.append(batch).await?;
                Err(lost())
            }
            None => self.inner.append(batch).await,
        }
    }
    async fn parked_among(&self, sequences: &[String]) -> Result<Vec<String>, PortError> {
        self.inner.parked_among(sequences).await
    }
    async fn parked_due(
        &self,
        now: domain::Timestamp,
        limit: usize,
    ) -> Result<Vec<ParkedCommand>, PortError> {
        self.inner.parked_due(now, limit).await
    }
    async fn unpark(&self, source: &Source) -> Result<(), PortError> {
        self.inner.unpark(source).await
    }
    async fn settle_parked(&self, source: &Source) -> Result<(), PortError> {
        self.inner.settle_parked(source).await
    }
    async fn lease(&self, role: &str, owner: &str) -> Result<Option<u64>, PortError> {
        self.inner.lease(role, owner).await
    }
    async fn release(&self, role: &str, owner: &str) -> Result<(), PortError> {
        self.inner.release(role, owner).await
    }
    async fn checkpoint(&self, role: &str) -> Result<Position, PortError> {
        self.inner.checkpoint(role).await
    }
    async fn set_checkpoint(
        &self,
        role: &str,
        epoch: u64,
        position: Position,
    ) -> Result<(), StoreError> {
        let _connection = self.connected().await;
        self.inner.set_checkpoint(role, epoch, position).await
    }
}

/// What becomes of the next append to the command log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFault {
    Refused,
    /// Not acknowledged, and not in the log.
    Lost,
    /// Not acknowledged, and in the log.
    Hidden,
}

/// The command log in memory, with faults.
pub struct FaultyLog {
    pub inner: Arc<MemoryCommandLog>,
    pub next: Mutex<Vec<LogFault>>,
    pub down: AtomicBool,
    /// Every record that went in.
    pub records: Mutex<Vec<CommandRecord>>,
}

#[async_trait]
impl CommandLog for FaultyLog {
    fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst) || self.inner.is_down()
    }
    async fn append(&self, record: &CommandRecord) -> Result<Source, AppendError> {
        let fault = self.next.lock().pop();
        let unknown = || AppendError::Unknown("no answer".to_owned());
        match fault {
            Some(LogFault::Refused) => return Err(AppendError::Refused("full".to_owned())),
            Some(LogFault::Lost) => return Err(unknown()),
            Some(LogFault::Hidden) | None => self.records.lock().push(record.clone()),
        }
        let source = self.inner.append(record).await?;
        if fault.is_some() { Err(unknown()) } else { Ok(source) }
    }
}

/// Rebuilds a gate from the store, as design §6 says.
pub struct Rebuilder {
    pub store: Arc<FaultyStore>,
    pub log: Arc<FaultyLog>,
    pub gate: Arc<dyn StockGate>,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl GateRebuilder for Rebuilder {
    async fn ensure(&self, spotlight: SpotlightId) -> Result<Presence, PortError> {
        if self.gate.view(spotlight).await?.is_some() {
            return Ok(Presence::Ready);
        }
        let Some(before) = self.folded(spotlight).await? else { return Ok(Presence::Unknown) };
        let reopen = CommandRecord {
            command_id: CommandId(derive_id(
                "reopen",
                &[spotlight.0.as_bytes(), &before.epoch.to_be_bytes()],
            )),
            seller: before.offer.seller.clone(),
            key: spotlight.into(),
            correlation: CorrelationId(spotlight.0),
            causation: None,
            traceparent: None,
            actor: Actor::system(),
            issued_at: self.clock.now(),
            command: Command::Spotlight {
                command: SpotlightCommand::ReopenGate { expected: before.epoch },
            },
        };
        self.log.append(&reopen).await.map_err(|error| PortError::unavailable("log", error))?;
        if let Some(snapshot) = self.folded(spotlight).await?
            && snapshot.epoch > before.epoch
        {
            self.gate.load(&snapshot).await?;
        }
        Ok(Presence::Rebuilding)
    }
}

impl Rebuilder {
    async fn folded(
        &self,
        spotlight: SpotlightId,
    ) -> Result<Option<domain::ports::GateSnapshot>, PortError> {
        let events = self.store.read_key(spotlight.into(), Position::START, usize::MAX).await?;
        let mut fold = SnapshotFold::default();
        for recorded in &events {
            fold.apply(recorded);
        }
        Ok(fold.finish())
    }
}

/// Read models that are as far as the rig has pumped.
pub struct Pumped {
    pub position: tokio::sync::watch::Sender<Position>,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl ReadModels for Pumped {
    async fn wait_applied(&self, position: Position, bound: std::time::Duration) -> bool {
        let mut seen = self.position.subscribe();
        tokio::select! {
            biased;
            reached = seen.wait_for(|at| *at >= position) => reached.is_ok(),
            () = self.clock.sleep(bound) => false,
        }
    }
}
