//! What a buyer asks for, and what comes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::Timestamp;
use domain::actor::{Actor, Role};
use domain::command::{Command, CommandRecord};
use domain::fingerprint::Fingerprint;
use domain::ids::{
    CommandId, CorrelationId, OrderId, SellerId, Sku, SpotlightId, ViewerId, ViewerRef,
};
use domain::line::Lines;
use domain::order::{OrderCommand, PaymentChoice, PlaceOrder};
use domain::personal::Personal;
use domain::ports::GateOffer;
use domain::views::AcceptedOrder;

/// An order as a buyer asks for it, parsed.
#[derive(Debug, Clone)]
pub struct OrderRequest {
    /// The token's seller.
    pub seller: SellerId,
    /// The token's subject.
    pub viewer: ViewerId,
    /// Their pseudonym.
    pub viewer_ref: ViewerRef,
    /// On which spotlight.
    pub spotlight: SpotlightId,
    /// The offer version that the buyer saw.
    pub offer_version: u32,
    /// What.
    pub lines: Lines,
    /// How it is paid; absent where it waits for that.
    pub payment: Option<PaymentChoice>,
    /// The idempotency key.
    pub key: String,
    /// The fingerprint of the body.
    pub fingerprint: Fingerprint,
    /// Who, and what the shop wrote on it.
    pub personal: Personal,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

impl OrderRequest {
    /// The order that the key names.
    pub fn order_id(&self) -> OrderId {
        OrderId::derive(&self.seller, &self.viewer, self.spotlight, &self.key)
    }

    /// The record for the command log, without the gate's admission.
    pub(super) fn into_record(
        self,
        order_id: OrderId,
        id: CommandId,
        node: &str,
        received_at: Timestamp,
    ) -> CommandRecord {
        let actor =
            Actor { role: Role::Viewer, subject: Some(self.viewer_ref.as_str().to_owned()) };
        let place = PlaceOrder {
            order_id,
            spotlight_id: self.spotlight,
            viewer_ref: self.viewer_ref,
            lines: self.lines,
            offer_version: self.offer_version,
            admission: None,
            payment: self.payment,
            key_fingerprint: Fingerprint::of(self.key.as_bytes()),
            body_fingerprint: self.fingerprint,
            received_at,
            node: node.to_owned(),
            void_after: None,
            personal: self.personal,
        };
        CommandRecord {
            command_id: id,
            seller: self.seller,
            key: self.spotlight.into(),
            correlation: CorrelationId(order_id.0),
            causation: None,
            traceparent: self.traceparent,
            actor,
            issued_at: received_at,
            command: Command::Order {
                command: OrderCommand::PlaceOrder { place: Box::new(place) },
            },
        }
    }
}

/// An order that was promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What was promised, with its receipt.
    pub order: AcceptedOrder,
    /// Whether it had been promised before, or decided.
    pub replayed: bool,
}

/// Why an order was not promised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceRefusal {
    /// No such spotlight of this seller.
    #[error("the spotlight does not exist")]
    NotFound,
    /// A line does not fit.
    #[error("the spotlight is sold out")]
    SoldOut {
        /// What remains.
        remaining: Arc<BTreeMap<Sku, i64>>,
    },
    /// A line names another SKU than the spotlight's.
    #[error("the spotlight has no SKU {sku}")]
    UnknownSku {
        /// Which.
        sku: Sku,
    },
    /// Not opened yet.
    #[error("the spotlight is not open yet")]
    NotOpen {
        /// When it is to open.
        opens_at: Option<Timestamp>,
    },
    /// Paused.
    #[error("the spotlight is paused")]
    Paused,
    /// Closed.
    #[error("the spotlight is closed")]
    Closed,
    /// The viewer would have too many units.
    #[error("the order would exceed the limit of {limit} units per viewer")]
    OverLimit {
        /// The limit.
        limit: u32,
        /// The viewer's order that holds units.
        open_order: Option<OrderId>,
    },
    /// The buyer saw another offer.
    #[error("the offer has changed")]
    OfferChanged {
        /// What is sold now.
        offer: Box<GateOffer>,
    },
    /// The key was used with another body.
    #[error("the idempotency key was used with another body")]
    KeyReused,
    /// The same key is being worked on.
    #[error("an order with the same key is in progress")]
    InFlight,
    /// The gate cannot answer; nothing was taken.
    #[error("the stock cannot be asked")]
    StockUnavailable,
    /// The command log is down; nothing was taken, or it was given back.
    #[error("the command log is not available")]
    LogUnavailable,
    /// The order may have been accepted; the same key asks again.
    #[error("it is not known whether the order was accepted")]
    OutcomeUnknown {
        /// The order.
        order: OrderId,
    },
}

impl PlaceRefusal {
    /// The stable code of the API.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::SoldOut { .. } => "sold_out",
            Self::UnknownSku { .. } => "unknown_sku",
            Self::NotOpen { .. } => "not_open",
            Self::Paused => "paused",
            Self::Closed => "closed",
            Self::OverLimit { .. } => "over_limit",
            Self::OfferChanged { .. } => "offer_changed",
            Self::KeyReused => "idempotency_key_reused",
            Self::InFlight => "idempotency_in_flight",
            Self::StockUnavailable | Self::LogUnavailable => "stock_unavailable",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
        }
    }
}
