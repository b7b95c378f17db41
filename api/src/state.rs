//! What every handler may use.

use std::sync::Arc;

use commands::intake::Intake;
use domain::fingerprint::PseudonymKey;
use domain::ports::{AcceptedOrders, Clock, EventReader, Ids, OrderBook, SalesBoard, StockGate};
use tokio_util::task::TaskTracker;

use crate::auth::Auth;
use crate::extract::rate::OrderRate;
use crate::ops::readiness::Readiness;
use crate::payments::ProviderWebhooks;

/// The parts that an api process is made of.
pub struct App {
    /// The entrance of every command.
    pub intake: Arc<Intake>,
    /// Orders, as the log knows them.
    pub order_book: Arc<dyn OrderBook>,
    /// Broadcasts and spotlights, as the log knows them.
    pub sales_board: Arc<dyn SalesBoard>,
    /// The live stock.
    pub gate: Arc<dyn StockGate>,
    /// Orders that the log has not decided.
    pub accepted: Arc<dyn AcceptedOrders>,
    /// The log itself.
    pub reader: Arc<dyn EventReader>,
    /// Verifies tokens.
    pub auth: Arc<Auth>,
    /// Pseudonyms of viewers.
    pub pseudonyms: PseudonymKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// The limit of orders per viewer.
    pub order_rate: OrderRate,
    /// Work that outlives its client: from the take to the acknowledgement.
    pub tasks: TaskTracker,
    /// What the payment provider tells.
    pub webhooks: ProviderWebhooks,
    /// Whether this process should get requests.
    pub readiness: Arc<Readiness>,
    /// The public address of the sockets, such as `wss://live.example`; else the request's host.
    pub public_url: Option<String>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App(…)")
    }
}
