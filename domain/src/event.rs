//! The union of events and the streams that hold them.

use std::fmt;
use std::str::FromStr;

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::broadcast::BroadcastEvent;
use crate::ids::{BroadcastId, OrderId, SpotlightId};
use crate::order::OrderEvent;
use crate::reservation::ReservationEvent;
use crate::spotlight::SpotlightEvent;

/// Every event type with the kind of its stream and the version that is written today.
pub const EVENT_TYPES: &[(StreamKind, &str, &str)] = &[
    (StreamKind::Broadcast, "BroadcastScheduled", "1"),
    (StreamKind::Broadcast, "BroadcastStarted", "1"),
    (StreamKind::Broadcast, "BroadcastEnded", "1"),
    (StreamKind::Broadcast, "ChatAnnounced", "1"),
    (StreamKind::Broadcast, "ChatPinned", "1"),
    (StreamKind::Broadcast, "ChatUnpinned", "1"),
    (StreamKind::Broadcast, "ChatFrozen", "1"),
    (StreamKind::Broadcast, "ChatThawed", "1"),
    (StreamKind::Broadcast, "ChatSlowed", "1"),
    (StreamKind::Broadcast, "ChatMessageRemoved", "1"),
    (StreamKind::Broadcast, "ViewerMuted", "1"),
    (StreamKind::Broadcast, "ViewerBanned", "1"),
    (StreamKind::Broadcast, "ViewerPardoned", "1"),
    (StreamKind::Broadcast, "WordsBanned", "1"),
    (StreamKind::Spotlight, "SpotlightScheduled", "1"),
    (StreamKind::Spotlight, "SpotlightOpened", "1"),
    (StreamKind::Spotlight, "SpotlightPaused", "1"),
    (StreamKind::Spotlight, "SpotlightResumed", "1"),
    (StreamKind::Spotlight, "StockAdjusted", "1"),
    (StreamKind::Spotlight, "OfferChanged", "1"),
    (StreamKind::Spotlight, "OfferWithdrawn", "1"),
    (StreamKind::Spotlight, "WithdrawalProgressed", "1"),
    (StreamKind::Spotlight, "GateReopened", "1"),
    (StreamKind::Spotlight, "AdmissionVoided", "1"),
    (StreamKind::Spotlight, "SpotlightClosed", "1"),
    (StreamKind::Spotlight, "DemandObserved", "1"),
    (StreamKind::Spotlight, "WaitlistJoined", "1"),
    (StreamKind::Spotlight, "WaitlistOffered", "1"),
    (StreamKind::Spotlight, "WaitlistEnded", "1"),
    (StreamKind::Spotlight, "UnitsCarried", "1"),
    (StreamKind::Spotlight, "UnitsFreed", "1"),
    (StreamKind::Spotlight, "HoldAbandoned", "1"),
    (StreamKind::Reservation, "StockReserved", "1"),
    (StreamKind::Reservation, "ReservationConfirmed", "1"),
    (StreamKind::Reservation, "ReservationReleased", "1"),
    (StreamKind::Order, "OrderAccepted", "1"),
    (StreamKind::Order, "PaymentRequested", "1"),
    (StreamKind::Order, "PaymentActionRequired", "1"),
    (StreamKind::Order, "PaymentAuthorized", "1"),
    (StreamKind::Order, "PaymentCaptured", "1"),
    (StreamKind::Order, "PaymentDeclined", "1"),
    (StreamKind::Order, "PaymentUnknown", "1"),
    (StreamKind::Order, "CaptureFailed", "1"),
    (StreamKind::Order, "PaymentVoided", "1"),
    (StreamKind::Order, "OrderConfirmed", "1"),
    (StreamKind::Order, "OrderFailed", "1"),
    (StreamKind::Order, "OrderCancelled", "1"),
    (StreamKind::Order, "RefundRequested", "1"),
    (StreamKind::Order, "OrderRefunded", "1"),
];

/// Any event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Of a broadcast.
    Broadcast(BroadcastEvent),
    /// Of a spotlight.
    Spotlight(SpotlightEvent),
    /// Of a reservation.
    Reservation(ReservationEvent),
    /// Of an order.
    Order(OrderEvent),
}

impl Event {
    /// The event's type, such as `OrderAccepted`.
    pub fn event_type(&self) -> String {
        match self {
            Self::Broadcast(event) => event.event_type(),
            Self::Spotlight(event) => event.event_type(),
            Self::Reservation(event) => event.event_type(),
            Self::Order(event) => event.event_type(),
        }
    }

    /// The order that it tells about: its own events, and those of its reservation.
    pub fn order(&self) -> Option<OrderId> {
        match self {
            Self::Order(event) => Some(event.order_id()),
            Self::Reservation(event) => Some(event.order_id()),
            Self::Broadcast(_) | Self::Spotlight(_) => None,
        }
    }

    /// The version of the event's schema.
    pub fn event_version(&self) -> String {
        match self {
            Self::Broadcast(event) => event.event_version(),
            Self::Spotlight(event) => event.event_version(),
            Self::Reservation(event) => event.event_version(),
            Self::Order(event) => event.event_version(),
        }
    }

    /// The stored payload: `{"OrderAccepted": {…}}`, as postgres-es writes it.
    ///
    /// # Errors
    /// A value that JSON cannot hold; no event has one.
    pub fn to_payload(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Broadcast(event) => serde_json::to_string(event),
            Self::Spotlight(event) => serde_json::to_string(event),
            Self::Reservation(event) => serde_json::to_string(event),
            Self::Order(event) => serde_json::to_string(event),
        }
    }

    /// Decodes a payload of the current version; older ones go through [`crate::upcast`].
    ///
    /// # Errors
    /// A payload that does not fit the stream's kind.
    pub fn from_payload(kind: StreamKind, payload: &str) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            StreamKind::Broadcast => Self::Broadcast(serde_json::from_str(payload)?),
            StreamKind::Spotlight => Self::Spotlight(serde_json::from_str(payload)?),
            StreamKind::Reservation => Self::Reservation(serde_json::from_str(payload)?),
            StreamKind::Order => Self::Order(serde_json::from_str(payload)?),
        })
    }
}

/// The kinds of streams; the name is the aggregate type of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// A broadcast's.
    Broadcast,
    /// A spotlight's.
    Spotlight,
    /// A reservation's.
    Reservation,
    /// An order's.
    Order,
}

impl StreamKind {
    /// The aggregate type in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Spotlight => "spotlight",
            Self::Reservation => "reservation",
            Self::Order => "order",
        }
    }
}

/// A stream kind that the store should not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of stream")]
pub struct UnknownStreamKind(pub String);

impl FromStr for StreamKind {
    type Err = UnknownStreamKind;
    fn from_str(text: &str) -> Result<Self, UnknownStreamKind> {
        Ok(match text {
            "broadcast" => Self::Broadcast,
            "spotlight" => Self::Spotlight,
            "reservation" => Self::Reservation,
            "order" => Self::Order,
            _ => return Err(UnknownStreamKind(text.to_owned())),
        })
    }
}

/// What the id of an order's second reservation ends with.
const AGAIN: &str = "-2";

/// One stream: its kind and the aggregate's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId {
    /// The aggregate type.
    pub kind: StreamKind,
    /// The aggregate id.
    pub id: String,
}

impl StreamId {
    /// A broadcast's stream.
    pub fn broadcast(id: BroadcastId) -> Self {
        Self { kind: StreamKind::Broadcast, id: id.to_string() }
    }

    /// A spotlight's stream.
    pub fn spotlight(id: SpotlightId) -> Self {
        Self { kind: StreamKind::Spotlight, id: id.to_string() }
    }

    /// An order's stream.
    pub fn order(id: OrderId) -> Self {
        Self { kind: StreamKind::Order, id: id.to_string() }
    }

    /// The stream of an order's reservation.
    pub fn reservation(id: OrderId) -> Self {
        Self { kind: StreamKind::Reservation, id: id.to_string() }
    }

    /// The stream of an order's second reservation: its payment came after the hold (design rule
    /// 3).
    pub fn reservation_again(id: OrderId) -> Self {
        Self { kind: StreamKind::Reservation, id: format!("{id}{AGAIN}") }
    }

    /// Every stream that tells of an order.
    pub fn of_order(id: OrderId) -> [Self; 3] {
        [Self::order(id), Self::reservation(id), Self::reservation_again(id)]
    }

    /// Whether it is an order's second reservation.
    pub fn is_again(&self) -> bool {
        self.kind == StreamKind::Reservation && self.id.ends_with(AGAIN)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind.as_str(), self.id)
    }
}
