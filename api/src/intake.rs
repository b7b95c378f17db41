//! What the handlers ask of `commands`: an order placed, a command carried out.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::Timestamp;
use domain::actor::Actor;
use domain::command::Command;
use domain::ids::{CommandId, OrderId, SellerId, Sku, SpotlightId, StreamKey, ViewerId};
use domain::line::Lines;
use domain::offer::Offer;
use domain::order::PaymentChoice;
use domain::ports::PortError;
use domain::views::AcceptedOrder;
use serde_json::{Map, Value};

/// An order as a viewer asks for it, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRequest {
    /// Within which seller.
    pub seller: SellerId,
    /// By whom.
    pub viewer: ViewerId,
    /// Under which display name.
    pub name: Option<String>,
    /// Under which idempotency key.
    pub key: String,
    /// In which spotlight.
    pub spotlight: SpotlightId,
    /// The offer version that the buyer saw.
    pub offer_version: u32,
    /// What.
    pub lines: Lines,
    /// How the buyer pays; absent where the order waits for it.
    pub payment: Option<PaymentChoice>,
    /// The shop's reference.
    pub reference: Option<String>,
    /// The shop's own fields.
    pub metadata: Option<Map<String, Value>>,
    /// When the request arrived.
    pub received_at: Timestamp,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// What became of an order's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderAnswer {
    /// The log has it.
    Accepted {
        /// The order.
        accepted: Box<AcceptedOrder>,
        /// Whether it was accepted before this request.
        replayed: bool,
    },
    /// A line does not fit.
    SoldOut {
        /// What remains of each SKU.
        remaining: BTreeMap<Sku, i64>,
    },
    /// The spotlight has no such SKU.
    UnknownSku(Sku),
    /// Not opened yet.
    NotOpen {
        /// When it is to open.
        opens_at: Option<Timestamp>,
    },
    /// Paused by the host.
    Paused,
    /// Closed.
    Closed,
    /// The viewer would have more units than the limit.
    OverLimit {
        /// The limit.
        limit: u32,
        /// The viewer's order that holds units.
        open_order: Option<OrderId>,
    },
    /// Another offer version is sold.
    OfferChanged {
        /// The one that is sold.
        offer: Offer,
    },
    /// The key was used for another request.
    KeyReused,
    /// The same key is being processed.
    InFlight,
    /// No such spotlight of this seller.
    NotFound,
    /// Nothing was taken; ask again.
    StockUnavailable,
    /// Taken and not acknowledged; ask again with the same key.
    OutcomeUnknown {
        /// The order that it will be.
        order: OrderId,
    },
}

/// A command of a host, or to an order that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRequest {
    /// What a repeat is recognised by.
    pub command_id: CommandId,
    /// On whose behalf.
    pub seller: SellerId,
    /// The spotlight, else the broadcast.
    pub key: StreamKey,
    /// Who asks.
    pub actor: Actor,
    /// What.
    pub command: Command,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandAnswer {
    /// Decided; the gate and the read models show it.
    Done,
    /// A business *no*.
    Refused {
        /// The stable code.
        code: String,
        /// In words.
        detail: String,
        /// What remains of the SKU, where a reduction was refused.
        remaining: Option<i64>,
    },
    /// In the log and not decided, or not shown yet.
    Pending,
    /// Nothing was done; ask again.
    Unavailable,
}

/// Places orders.
#[async_trait]
pub trait Ordering: Send + Sync {
    /// Admission, durable acceptance, answer.
    ///
    /// # Errors
    /// Something it depends on cannot be reached; asking again with the same key is safe.
    async fn place(&self, request: OrderRequest) -> Result<OrderAnswer, PortError>;
}

/// Carries commands out.
#[async_trait]
pub trait Broadcasting: Send + Sync {
    /// Acts on the gate first where the command narrows, then on the log; answers when the gate
    /// and the read models show it (design rules 11 and 14).
    ///
    /// # Errors
    /// Something it depends on cannot be reached; asking again with the same id is safe.
    async fn submit(&self, request: CommandRequest) -> Result<CommandAnswer, PortError>;
}
