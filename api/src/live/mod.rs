//! Sockets: the Centrifuge client protocol, JSON and Protobuf, so that the official SDKs connect
//! unchanged.

mod calls;
mod channels;
mod chat;
mod codec;
pub(crate) mod codes;
mod connection;
mod crowd;
mod doors;
#[cfg(feature = "echo")]
pub mod echo;
mod emulation;
mod fallback;
mod feed;
mod hub;
mod likes;
mod limits;
mod log;
mod message;
pub mod metrics;
mod origin;
mod outbox;
mod personal;
mod protocol;
mod pulse;
mod rates;
mod refusal;
mod refused;
mod room;
mod rules;
pub(crate) mod schema;
mod session;
mod shard;
mod socket;
mod times;
mod token;
mod totals;
mod unsent;
mod upgrade;
mod viewers;
mod watchers;
mod wire;
mod words;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use chrono::TimeDelta;
use domain::fingerprint::PseudonymKey;
use domain::ports::{ChatLog, Clock, FeedBus, Ids, OrderBook, RoomBook, SalesBoard};
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use codes::{Close, Refusal};
pub use fallback::{EMULATION_PATH, HTTP_STREAM_PATH, SSE_PATH};
pub use limits::*;
pub use token::{Claims, TokenError, TokenVerifier};

use doors::Doors;
use emulation::Emulation;
use hub::Hub;
use log::Keeper;
use origin::Origins;
use personal::Streams;
use rates::Rates;
use shard::Shards;
use viewers::Viewers;

use crate::extract::address::Proxies;
use crate::ordering::OrderLookup;

/// The path of the socket.
pub const PATH: &str = "/connection/websocket";
/// Connections that are closed in [`DRAIN_SLICE_EVERY`] when the node goes away, each at a time of
/// its own.
const DRAIN_SLICE: u32 = 10_000;
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
    /// Proxies whose forwarding headers count; without one, addresses have no limits.
    pub trusted_proxies: Vec<IpNet>,
    /// Orders, also those that the log has not decided.
    pub lookup: OrderLookup,
    /// What rooms came to.
    pub rooms: Arc<dyn RoomBook>,
    /// What was said.
    pub chat_log: Arc<dyn ChatLog>,
    /// How long what was said is kept.
    pub chat_kept: TimeDelta,
    /// The node's name, one for each running process.
    pub node: String,
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
    lookup: OrderLookup,
    rates: Rates,
    keeper: Keeper,
    emulation: Arc<Emulation>,
    origins: Origins,
    viewers: Viewers,
    shards: Shards,
    doors: Doors,
    connections: TaskTracker,
    rooms: TaskTracker,
    rooms_end: CancellationToken,
    draining: CancellationToken,
}

impl LiveState {
    /// A node that nobody is connected to.
    pub fn new(parts: LiveParts) -> Arc<Self> {
        let (rooms, rooms_end) = (TaskTracker::new(), CancellationToken::new());
        let shards = Shards::per_core();
        for shard in shards.iter() {
            rooms.spawn(shard.clone().run(rooms_end.clone()));
        }
        let hub = Hub::new(
            parts.bus.clone(),
            (parts.board, parts.rooms),
            parts.clock.clone(),
            parts.lookup.reader.clone(),
            (parts.limits, parts.node.clone()),
            shards.clone(),
            (rooms.clone(), rooms_end.clone()),
        );
        let (keeper, work) = Keeper::new(parts.chat_log, parts.clock.clone(), parts.chat_kept);
        rooms.spawn(work.run(rooms_end.clone()));
        let emulation = Arc::new(Emulation::new(parts.bus.clone(), parts.node));
        rooms.spawn(emulation.clone().listen(rooms_end.clone()));
        let streams =
            Streams { bus: parts.bus, orders: parts.orders, pseudonyms: parts.pseudonyms };
        Arc::new(Self {
            hub: Arc::new(hub),
            streams,
            verifier: parts.verifier,
            clock: parts.clock,
            ids: parts.ids,
            limits: parts.limits,
            lookup: parts.lookup,
            rates: Rates::default(),
            keeper,
            emulation,
            origins: Origins::new(parts.allowed_origins),
            viewers: Viewers::default(),
            shards,
            doors: Doors::new(&parts.limits, Proxies::new(parts.trusted_proxies)),
            connections: TaskTracker::new(),
            rooms,
            rooms_end,
            draining: CancellationToken::new(),
        })
    }

    /// The node's name.
    fn node(&self) -> &str {
        self.emulation.node()
    }

    /// Over how long the connections are closed.
    fn drain_spread(&self) -> Duration {
        drain_spread(self.connections.len()).min(self.limits.drain_within)
    }

    /// Closes every connection with 3001, in slices, and refuses new ones with 503; returns when
    /// all are gone, or after the limit.
    pub async fn drain(&self) {
        self.doors.shut();
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

/// Over how long so many connections are closed: in proportion, so that a few go at once and many
/// come to other nodes at a rate that those can take.
fn drain_spread(connections: usize) -> Duration {
    let connections = u32::try_from(connections).unwrap_or(u32::MAX);
    DRAIN_SLICE_EVERY.saturating_mul(connections) / DRAIN_SLICE
}

/// The routes of the sockets.
pub fn router(state: Arc<LiveState>) -> Router {
    let fallback = fallback::routes(state.origins.clone());
    Router::new().route(PATH, any(upgrade::upgrade)).merge(fallback).with_state(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_closed_over_a_longer_time() {
        let slice = usize::try_from(DRAIN_SLICE).unwrap();
        assert_eq!(drain_spread(0), Duration::ZERO);
        assert!(drain_spread(1) < Duration::from_millis(1));
        assert_eq!(drain_spread(slice), DRAIN_SLICE_EVERY);
        assert_eq!(drain_spread(3 * slice), 3 * DRAIN_SLICE_EVERY);
    }
}
