//! The adapters of one process, behind the ports.

use std::sync::Arc;

use commands::log::MemoryCommandLog;
use commands::writer::ParkedPublisher;
use domain::ports::{
    AcceptedOrders, ChatLog, CommandConsumer, CommandLog, EventLog, EventPublisher, EventReader,
    EventStore, FeedBus, OrderBook, ParkedBook, PortError, RoomBook, RowReader, SalesBoard,
    StockGate, WebhookBook,
};
use projections::stock_counter::Rebuilder;
use projections::unmet_demand::UnmetDemand;
use projections::waitlist::WaitlistBook;

use super::adapters::Models;

/// What the roles of a process work with.
pub(super) struct Parts {
    pub reader: Arc<dyn EventReader>,
    /// The log as its bytes, for auditors.
    pub rows: Arc<dyn RowReader>,
    /// Absent where no role of the process writes.
    pub store: Option<Arc<dyn EventStore>>,
    pub log: Arc<dyn CommandLog>,
    pub event_log: Arc<dyn EventLog>,
    pub gate: Arc<dyn StockGate>,
    pub accepted: Arc<dyn AcceptedOrders>,
    pub orders: Arc<dyn OrderBook>,
    pub board: Arc<dyn SalesBoard>,
    pub demand: UnmetDemand,
    pub waitlist: WaitlistBook,
    pub chat: Arc<dyn ChatLog>,
    pub rooms: Arc<dyn RoomBook>,
    pub bus: Arc<dyn FeedBus>,
    pub webhooks: Arc<dyn WebhookBook>,
    pub parked: Arc<dyn ParkedBook>,
    pub models: Arc<Models>,
    pub rebuilder: Arc<Rebuilder>,
    pub wire: Wire,
}

/// What only one of the backends has.
pub(super) enum Wire {
    /// One process.
    Memory(Arc<MemoryCommandLog>),
    /// Kafka.
    Kafka(Kafka),
}

/// How the writers and the relay of a cluster reach Kafka.
pub(super) struct Kafka {
    pub join: Box<dyn Fn() -> Result<Box<dyn CommandConsumer>, PortError> + Send + Sync>,
    pub parked: Option<Arc<dyn ParkedPublisher>>,
    pub publisher: Option<Arc<dyn EventPublisher>>,
    /// The topic of witnesses, with its brokers.
    pub witness: (String, String),
}
