//! Every role on the in-memory adapters, under a clock that moves only when a test lets it.

use std::sync::Arc;
use std::time::Duration;

use commands::clock::{ManualClock, SeededIds};
use commands::faults::Faults;
use commands::intake::{
    HostRefusal, Intake, IntakePorts, OrderRequest, PlaceRefusal, Placed, ReceiptSigner, Receipts,
};
use commands::log::{MEMORY_LOG_DEPTH, MemoryCommandLog};
use commands::process::{self, ProcessConfig, ProcessPorts, SimulatedGateway};
use commands::writer::{self, WriterConfig, WriterPorts};
use domain::Timestamp;
use domain::actor::{Actor, Role};
use domain::broadcast::BroadcastCommand;
use domain::command::{Command, CommandRecord};
use domain::envelope::{Position, Recorded};
use domain::event::{Event, StreamId};
use domain::fingerprint::Fingerprint;
use domain::ids::{
    BroadcastId, CommandId, CorrelationId, OrderId, ProductId, SellerId, Sku, SpotlightId,
    StreamKey, ViewerId, ViewerRef, derive_id,
};
use domain::invariants::{Invariants, LogEnd};
use domain::line::{Line, Lines};
use domain::money::{Currency, Money};
use domain::offer::{Offer, Product, SkuTerms};
use domain::order::PaymentChoice;
use domain::personal::Personal;
use domain::ports::{Clock, EventReader, OrderBook, PaymentGateway, SalesBoard, StockGate};
use domain::quantity::Quantity;
use domain::spotlight::{SpotlightCommand, SpotlightTerms};
use domain::views::OrderView;
use projections::order_book::MemoryOrderBook;
use projections::sales_board::MemorySalesBoard;
use projections::stock_counter::{MemoryAcceptedOrders, MemoryGate};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::ports::{FaultyLog, FaultyStore, Pumped, Rebuilder, TOPIC};

pub const SPOTLIGHT: SpotlightId = SpotlightId(Uuid::from_u128(0x5));
pub const BROADCAST: BroadcastId = BroadcastId(Uuid::from_u128(0xb));
/// The seed that receipts are signed under.
pub const SEED: [u8; 32] = [9; 32];

pub struct Rig {
    pub clock: Arc<ManualClock>,
    pub store: Arc<FaultyStore>,
    pub log: Arc<FaultyLog>,
    pub gate: Arc<MemoryGate>,
    pub orders: Arc<MemoryOrderBook>,
    pub board: Arc<MemorySalesBoard>,
    pub intake: Arc<Intake>,
    pub faults: Faults,
    rebuilder: Arc<Rebuilder>,
    pumped: Arc<Pumped>,
    pub tasks: JoinSet<()>,
}

pub fn seller() -> SellerId {
    SellerId::try_new("acme").unwrap()
}

pub fn sku() -> Sku {
    Sku::try_new("red").unwrap()
}

pub fn won(minor: i64) -> Money {
    Money::new(minor, Currency::try_new("KRW").unwrap())
}

pub fn start_time() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
}

impl Rig {
    /// Every adapter, and no role yet.
    pub fn idle() -> Self {
        let clock = Arc::new(ManualClock::new(start_time()));
        let faults = Faults::settable();
        let store = FaultyStore::new(clock.clone());
        let log = Arc::new(FaultyLog {
            inner: MemoryCommandLog::new(TOPIC, 1, MEMORY_LOG_DEPTH),
            next: parking_lot::Mutex::default(),
            down: false.into(),
            records: parking_lot::Mutex::default(),
        });
        let gate = Arc::new(MemoryGate::new(clock.clone()));
        let accepted = Arc::new(MemoryAcceptedOrders::new(clock.clone()));
        let rebuilder = Arc::new(Rebuilder {
            store: store.clone(),
            log: log.clone(),
            gate: gate.clone(),
            clock: clock.clone(),
        });
        let pumped = Arc::new(Pumped {
            position: tokio::sync::watch::Sender::new(Position::START),
            clock: clock.clone(),
        });
        let signer = Arc::new(ReceiptSigner::from_seed(&SEED));
        let (receipts, worker) = Receipts::new(signer, accepted.clone());
        let ports = IntakePorts {
            gate: gate.clone(),
            log: log.clone(),
            accepted,
            events: store.clone(),
            rebuilder: rebuilder.clone(),
            read_models: pumped.clone(),
            clock: clock.clone(),
            ids: Arc::new(SeededIds::new(1)),
            faults: faults.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(worker.run(CancellationToken::new()));
        Self {
            intake: Arc::new(Intake::new(ports, "node-1", receipts)),
            clock,
            store,
            log,
            gate,
            orders: Arc::default(),
            board: Arc::default(),
            faults,
            rebuilder,
            pumped,
            tasks,
        }
    }

    /// Writer, projections and process, and an open spotlight of `units` units.
    pub async fn selling(units: u32) -> Self {
        Self::selling_with(units, None).await
    }

    pub async fn selling_with(units: u32, per_viewer_limit: Option<u32>) -> Self {
        let mut rig = Self::idle();
        rig.start_writer("writer-1");
        rig.start_projections();
        rig.start_process();
        rig.open(units, per_viewer_limit).await;
        rig
    }

    pub async fn open(&self, units: u32, per_viewer_limit: Option<u32>) {
        let key = BROADCAST.into();
        let command = BroadcastCommand::ScheduleBroadcast {
            broadcast_id: BROADCAST,
            title: "Show".to_owned(),
            currency: Currency::try_new("KRW").unwrap(),
            starts_at: None,
        };
        self.submit(key, Command::Broadcast { command }, "b1").await.expect("scheduled");
        let command = BroadcastCommand::StartBroadcast;
        self.submit(key, Command::Broadcast { command }, "b2").await.expect("started");
        let command = SpotlightCommand::ScheduleSpotlight {
            terms: Box::new(terms(units, per_viewer_limit)),
            open_now: true,
        };
        self.spotlight(command, "s1").await.expect("opened");
    }

    pub fn writer_ports(&self) -> WriterPorts {
        WriterPorts {
            store: self.store.clone(),
            consumer: Box::new(self.log.inner.consumer()),
            parked: None,
            clock: self.clock.clone(),
            faults: self.faults.clone(),
        }
    }

    pub fn start_writer(&mut self, owner: &str) -> tokio::task::AbortHandle {
        let ports = self.writer_ports();
        let config = WriterConfig::new(owner);
        self.tasks.spawn(async move {
            writer::run(ports, config, CancellationToken::new()).await.expect("does not halt");
        })
    }

    pub fn start_projections(&mut self) -> tokio::task::AbortHandle {
        let (store, gate) = (self.store.clone(), self.gate.clone());
        let (orders, board) = (self.orders.clone(), self.board.clone());
        let (pumped, clock) = (self.pumped.clone(), self.clock.clone());
        self.tasks.spawn(async move {
            let mut position = Position::START;
            loop {
                let Ok(events) = store.read(position, 100).await else {
                    clock.sleep(Duration::from_millis(50)).await;
                    continue;
                };
                for event in &events {
                    let spotlight = SpotlightId(event.key.0);
                    gate.apply(spotlight, std::slice::from_ref(event)).await.expect("applies");
                    position = event.position;
                }
                if events.is_empty() {
                    store.wait(position).await;
                    continue;
                }
                orders.apply(&events).await.expect("applies");
                board.apply(&events).await.expect("applies");
                pumped.position.send_replace(position);
            }
        })
    }

    pub fn start_process(&mut self) -> tokio::task::AbortHandle {
        let delay = Duration::from_millis(20);
        self.start_process_with(Arc::new(SimulatedGateway::new(self.clock.clone(), delay)))
    }

    pub fn start_process_with(
        &mut self,
        gateway: Arc<dyn PaymentGateway>,
    ) -> tokio::task::AbortHandle {
        let ports = ProcessPorts {
            store: self.store.clone(),
            log: self.log.clone(),
            gate: self.gate.clone(),
            orders: self.orders.clone(),
            board: self.board.clone(),
            gateway,
            rebuilder: self.rebuilder.clone(),
            clock: self.clock.clone(),
            faults: self.faults.clone(),
        };
        self.tasks.spawn(process::run(ports, ProcessConfig::new("p"), CancellationToken::new()))
    }

    /// Lets everybody run and time pass until it is so, at most ten minutes of it.
    pub async fn until<F: AsyncFn(&Self) -> bool>(&self, what: &str, condition: F) {
        for _ in 0..60_000 {
            self.settle().await;
            if condition(self).await {
                return self.verify().await;
            }
            self.clock.advance(Duration::from_millis(10));
        }
        panic!("never came: {what}");
    }

    /// Lets everybody run without time passing.
    pub async fn settle(&self) {
        for _ in 0..30 {
            tokio::task::yield_now().await;
        }
    }

    pub async fn pass(&self, duration: Duration) {
        let end = self.clock.now() + duration;
        while self.clock.now() < end {
            self.clock.advance(Duration::from_millis(10));
            self.settle().await;
        }
    }

    /// Runs a future while time passes.
    pub async fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        for _ in 0..60_000 {
            if let std::task::Poll::Ready(value) = futures::poll!(&mut future) {
                return value;
            }
            self.settle().await;
            self.clock.advance(Duration::from_millis(2));
        }
        panic!("never ended");
    }

    pub async fn submit(
        &self,
        key: StreamKey,
        command: Command,
        id: &str,
    ) -> Result<Position, HostRefusal> {
        let record = self.record(key, command, id);
        self.run(self.intake.submit(record)).await.map(|decided| decided.position)
    }

    pub async fn spotlight(
        &self,
        command: SpotlightCommand,
        id: &str,
    ) -> Result<Position, HostRefusal> {
        self.submit(SPOTLIGHT.into(), Command::Spotlight { command }, id).await
    }

    pub fn record(&self, key: StreamKey, command: Command, id: &str) -> CommandRecord {
        CommandRecord {
            command_id: CommandId(derive_id("test", &[id.as_bytes()])),
            seller: seller(),
            key,
            correlation: CorrelationId(key.0),
            causation: None,
            traceparent: None,
            actor: Actor { role: Role::Host, subject: Some("host".to_owned()) },
            issued_at: self.clock.now(),
            command,
        }
    }

    pub async fn place(&self, request: OrderRequest) -> Result<Placed, PlaceRefusal> {
        self.run(self.intake.place_order(request)).await
    }

    pub async fn order(&self, order: OrderId) -> Option<OrderView> {
        self.orders.order(order).await.expect("reads")
    }

    /// The types of an order's events, its reservation's among them, in order.
    pub async fn story(&self, order: OrderId) -> Vec<String> {
        let streams = StreamId::of_order(order);
        let events = self.store.inner.load(&streams).await.expect("reads");
        events.iter().map(|recorded| recorded.event.event_type()).collect()
    }

    pub async fn events(&self) -> Vec<Event> {
        self.recorded().await.into_iter().map(|recorded| recorded.event).collect()
    }

    pub async fn recorded(&self) -> Vec<Recorded> {
        self.store.inner.read(Position::START, usize::MAX).await.expect("reads")
    }

    pub async fn voided(&self) -> usize {
        let events = self.events().await;
        events.iter().filter(|event| event.event_type() == "AdmissionVoided").count()
    }

    /// Units that can be ordered at the gate.
    pub async fn remaining(&self) -> i64 {
        let view = self.gate.view(SPOTLIGHT).await.expect("reads").expect("is known");
        view.inventory.get(&sku()).expect("has the SKU").remaining
    }

    /// Everything that the log must be, from its first event on.
    pub async fn verify(&self) {
        let events = self.store.inner.read(Position::START, usize::MAX).await.expect("reads");
        let findings = Invariants::of_log(&events, LogEnd { settled: false });
        assert!(findings.is_empty(), "{findings:?}");
    }
}

pub fn terms(units: u32, per_viewer_limit: Option<u32>) -> SpotlightTerms {
    SpotlightTerms {
        spotlight_id: SPOTLIGHT,
        broadcast_id: BROADCAST,
        seller: seller(),
        product: Product {
            id: ProductId::try_new("p1").unwrap(),
            name: "Lamp".to_owned(),
            image_url: None,
            original_price: won(29_900),
        },
        skus: vec![SkuTerms { sku: sku(), name: None, limited_quantity: units }],
        offer: Offer {
            version: 1,
            live_price: won(19_900),
            sku_prices: std::collections::BTreeMap::new(),
        },
        per_viewer_limit,
        hold_seconds: 30,
        abandoned_hold_seconds: None,
        opens_at: None,
        closes_at: None,
        personal: Personal::default(),
    }
}

pub fn request(viewer: &str, key: &str, units: u32, method: &str) -> OrderRequest {
    let lines =
        Lines::try_new(vec![Line { sku: sku(), quantity: Quantity::try_new(units).unwrap() }])
            .unwrap();
    OrderRequest {
        seller: seller(),
        viewer: ViewerId::try_new(viewer).unwrap(),
        viewer_ref: ViewerRef::try_new(format!("ref-{viewer}")).unwrap(),
        spotlight: SPOTLIGHT,
        offer_version: 1,
        fingerprint: Fingerprint::of_order(
            SPOTLIGHT,
            1,
            &lines,
            Some(method),
            &serde_json::Value::Null,
        ),
        lines,
        payment: (method != "none")
            .then(|| PaymentChoice { provider: "simulated".to_owned(), method: method.to_owned() }),
        key: key.to_owned(),
        personal: Personal::default(),
        traceparent: None,
    }
}
