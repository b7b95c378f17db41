//! What every handler may use.

use std::sync::Arc;

use commands::intake::Intake;
use domain::fingerprint::PseudonymKey;
use domain::ports::{
    AcceptedOrders, ChatLog, Clock, EventReader, Ids, OrderBook, ParkedBook, RoomBook, SalesBoard,
    StockGate, WebhookBook,
};
use projections::unmet_demand::UnmetDemand;
use projections::waitlist::WaitlistBook;
use tokio_util::task::TaskTracker;

use crate::audit::Audit;
use crate::auth::Auth;
use crate::extract::address::Proxies;
use crate::extract::rate::OrderRate;
use crate::ops::readiness::Readiness;
use crate::pages::PageSettings;
use crate::payments::ProviderWebhooks;
use crate::webhooks::{AddressRule, SecretKey};

/// The parts that an api process is made of.
pub struct App {
    /// The entrance of every command.
    pub intake: Arc<Intake>,
    /// Orders, as the log knows them.
    pub order_book: Arc<dyn OrderBook>,
    /// Broadcasts and spotlights, as the log knows them.
    pub sales_board: Arc<dyn SalesBoard>,
    /// What was asked for and refused.
    pub demand: UnmetDemand,
    /// Who waits for what is sold out.
    pub waitlist: WaitlistBook,
    /// This process's name, as it stands in what it accepts.
    pub node: String,
    /// The live stock.
    pub gate: Arc<dyn StockGate>,
    /// Orders that the log has not decided.
    pub accepted: Arc<dyn AcceptedOrders>,
    /// What was said in chats.
    pub chat_log: Arc<dyn ChatLog>,
    /// What rooms came to.
    pub room_book: Arc<dyn RoomBook>,
    /// Endpoints of webhooks and what was sent to them.
    pub webhooks: Arc<dyn WebhookBook>,
    /// Where webhooks may go.
    pub webhook_rule: AddressRule,
    /// What the secrets of webhooks follow from.
    pub webhook_key: SecretKey,
    /// The log itself.
    pub reader: Arc<dyn EventReader>,
    /// What auditors read.
    pub audit: Audit,
    /// Verifies tokens.
    pub auth: Arc<Auth>,
    /// Pseudonyms of viewers.
    pub pseudonyms: PseudonymKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// Whose word about a client's address counts.
    pub proxies: Proxies,
    /// The limits of orders per viewer and per address.
    pub order_rate: OrderRate,
    /// Work that outlives its client: from the take to the acknowledgement.
    pub tasks: TaskTracker,
    /// Commands that were put aside.
    pub parked: Arc<dyn ParkedBook>,
    /// What the payment provider tells.
    pub provider_webhooks: ProviderWebhooks,
    /// Whether this process should get requests.
    pub readiness: Arc<Readiness>,
    /// The public address of the sockets, such as `wss://live.example`; else the request's host.
    pub public_url: Option<String>,
    /// What the viewer page is told.
    pub page: PageSettings,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App(…)")
    }
}
