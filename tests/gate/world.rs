//! A store and a command log around the stories: enough of the other roles for a rebuild.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use domain::command::{Command, CommandRecord};
use domain::envelope::{Position, Recorded, Source};
use domain::event::StreamId;
use domain::gate::SnapshotFold;
use domain::ids::{CommandId, SpotlightId, StreamKey};
use domain::ports::{
    AppendError, CommandLog, CommandOutcome, EventReader, Ids, PortError, StockGate, StoredOutcome,
};
use domain::spotlight::SpotlightCommand;
use projections::stock_counter::{RebuildPorts, Rebuilder};
use tokio::sync::{Mutex, MutexGuard, Notify};
use uuid::Uuid;

use super::adapters::TestClock;
use super::story::{Story, fresh};

/// One story and what was decided on it; a `ReopenGate` is decided as soon as it is appended.
pub struct World {
    story: Mutex<Story>,
    outcomes: Mutex<BTreeMap<CommandId, StoredOutcome>>,
    moved: Notify,
    /// Commands wait here while it is locked.
    pub gate: Mutex<()>,
    /// Commands that have come.
    pub asked: AtomicUsize,
}

struct FreshIds;

impl Ids for FreshIds {
    fn uuid(&self) -> Uuid {
        fresh()
    }
}

impl World {
    pub fn new(story: Story) -> Arc<Self> {
        let story = Mutex::new(story);
        Arc::new(Self {
            story,
            outcomes: Mutex::default(),
            moved: Notify::new(),
            gate: Mutex::default(),
            asked: AtomicUsize::new(0),
        })
    }

    pub async fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().await
    }

    /// What was recorded is seen by who waits.
    pub fn wake(&self) {
        self.moved.notify_waiters();
    }

    pub async fn spotlight(&self) -> SpotlightId {
        self.story().await.spotlight
    }

    pub async fn epoch(&self) -> u64 {
        let mut fold = SnapshotFold::default();
        self.story().await.events.iter().for_each(|event| fold.apply(event));
        fold.epoch().expect("scheduled")
    }

    /// Makes the spotlight look as if it had been scheduled a while ago.
    pub async fn recorded_at(&self, at: Timestamp) {
        self.story().await.events.iter_mut().for_each(|event| event.recorded_at = at);
    }

    pub fn rebuilder(self: &Arc<Self>, gate: Arc<dyn StockGate>) -> Arc<Rebuilder> {
        Arc::new(Rebuilder::new(RebuildPorts {
            gate,
            reader: Arc::clone(self) as _,
            log: Arc::clone(self) as _,
            ids: Arc::new(FreshIds),
            clock: Arc::new(TestClock),
        }))
    }
}

#[async_trait]
impl CommandLog for World {
    fn is_down(&self) -> bool {
        false
    }

    async fn append(&self, record: &CommandRecord) -> Result<Source, AppendError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        drop(self.gate.lock().await);
        let Command::Spotlight { command: SpotlightCommand::ReopenGate { expected } } =
            &record.command
        else {
            panic!("only gates are reopened: {record:?}");
        };
        if *expected == self.epoch().await {
            self.story().await.reopened_by(expected + 1, record.command_id.0);
        }
        let outcome = StoredOutcome {
            outcome: CommandOutcome::Done,
            request: None,
            position: self.story().await.last,
        };
        self.outcomes.lock().await.entry(record.command_id).or_insert(outcome);
        self.wake();
        Ok(Source { topic: "t".to_owned(), partition: 0, offset: 0 })
    }
}

#[async_trait]
impl EventReader for World {
    async fn head(&self) -> Result<Position, PortError> {
        Ok(self.story().await.last)
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, PortError> {
        let story = self.story().await;
        let later = story.events.iter().filter(|event| event.position > after);
        Ok(later.take(limit).cloned().collect())
    }

    async fn read_key(
        &self,
        key: StreamKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, PortError> {
        let mut events = self.read(after, limit).await?;
        events.retain(|event| event.key == key);
        Ok(events)
    }

    async fn load(&self, _: &[StreamId]) -> Result<Vec<Recorded>, PortError> {
        panic!("a rebuild reads by key")
    }

    async fn key_head(&self, _: StreamKey) -> Result<Position, PortError> {
        self.head().await
    }

    async fn wait(&self, after: Position) {
        let moved = self.moved.notified();
        if self.story().await.last <= after {
            let _ = tokio::time::timeout(Duration::from_millis(5), moved).await;
        }
    }

    async fn outcomes(
        &self,
        commands: &[CommandId],
    ) -> Result<BTreeMap<CommandId, StoredOutcome>, PortError> {
        let outcomes = self.outcomes.lock().await;
        let found = commands.iter().filter_map(|id| Some((*id, outcomes.get(id)?.clone())));
        Ok(found.collect())
    }
}
