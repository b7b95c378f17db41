//! A node in process, in memory, with a broadcast, and a proxy that cuts connections as a phone's
//! network does.

use std::net::SocketAddr;
use std::sync::Arc;

use api::live::{Claims, LiveLimits, LiveParts, LiveState, TokenError, TokenVerifier, router};
use api::ordering::OrderLookup;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::Timestamp;
use domain::actor::Role;
use domain::envelope::Position;
use domain::fingerprint::PseudonymKey;
use domain::ids::{SellerId, ViewerId};
use domain::ports::{Clock, FeedBus, Ids, OrderBook, RoomBook, SalesBoard};
use parking_lot::Mutex;
use projections::chat_log::MemoryChatLog;
use projections::order_book::MemoryOrderBook;
use projections::room_book::MemoryRoomBook;
use projections::sales_board::MemorySalesBoard;
use projections::stock_counter::MemoryAcceptedOrders;
use projections::viewer_feed::{MemoryFeedBus, ViewerFeed};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::harness::RandomIds;
use super::log::Log;

/// The machine's time.
pub struct WallClock;

#[async_trait]
impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        DateTime::<Utc>::from(std::time::UNIX_EPOCH) + since_epoch()
    }
    async fn sleep(&self, duration: std::time::Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests' own clock")]
fn since_epoch() -> std::time::Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()
}

/// Takes `seller|subject|seconds since 1970` for a token; a subject `guest-…` is anonymous,
/// `host-…` and `moderator-…` have the role.
struct PlainTokens;

#[async_trait]
impl TokenVerifier for PlainTokens {
    async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let parts: Vec<&str> = token.split('|').collect();
        let [seller, subject, until] = parts[..] else { return Err(TokenError::Invalid) };
        let until = until.parse().ok().and_then(|until| DateTime::from_timestamp(until, 0));
        let expires_at = until.ok_or(TokenError::Invalid)?;
        if expires_at < WallClock.now() {
            return Err(TokenError::Expired);
        }
        let role = match subject.split_once('-') {
            Some(("host", _)) => Role::Host,
            Some(("moderator", _)) => Role::Moderator,
            _ => Role::Viewer,
        };
        Ok(Claims {
            seller: SellerId::try_new(seller).map_err(|_| TokenError::Invalid)?,
            subject: ViewerId::try_new(subject).map_err(|_| TokenError::Invalid)?,
            name: None,
            role,
            anonymous: subject.starts_with("guest-"),
            expires_at,
        })
    }
}

/// A token that runs out in so many seconds.
pub fn token(seller: &str, subject: &str, seconds: i64) -> String {
    let until = WallClock.now() + TimeDelta::seconds(seconds);
    format!("{seller}|{subject}|{}", until.timestamp())
}

/// The read models, and what is kept beside them.
#[derive(Clone)]
pub struct Kept {
    pub board: Arc<dyn SalesBoard>,
    pub orders: Arc<dyn OrderBook>,
    pub rooms: Arc<dyn RoomBook>,
    pub chat_log: Arc<MemoryChatLog>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            board: Arc::new(MemorySalesBoard::default()),
            orders: Arc::new(MemoryOrderBook::default()),
            rooms: Arc::new(MemoryRoomBook::default()),
            chat_log: Arc::default(),
        }
    }
}

/// A node with everything it needs.
pub struct Stage {
    pub log: Log,
    pub bus: Arc<MemoryFeedBus>,
    pub kept: Kept,
    pub live: Arc<LiveState>,
    limits: LiveLimits,
    feed: tokio::sync::Mutex<(ViewerFeed, Position)>,
    address: SocketAddr,
    tasks: JoinSet<()>,
}

impl Stage {
    pub async fn start(limits: LiveLimits) -> Self {
        Self::on(Kept::default(), limits).await
    }

    /// On these read models.
    pub async fn on(kept: Kept, limits: LiveLimits) -> Self {
        let clock = Arc::new(WallClock);
        let bus = Arc::new(MemoryFeedBus::new(clock.clone(), Arc::new(RandomIds)));
        let log = Log::new(PseudonymKey::from_secret(b"stage"));
        let live = node(&bus, &log, &kept, limits);
        let shared: Arc<dyn FeedBus> = bus.clone();
        let feed = ViewerFeed::new(Arc::new(log.clone()), shared, clock);
        let mut tasks = JoinSet::new();
        let address = serve(&live, &mut tasks).await;
        let feed = tokio::sync::Mutex::new((feed, Position::START));
        Self { log, bus, kept, live, limits, feed, address, tasks }
    }

    pub fn url(&self) -> String {
        url(self.address)
    }

    /// Lets the read models and the feed take in what was appended.
    pub async fn settle(&self) {
        let mut feed = self.feed.lock().await;
        let events = self.log.after(feed.1);
        self.kept.board.apply(&events).await.unwrap();
        self.kept.orders.apply(&events).await.unwrap();
        feed.0.take(&events).await.unwrap();
        feed.0.check().await.unwrap();
        feed.1 = self.log.head();
    }

    /// Another node on the same bus; its address.
    pub async fn second_node(&mut self) -> String {
        let live = node(&self.bus, &self.log, &self.kept, self.limits);
        url(serve(&live, &mut self.tasks).await)
    }

    /// Another way to the node, which can be cut.
    pub async fn proxy(&mut self) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(Mutex::new(CancellationToken::new()));
        let (to, current) = (self.address, cut.clone());
        self.tasks.spawn(async move {
            let mut links = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let cut = current.lock().clone();
                links.spawn(async move {
                    let Ok(mut server) = TcpStream::connect(to).await else { return };
                    let both = tokio::io::copy_bidirectional(&mut client, &mut server);
                    let _ = cut.run_until_cancelled(both).await;
                });
            }
        });
        Proxy { address, cut }
    }
}

fn node(bus: &Arc<MemoryFeedBus>, log: &Log, kept: &Kept, limits: LiveLimits) -> Arc<LiveState> {
    let clock = Arc::new(WallClock);
    LiveState::new(LiveParts {
        bus: bus.clone(),
        board: kept.board.clone(),
        orders: kept.orders.clone(),
        verifier: Arc::new(PlainTokens),
        clock: clock.clone(),
        ids: Arc::new(RandomIds),
        pseudonyms: PseudonymKey::from_secret(b"stage"),
        allowed_origins: vec![],
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        lookup: OrderLookup {
            book: kept.orders.clone(),
            accepted: Arc::new(MemoryAcceptedOrders::new(clock)),
            reader: Arc::new(log.clone()),
        },
        rooms: kept.rooms.clone(),
        chat_log: kept.chat_log.clone(),
        chat_kept: TimeDelta::days(1),
        node: RandomIds.uuid().to_string(),
        limits,
    })
}

async fn serve(live: &Arc<LiveState>, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = router(live.clone()).into_make_service_with_connect_info::<SocketAddr>();
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// A way to the node.
pub struct Proxy {
    address: SocketAddr,
    cut: Arc<Mutex<CancellationToken>>,
}

impl Proxy {
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// Cuts every connection; new ones may come.
    pub fn cut(&self) {
        std::mem::take(&mut *self.cut.lock()).cancel();
    }
}

fn url(address: SocketAddr) -> String {
    format!("ws://{address}/connection/websocket")
}
