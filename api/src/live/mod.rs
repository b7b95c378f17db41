//! Sockets: the Centrifuge client protocol, JSON, so that the official SDKs connect unchanged.

mod codes;
mod hub;
mod limits;
pub mod metrics;
mod origin;
mod outbox;
mod personal;
mod protocol;
mod refused;
mod room;
mod session;
mod socket;
mod token;
mod viewers;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use domain::fingerprint::PseudonymKey;
use domain::ports::{Clock, FeedBus, Ids, OrderBook, SalesBoard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use codes::{Close, Refusal};
pub use limits::*;
pub use token::{Claims, TokenError, TokenVerifier};

use hub::Hub;
use origin::Origins;
use personal::Streams;
use viewers::Viewers;

/// The path of the socket.
pub const PATH: &str = "/connection/websocket";
/// Connections that are closed at once when the node goes away; as many again every
/// [`DRAIN_SLICE_EVERY`].
const DRAIN_SLICE: usize = 10_000;
/// The time of one slice.
const DRAIN_SLICE_EVERY: Duration = Duration::from_secs(2);

/// What the sockets need.
pub struct LiveParts {
    /// What viewers see.
    pub bus: Arc<dyn FeedBus>,
    /// Which broadcasts there are.
    pub board: Arc<dyn SalesBoard>,
    /// The open orders of whoever connects anew.
    pub orders: Arc<dyn OrderBook>,
    /// Who is at the other end.
    pub verifier: Arc<dyn TokenVerifier>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names connections.
    pub ids: Arc<dyn Ids>,
    /// Names viewers in the order book.
    pub pseudonyms: PseudonymKey,
    /// The pages that may connect, beside the node's own.
    pub allowed_origins: Vec<String>,
    /// The bounds.
    pub limits: LiveLimits,
}

/// The sockets of one node.
pub struct LiveState {
    hub: Arc<Hub>,
    streams: Streams,
    verifier: Arc<dyn TokenVerifier>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    limits: LiveLimits,
    origins: Origins,
    viewers: Viewers,
    seats: Arc<Semaphore>,
    connections: TaskTracker,
    rooms: TaskTracker,
    rooms_end: CancellationToken,
    draining: CancellationToken,
}

impl LiveState {
    /// A node that nobody is connected to.
    pub fn new(parts: LiveParts) -> Arc<Self> {
        let (rooms, rooms_end) = (TaskTracker::new(), CancellationToken::new());
        let hub = Hub::new(
            parts.bus.clone(),
            parts.board,
            parts.clock.clone(),
            parts.limits,
            rooms.clone(),
            rooms_end.clone(),
        );
        let streams =
            Streams { bus: parts.bus, orders: parts.orders, pseudonyms: parts.pseudonyms };
        Arc::new(Self {
            hub: Arc::new(hub),
            streams,
            verifier: parts.verifier,
            clock: parts.clock,
            ids: parts.ids,
            limits: parts.limits,
            origins: Origins::new(parts.allowed_origins),
            viewers: Viewers::default(),
            seats: Arc::new(Semaphore::new(parts.limits.connections)),
            connections: TaskTracker::new(),
            rooms,
            rooms_end,
            draining: CancellationToken::new(),
        })
    }

    /// A place for one more connection.
    fn seat(&self) -> Option<OwnedSemaphorePermit> {
        if self.draining.is_cancelled() {
            return None;
        }
        self.seats.clone().try_acquire_owned().ok()
    }

    /// Over how long the connections are closed.
    fn drain_spread(&self) -> Duration {
        let slices = u32::try_from(self.connections.len() / DRAIN_SLICE).unwrap_or(u32::MAX);
        DRAIN_SLICE_EVERY.saturating_mul(slices).min(self.limits.drain_within)
    }

    /// Closes every connection with 3001, in slices, and refuses new ones with 503; returns when
    /// all are gone, or after the limit.
    pub async fn drain(&self) {
        self.draining.cancel();
        self.connections.close();
        let within = self.limits.drain_within.saturating_add(DRAIN_SLICE_EVERY);
        if tokio::time::timeout(within, self.connections.wait()).await.is_err() {
            tracing::warn!(left = self.connections.len(), "connections are dropped");
        }
        self.rooms_end.cancel();
        self.rooms.close();
        self.rooms.wait().await;
    }

    /// How many are connected.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }
}

/// The routes of the sockets.
pub fn router(state: Arc<LiveState>) -> Router {
    Router::new().route(PATH, any(socket::upgrade)).with_state(state)
}
