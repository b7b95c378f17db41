//! Read models, accepted orders and the provider over bad lines.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commands::intake::{GateRebuilder, Presence};
use commands::process::SimulatedGateway;
use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::ids::{BroadcastId, OrderId, SellerId, SpotlightId};
use domain::payment::PaymentResult;
use domain::ports::{
    AcceptedOrders, Clock, OrderBook, OrderQuery, Page, PaymentCall, PaymentGateway, PortError,
    SalesBoard, SalesTotals,
};
use domain::views::{AcceptedOrder, BroadcastView, OrderView, SpotlightView};
use parking_lot::Mutex;
use projections::consumer::by_position::{ReadModel, wait_applied};
use projections::order_book::MemoryOrderBook;
use projections::sales_board::MemorySalesBoard;
use projections::stock_counter::{self, MemoryAcceptedOrders, Rebuilder};

use super::clock::SimClock;
use super::faults::Line;
use super::post::Post;

/// The order book.
pub struct SimOrderBook {
    /// The line to it.
    pub line: Line,
    /// The book.
    pub inner: Arc<MemoryOrderBook>,
}

#[async_trait]
impl OrderBook for SimOrderBook {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        self.line.call("book.checkpoint", self.inner.checkpoint()).await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        self.line.call("book.apply", self.inner.apply(events)).await
    }

    async fn order(&self, order: OrderId) -> Result<Option<OrderView>, PortError> {
        self.line.call("book.order", self.inner.order(order)).await
    }

    async fn orders(&self, query: &OrderQuery) -> Result<Page<OrderView>, PortError> {
        self.line.call("book.orders", self.inner.orders(query)).await
    }

    async fn due_holds(&self, now: Timestamp, limit: usize) -> Result<Vec<OrderView>, PortError> {
        self.line.call("due_holds", self.inner.due_holds(now, limit)).await
    }

    async fn open_payments(
        &self,
        after: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<OrderView>, PortError> {
        self.line.call("open_payments", self.inner.open_payments(after, limit)).await
    }
}

/// The sales board.
pub struct SimSalesBoard {
    /// The line to it.
    pub line: Line,
    /// The board.
    pub inner: Arc<MemorySalesBoard>,
}

#[async_trait]
impl SalesBoard for SimSalesBoard {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        self.line.call("board.checkpoint", self.inner.checkpoint()).await
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        self.line.call("board.apply", self.inner.apply(events)).await
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<BroadcastView>, PortError> {
        self.line.call("board.broadcast", self.inner.broadcast(id)).await
    }

    async fn broadcasts(
        &self,
        seller: &SellerId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<BroadcastView>, PortError> {
        self.inner.broadcasts(seller, cursor, limit).await
    }

    async fn spotlight(&self, id: SpotlightId) -> Result<Option<SpotlightView>, PortError> {
        self.line.call("board.spotlight", self.inner.spotlight(id)).await
    }

    async fn spotlights(
        &self,
        broadcast: BroadcastId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<SpotlightView>, PortError> {
        self.inner.spotlights(broadcast, cursor, limit).await
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<SpotlightView>, PortError> {
        self.line.call("board.due", self.inner.due(now, limit)).await
    }

    async fn withdrawing(&self, limit: usize) -> Result<Vec<SpotlightView>, PortError> {
        self.line.call("board.withdrawing", self.inner.withdrawing(limit)).await
    }

    async fn totals(&self, broadcast: BroadcastId) -> Result<Option<SalesTotals>, PortError> {
        self.inner.totals(broadcast).await
    }
}

/// Accepted orders; they are in Redis, and are lost with it.
pub struct SimAcceptedOrders {
    line: Line,
    clock: Arc<SimClock>,
    inner: Mutex<Arc<MemoryAcceptedOrders>>,
}

impl SimAcceptedOrders {
    /// None yet.
    pub fn new(line: Line) -> Self {
        let clock = Arc::new(SimClock(Arc::clone(&line.world)));
        let inner = Mutex::new(Arc::new(MemoryAcceptedOrders::new(clock.clone())));
        Self { line, clock, inner }
    }

    /// Loses all of them.
    pub fn lose(&self) {
        *self.inner.lock() = Arc::new(MemoryAcceptedOrders::new(self.clock.clone()));
    }

    fn inner(&self) -> Arc<MemoryAcceptedOrders> {
        Arc::clone(&self.inner.lock())
    }
}

#[async_trait]
impl AcceptedOrders for SimAcceptedOrders {
    async fn put(&self, orders: &[AcceptedOrder]) -> Result<Vec<Option<AcceptedOrder>>, PortError> {
        self.line.call("accepted.put", self.inner().put(orders)).await
    }

    async fn get(&self, order: OrderId) -> Result<Option<AcceptedOrder>, PortError> {
        self.line.call("accepted.get", self.inner().get(order)).await
    }

    async fn get_all(&self, orders: &[OrderId]) -> Result<Vec<Option<AcceptedOrder>>, PortError> {
        self.line.call("accepted.get_all", self.inner().get_all(orders)).await
    }
}

/// The provider.
pub struct SimProvider {
    /// The line to it.
    pub line: Line,
    /// The provider.
    pub inner: Arc<SimulatedGateway>,
    /// What it tells on its own.
    pub post: Arc<Post>,
}

impl SimProvider {
    /// Asks the provider, over the line. What it did it may tell on its own too, also where the
    /// answer is lost.
    async fn ask(
        &self,
        operation: &'static str,
        call: &PaymentCall,
        done: impl Future<Output = Result<PaymentResult, PortError>> + Send,
    ) -> Result<PaymentResult, PortError> {
        let told = async {
            let result = done.await;
            if let Ok(result) = &result {
                self.post.send(operation, call, result);
            }
            result
        };
        self.line.call(operation, told).await
    }
}

#[async_trait]
impl PaymentGateway for SimProvider {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn authorize(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.ask("authorize", call, self.inner.authorize(call)).await
    }

    async fn capture(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.ask("capture", call, self.inner.capture(call)).await
    }

    async fn void(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.ask("void", call, self.inner.void(call)).await
    }

    async fn refund(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.ask("refund", call, self.inner.refund(call)).await
    }

    fn tells(&self, call: &PaymentCall) -> usize {
        self.inner.tells(call)
    }

    async fn query(&self, call: &PaymentCall) -> Result<Option<PaymentResult>, PortError> {
        self.line.call("query", self.inner.query(call)).await
    }
}

/// The rebuilder as the intake and the process know it.
pub struct Rebuilding(pub Arc<Rebuilder>);

#[async_trait]
impl GateRebuilder for Rebuilding {
    async fn ensure(&self, spotlight: SpotlightId) -> Result<Presence, PortError> {
        Ok(match self.0.ensure(spotlight).await? {
            stock_counter::Presence::Unknown => Presence::Unknown,
            stock_counter::Presence::Ready => Presence::Ready,
            stock_counter::Presence::Rebuilding => Presence::Rebuilding,
        })
    }
}

/// The read models that a host's answer waits for.
pub struct SimReadModels {
    /// Both of them.
    pub models: [Arc<ReadModel>; 2],
    /// The time.
    pub clock: Arc<SimClock>,
}

#[async_trait]
impl commands::intake::ReadModels for SimReadModels {
    async fn wait_applied(&self, position: Position, bound: Duration) -> bool {
        let until = self.clock.now() + chrono::TimeDelta::from_std(bound).unwrap_or_default();
        for model in &self.models {
            let left = (until - self.clock.now()).to_std().unwrap_or_default();
            let clock: &dyn Clock = self.clock.as_ref();
            if !wait_applied(model, clock, position, left).await.unwrap_or(false) {
                return false;
            }
        }
        true
    }
}
