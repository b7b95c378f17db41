//! What the core needs from the world, each with an embedded and a cluster adapter.
//!
//! Each port has one conformance suite that every adapter passes. No method may be cancelled into an
//! undefined state: dropping a future means *unknown*, never *half done*.

mod accepted_orders;
mod chat_log;
mod clock;
mod command_log;
mod event_log;
mod event_store;
mod feed_bus;
mod gate_snapshot;
mod order_book;
mod parked_book;
mod payment_gateway;
mod personal_keys;
mod room_book;
mod row_reader;
mod sales_board;
mod stock_gate;
mod webhook_book;

pub use accepted_orders::AcceptedOrders;
pub use chat_log::{ChatLog, ChatRecord};
pub use clock::{Clock, Ids};
pub use command_log::{AppendError, CommandConsumer, CommandLog, ConsumerEvent, Delivered};
pub use event_log::{EventLog, EventPublisher, EventSubscription};
pub use event_store::{
    Batch, Claim, CommandOutcome, EventReader, EventStore, Fence, InboxEntry, ParkedCommand,
    StoreError, StoredOutcome,
};
pub use feed_bus::{
    Attendance, Audience, FeedBus, FeedMessage, FeedPosition, FeedSubscription, History, Report,
    Snapshot,
};
pub use gate_snapshot::{GateSnapshot, Loaded, SnapshotOrder};
pub use order_book::{OrderBook, OrderQuery, Page};
pub use parked_book::{ParkedAction, ParkedBook, ParkedVerb};
pub use payment_gateway::{PaymentCall, PaymentGateway};
pub use personal_keys::PersonalKeys;
pub use room_book::{RoomBook, RoomTotals};
pub use row_reader::RowReader;
pub use sales_board::{SalesBoard, SalesTotals};
pub use stock_gate::{
    Applied, Entry, EntryState, GateOffer, GateView, Narrow, Narrowed, Narrowing, PendingEntry,
    SoldOutVerdict, StockGate, Take, TakeOutcome,
};
pub use webhook_book::{
    AttemptResult, ClaimedDelivery, DeliveryStatus, EndpointStatus, WebhookBook, WebhookDelivery,
    WebhookEndpoint, WebhookMessage,
};

/// Something outside did not do its part.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// It cannot be reached, or did not answer in time; whether it acted is not known.
    #[error("{what} cannot be reached")]
    Unavailable {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What it holds cannot be read.
    #[error("{what} holds something that cannot be read: {detail}")]
    Corrupt {
        /// What.
        what: &'static str,
        /// Which part of it.
        detail: String,
    },
    /// The process is shutting down.
    #[error("shutting down")]
    Closed,
}

impl PortError {
    /// It cannot be reached.
    pub fn unavailable(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable { what, source: source.into() }
    }

    /// What it holds cannot be read.
    pub fn corrupt(what: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Corrupt { what, detail: detail.to_string() }
    }
}
