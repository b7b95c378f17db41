//! Events and batches to be stored.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::Timestamp;
use domain::actor::{Actor, Role};
use domain::envelope::{Metadata, NewEvent, Position, Source};
use domain::event::{Event, StreamId};
use domain::ids::{
    BroadcastId, CommandId, CorrelationId, EventId, OrderId, ProductId, SellerId, Sku, SpotlightId,
    StreamKey, ViewerRef,
};
use domain::line::{Line, Lines};
use domain::money::{Currency, Money};
use domain::offer::{Offer, Product, SkuTerms};
use domain::personal::Personal;
use domain::ports::{Batch, EventStore, Fence};
use domain::quantity::Quantity;
use domain::reservation::{ReleaseReason, ReservationEvent};
use domain::spotlight::{SpotlightEvent, SpotlightTerms};
use uuid::Uuid;

/// The topic of every command.
pub const TOPIC: &str = "onair.commands.v1";

/// An id that no other call returns.
pub fn uuid() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Uuid::from_u128(NEXT.fetch_add(1, Ordering::Relaxed).into())
}

/// A time as every store can keep it: to the microsecond.
pub fn time(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 123_456_000).expect("in range")
}

pub fn sku(name: &str) -> Sku {
    Sku::try_new(name).expect("valid")
}

pub fn viewer(name: &str) -> ViewerRef {
    ViewerRef::try_new(name).expect("valid")
}

pub fn source(partition: i32, offset: i64) -> Source {
    Source { topic: TOPIC.to_owned(), partition, offset }
}

fn metadata() -> Metadata {
    Metadata {
        seller: SellerId::try_new("acme").expect("valid"),
        command_id: CommandId(uuid()),
        correlation: CorrelationId(uuid()),
        causation: Some(EventId(uuid())),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        actor: Actor { role: Role::Viewer, subject: Some("af01".to_owned()) },
        source: source(0, 7),
        decided_at: time(1),
        followed_by: 0,
    }
}

fn event(stream: StreamId, sequence: u64, key: StreamKey, event: Event) -> NewEvent {
    NewEvent { event_id: EventId(uuid()), stream, sequence, key, event, metadata: metadata() }
}

/// A spotlight and what is said of it.
#[derive(Debug, Clone, Copy)]
pub struct Show(pub SpotlightId);

impl Show {
    pub fn new() -> Self {
        Self(SpotlightId(uuid()))
    }

    pub fn key(self) -> StreamKey {
        self.0.into()
    }

    /// Sequence 1: the spotlight with its stock.
    pub fn scheduled(self, skus: &[(&str, u32)]) -> NewEvent {
        let price = Money::new(19_900, Currency::try_new("KRW").expect("known"));
        let terms = SpotlightTerms {
            spotlight_id: self.0,
            broadcast_id: BroadcastId(uuid()),
            seller: SellerId::try_new("acme").expect("valid"),
            product: Product {
                id: ProductId::try_new("p-1").expect("valid"),
                name: "겨울 \"코트\"".to_owned(),
                image_url: None,
                original_price: price,
            },
            skus: skus
                .iter()
                .map(|(name, units)| SkuTerms {
                    sku: sku(name),
                    name: None,
                    limited_quantity: *units,
                })
                .collect(),
            offer: Offer { version: 1, live_price: price, sku_prices: [].into() },
            per_viewer_limit: None,
            hold_seconds: 600,
            abandoned_hold_seconds: None,
            opens_at: Some(time(5)),
            closes_at: None,
            personal: Personal::default(),
        };
        self.spotlight(1, SpotlightEvent::SpotlightScheduled { terms: Box::new(terms) })
    }

    /// A fact that moves no stock.
    pub fn noted(self, sequence: u64) -> NewEvent {
        self.spotlight(sequence, SpotlightEvent::GateReopened { spotlight_id: self.0, epoch: 1 })
    }

    pub fn adjusted(self, sequence: u64, name: &str, delta: i64) -> NewEvent {
        let event = SpotlightEvent::StockAdjusted {
            spotlight_id: self.0,
            sku: sku(name),
            delta,
            gate_entry: None,
            refund_of: None,
            personal: Personal::default(),
            kept: domain::spotlight::UnitsBySku::new(),
        };
        self.spotlight(sequence, event)
    }

    fn spotlight(self, sequence: u64, what: SpotlightEvent) -> NewEvent {
        event(StreamId::spotlight(self.0), sequence, self.key(), Event::Spotlight(what))
    }

    /// Sequence 1 of a reservation.
    pub fn reserved(self, order: OrderId, by: &str, name: &str, units: u32) -> NewEvent {
        let what = ReservationEvent::StockReserved {
            order_id: order,
            spotlight_id: self.0,
            viewer_ref: viewer(by),
            lines: lines(name, units),
            epoch: 1,
            admission_no: 1,
            deadline: time(600),
        };
        event(StreamId::reservation(order), 1, self.key(), Event::Reservation(what))
    }

    /// Sequence 2, sold.
    pub fn confirmed(self, order: OrderId, by: &str, name: &str, units: u32) -> NewEvent {
        let what = ReservationEvent::ReservationConfirmed {
            order_id: order,
            spotlight_id: self.0,
            viewer_ref: viewer(by),
            lines: lines(name, units),
        };
        event(StreamId::reservation(order), 2, self.key(), Event::Reservation(what))
    }

    /// Sequence 2, given back.
    pub fn released(self, order: OrderId, by: &str, name: &str, units: u32) -> NewEvent {
        let what = ReservationEvent::ReservationReleased {
            order_id: order,
            spotlight_id: self.0,
            viewer_ref: viewer(by),
            lines: lines(name, units),
            reason: ReleaseReason::HoldExpired,
            kept: domain::spotlight::UnitsBySku::new(),
        };
        event(StreamId::reservation(order), 2, self.key(), Event::Reservation(what))
    }
}

fn lines(name: &str, units: u32) -> Lines {
    let quantity = Quantity::try_new(units).expect("valid");
    Lines::try_new(vec![Line { sku: sku(name), quantity }]).expect("valid")
}

pub fn order() -> OrderId {
    OrderId(uuid())
}

/// A batch without a fence.
pub fn batch(events: impl IntoIterator<Item = NewEvent>) -> Batch {
    Batch { events: events.into_iter().collect(), ..Batch::default() }
}

pub async fn append(
    store: &dyn EventStore,
    events: impl IntoIterator<Item = NewEvent>,
) -> Position {
    store.append(&batch(events)).await.expect("commits")
}

pub fn fence(partition: i32, epoch: u64, first_offset: Option<i64>, next_offset: i64) -> Fence {
    Fence { topic: TOPIC.to_owned(), partition, epoch, first_offset, next_offset }
}
