//! The roles of onair as the simulator runs them: the real loops over lines that are bad. A role
//! that was killed starts again some time later.

use std::sync::Arc;
use std::time::Duration;

use commands::faults::Faults;
use commands::intake::{Intake, IntakePorts, ReceiptSigner, Receipts};
use commands::process::{self, ProcessConfig, ProcessPorts};
use commands::relay;
use commands::writer::{self, WriterConfig, WriterPorts};
use domain::envelope::Position;
use parking_lot::Mutex;
use projections::consumer::by_position::{self, ReadModel};
use projections::stock_counter;
use tokio_util::sync::CancellationToken;

use super::ports::{Rebuilding, SimProvider, SimReadModels};
use super::shop::Shop;
use super::world::{RoleId, Task};

/// How long after the hold a payment without an answer is ended.
const PAYMENT_FINAL: Duration = Duration::from_secs(20);
/// How long a parked command may wait.
const PARKED_DEADLINE: Duration = Duration::from_secs(20);

/// An api process: its intake, while it runs.
#[derive(Clone)]
pub struct Node {
    /// The process.
    pub role: RoleId,
    intake: Arc<Mutex<Option<Arc<Intake>>>>,
}

impl Node {
    /// The intake, while the process runs.
    pub fn intake(&self) -> Option<Arc<Intake>> {
        self.intake.lock().clone()
    }
}

impl Shop {
    /// Starts everything: writers, relays, processes and projections, and the api processes.
    pub fn start(&self, nodes: usize) -> Vec<Node> {
        for number in 1..=2 {
            self.add_writer(number);
            self.add_relay(number);
            self.add_process(number);
        }
        self.add_stock_counter();
        self.add_read_models();
        (1..=nodes).map(|number| self.add_node(number)).collect()
    }

    fn add_writer(&self, number: usize) {
        let shop = self.clone();
        self.add(format!("writer-{number}"), move || {
            let ports = WriterPorts {
                store: shop.store.clone(),
                consumer: Box::new(shop.commands.join()),
                parked: None,
                clock: shop.clock.clone(),
                faults: Faults::none(),
            };
            let mut config = WriterConfig::new(format!("writer-{number}"));
            config.parked_deadline = PARKED_DEADLINE;
            let world = Arc::clone(&shop.line.world);
            let task: Task = Box::pin(async move {
                // a writer that halts needs an operator, and no seed may need one
                if let Err(error) = writer::run(ports, config, CancellationToken::new()).await {
                    world.fail(format!("a writer halted: {error}"));
                }
            });
            vec![task]
        });
    }

    fn add_relay(&self, number: usize) {
        let shop = self.clone();
        self.add(format!("relay-{number}"), move || {
            vec![Box::pin(relay::run(
                shop.store.clone(),
                shop.events.clone(),
                shop.clock.clone(),
                format!("relay-{number}"),
                CancellationToken::new(),
            ))]
        });
    }

    fn add_process(&self, number: usize) {
        let shop = self.clone();
        self.add(format!("process-{number}"), move || {
            let provider = SimProvider {
                line: shop.line.clone(),
                inner: Arc::clone(&shop.provider),
                post: Arc::clone(&shop.post),
            };
            let ports = ProcessPorts {
                store: shop.store.clone(),
                log: shop.commands.clone(),
                gate: shop.gate.clone(),
                orders: shop.order_book(),
                board: shop.sales_board(),
                gateway: Arc::new(provider),
                rebuilder: Arc::new(Rebuilding(shop.rebuilder())),
                clock: shop.clock.clone(),
                faults: Faults::none(),
            };
            let mut config = ProcessConfig::new(format!("process-{number}"));
            config.payment_final = PAYMENT_FINAL;
            vec![Box::pin(process::run(ports, config, CancellationToken::new()))]
        });
    }

    fn add_stock_counter(&self) {
        let shop = self.clone();
        self.add("counter".to_owned(), move || {
            vec![Box::pin(stock_counter::run(
                shop.gate.clone(),
                shop.events.clone(),
                shop.store.clone(),
                shop.rebuilder(),
                shop.clock.clone(),
                Position::START,
                CancellationToken::new(),
            ))]
        });
    }

    fn add_read_models(&self) {
        let shop = self.clone();
        self.add("books".to_owned(), move || {
            let shop = shop.clone();
            let task: Task = Box::pin(async move {
                let orders = ReadModel::order_book(shop.order_book());
                let sales = ReadModel::sales_board(shop.sales_board());
                let token = CancellationToken::new();
                let (store, clock) = (shop.store.as_ref(), shop.clock.as_ref());
                by_position::run_all(&[&orders, &sales], store, clock, &token).await;
            });
            vec![task]
        });
    }

    fn add_node(&self, number: usize) -> Node {
        let shop = self.clone();
        let intake = Arc::new(Mutex::new(None));
        let (running, stopped) = (Arc::clone(&intake), Arc::clone(&intake));
        let signer = Arc::new(ReceiptSigner::from_seed(&[7; 32]));
        let start = move || {
            let (receipts, worker) = Receipts::new(Arc::clone(&signer), shop.accepted.clone());
            let models = SimReadModels {
                models: [
                    Arc::new(ReadModel::order_book(shop.order_book())),
                    Arc::new(ReadModel::sales_board(shop.sales_board())),
                ],
                clock: Arc::clone(&shop.clock),
            };
            let ports = IntakePorts {
                gate: shop.gate.clone(),
                log: shop.commands.clone(),
                accepted: shop.accepted.clone(),
                events: shop.store.clone(),
                rebuilder: Arc::new(Rebuilding(shop.rebuilder())),
                read_models: Arc::new(models),
                clock: shop.clock.clone(),
                ids: shop.ids.clone(),
                faults: Faults::none(),
            };
            let intake = Arc::new(Intake::new(ports, format!("node-{number}"), receipts));
            *running.lock() = Some(Arc::clone(&intake));
            let receipts: Task = Box::pin(worker.run(CancellationToken::new()));
            let demand: Task =
                Box::pin(async move { intake.tell_demand(&CancellationToken::new()).await });
            vec![receipts, demand]
        };
        let name = format!("node-{number}");
        let role = self.add_with(name, start, move || *stopped.lock() = None);
        Node { role, intake }
    }
}
