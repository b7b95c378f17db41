//! What lasts in one run, whoever dies.

use std::sync::Arc;
use std::time::Duration;

use commands::clock::SeededIds;
use commands::process::SimulatedGateway;
use commands::store::MemoryStore;
use parking_lot::Mutex;
use projections::order_book::MemoryOrderBook;
use projections::sales_board::MemorySalesBoard;
use projections::stock_counter::{MemoryGate, RebuildPorts, Rebuilder};

use super::breaks::Break;
use super::clock::SimClock;
use super::command_log::SimCommandLog;
use super::event_log::SimEventLog;
use super::faults::Line;
use super::gate::SimGate;
use super::ports::{SimAcceptedOrders, SimOrderBook, SimSalesBoard};
use super::post::Post;
use super::store::{SimStore, Witness};
use super::world::{OUTSIDE, RoleId, Task, World};

/// Partitions of the command log.
const PARTITIONS: usize = 3;

/// What lasts.
#[derive(Clone)]
pub struct Shop {
    /// The line of everybody.
    pub line: Line,
    /// The time.
    pub clock: Arc<SimClock>,
    /// The events.
    pub memory: MemoryStore,
    /// The events over a line.
    pub store: Arc<SimStore>,
    /// What watches the commits.
    pub witness: Arc<Mutex<Witness>>,
    /// The commands.
    pub commands: Arc<SimCommandLog>,
    /// The events on their way.
    pub events: Arc<SimEventLog>,
    /// The gate.
    pub gate: Arc<SimGate>,
    /// Accepted orders.
    pub accepted: Arc<SimAcceptedOrders>,
    /// The order book.
    pub book: Arc<MemoryOrderBook>,
    /// The sales board.
    pub board: Arc<MemorySalesBoard>,
    pub(super) provider: Arc<SimulatedGateway>,
    /// What the provider tells on its own.
    pub post: Arc<Post>,
    pub(super) ids: Arc<SeededIds>,
}

impl Shop {
    /// An empty shop.
    pub fn new(world: &Arc<World>, seed: u64, planted: Option<Break>) -> Self {
        let line = Line::new(world);
        let clock = Arc::new(SimClock(Arc::clone(world)));
        let memory = MemoryStore::new(clock.clone());
        let witness = Arc::new(Mutex::new(Witness::default()));
        let commands = SimCommandLog::new(line.clone(), PARTITIONS, planted);
        let store = SimStore::new(
            line.clone(),
            memory.clone(),
            planted,
            Arc::clone(&witness),
            Arc::clone(&commands),
        );
        let gate = Arc::new(MemoryGate::new(clock.clone()));
        Self {
            store: Arc::new(store),
            commands,
            events: Arc::new(SimEventLog::new(line.clone())),
            gate: Arc::new(SimGate::new(line.clone(), gate, planted)),
            accepted: Arc::new(SimAcceptedOrders::new(line.clone())),
            book: Arc::default(),
            board: Arc::default(),
            provider: Arc::new(SimulatedGateway::new(clock.clone(), Duration::from_millis(30))),
            post: Post::new(world),
            ids: Arc::new(SeededIds::new(seed)),
            line,
            clock,
            memory,
            witness,
        }
    }

    pub(super) fn rebuilder(&self) -> Arc<Rebuilder> {
        Arc::new(Rebuilder::new(RebuildPorts {
            gate: self.gate.clone(),
            reader: self.store.clone(),
            log: self.commands.clone(),
            ids: self.ids.clone(),
            clock: self.clock.clone(),
        }))
    }

    pub(super) fn order_book(&self) -> Arc<SimOrderBook> {
        Arc::new(SimOrderBook { line: self.line.clone(), inner: Arc::clone(&self.book) })
    }

    pub(super) fn sales_board(&self) -> Arc<SimSalesBoard> {
        Arc::new(SimSalesBoard { line: self.line.clone(), inner: Arc::clone(&self.board) })
    }

    /// Adds a role that starts again some time after it was killed.
    pub(super) fn add(
        &self,
        name: String,
        start: impl Fn() -> Vec<Task> + Send + Sync + 'static,
    ) -> RoleId {
        self.add_with(name, start, || {})
    }

    pub(super) fn add_with(
        &self,
        name: String,
        start: impl Fn() -> Vec<Task> + Send + Sync + 'static,
        stopped: impl Fn() + Send + Sync + 'static,
    ) -> RoleId {
        let id = Arc::new(Mutex::new(OUTSIDE));
        let known = Arc::clone(&id);
        let line = self.line.clone();
        let again = move || {
            stopped();
            let (line, role) = (line.clone(), *known.lock());
            let pause = line.world.between(5, 3_000);
            let world = Arc::clone(&line.world);
            world.spawn(
                OUTSIDE,
                Box::pin(async move {
                    line.sleep(pause).await;
                    line.world.start(role);
                }),
            );
        };
        let role = self.line.world.add_role(name, start, again);
        *id.lock() = role;
        role
    }
}
