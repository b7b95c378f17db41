//! Makes the recorded events of one spotlight, and what is asked of its gate.

mod line;

use std::sync::atomic::{AtomicU64, Ordering};

use domain::Timestamp;
use domain::actor::Actor;
use domain::admission::Admission;
use domain::envelope::{Metadata, Position, Recorded, Source};
use domain::event::{Event, StreamId};
use domain::fingerprint::Fingerprint;
use domain::ids::{
    BroadcastId, CommandId, CorrelationId, EventId, OrderId, ProductId, SellerId, Sku, SpotlightId,
    StreamKey, ViewerRef,
};
use domain::line::{Line, Lines, PricedLine};
use domain::money::Money;
use domain::offer::{Offer, Product, SkuTerms};
use domain::order::{Accepted, OrderEvent, OrderReason, Returned};
use domain::personal::Personal;
use domain::ports::{Narrow, Narrowing, Take};
use domain::quantity::Quantity;
use domain::reservation::{ReleaseReason, ReservationEvent};
use domain::spotlight::{
    Cause, SpotlightEvent, SpotlightTerms, UnitsBySku, VoidCause, Wait, WaitOutcome, units_of,
};
use domain::waitlist::OFFER_ADMISSION;
use uuid::Uuid;

pub fn time(seconds: i64) -> Timestamp {
    chrono::DateTime::from_timestamp(seconds, 0).expect("in range")
}

pub fn sku(name: &str) -> Sku {
    Sku::try_new(name).expect("valid")
}

pub fn lines(lines: &[(&str, u32)]) -> Lines {
    let line = |(name, units): &(&str, u32)| Line {
        sku: sku(name),
        quantity: Quantity::try_new(*units).expect("valid"),
    };
    Lines::try_new(lines.iter().map(line).collect()).expect("valid")
}

fn won(minor: i64) -> Money {
    serde_json::from_value(serde_json::json!({"minor": minor, "currency": "KRW"})).expect("valid")
}

pub fn viewer(name: &str) -> ViewerRef {
    ViewerRef::try_new(name).expect("valid")
}

pub fn seller() -> SellerId {
    SellerId::try_new("acme \"quoted\" 한국").expect("valid")
}

static IDS: AtomicU64 = AtomicU64::new(1);

/// An id that no other test has, in this run or another.
pub fn fresh() -> Uuid {
    static RUN: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let run = *RUN.get_or_init(rand::random);
    Uuid::from_u64_pair(run, IDS.fetch_add(1, Ordering::Relaxed))
}

pub fn order() -> OrderId {
    OrderId(fresh())
}

/// The log of one spotlight; positions have gaps, as those of one key among many have.
pub struct Story {
    pub spotlight: SpotlightId,
    pub broadcast: BroadcastId,
    pub version: u32,
    pub last: Position,
    pub events: Vec<Recorded>,
    pub closes_at: Option<Timestamp>,
    pub opens_at: Option<Timestamp>,
    pub per_viewer_limit: Option<u32>,
    /// What the next event that gives units up keeps for those who wait.
    pub keeps: UnitsBySku,
}

impl Story {
    pub fn new() -> Self {
        Self {
            spotlight: SpotlightId(fresh()),
            broadcast: BroadcastId(fresh()),
            version: 1,
            last: Position::START,
            events: vec![],
            closes_at: None,
            opens_at: None,
            per_viewer_limit: None,
            keeps: UnitsBySku::new(),
        }
    }

    pub fn limited(limit: u32) -> Self {
        Self { per_viewer_limit: Some(limit), ..Self::new() }
    }

    pub fn record(&mut self, stream: StreamId, event: Event, command: Uuid) -> Recorded {
        let position = Position(self.last.0 + 3);
        let recorded = Recorded {
            position,
            prev: self.last,
            event_id: EventId(fresh()),
            stream,
            sequence: 1,
            key: StreamKey::from(self.spotlight),
            recorded_at: time(1_700_000_000),
            event,
            metadata: Metadata {
                seller: seller(),
                command_id: CommandId(command),
                correlation: CorrelationId(fresh()),
                causation: None,
                traceparent: None,
                actor: Actor::system(),
                source: Source { topic: "t".to_owned(), partition: 0, offset: 0 },
                decided_at: time(1_700_000_000),
                followed_by: 0,
            },
        };
        self.last = position;
        self.events.push(recorded.clone());
        recorded
    }

    pub fn on_spotlight(&mut self, event: SpotlightEvent, command: Uuid) -> Recorded {
        self.record(StreamId::spotlight(self.spotlight), Event::Spotlight(event), command)
    }

    pub fn scheduled(&mut self, skus: &[(&str, u32)]) -> Recorded {
        let terms = SpotlightTerms {
            spotlight_id: self.spotlight,
            broadcast_id: self.broadcast,
            seller: seller(),
            product: Product {
                id: ProductId::try_new("lamp").expect("valid"),
                name: "Lamp".to_owned(),
                image_url: None,
                original_price: won(30_000),
            },
            skus: skus
                .iter()
                .map(|(name, units)| SkuTerms {
                    sku: sku(name),
                    name: None,
                    limited_quantity: *units,
                })
                .collect(),
            offer: self.offer(),
            per_viewer_limit: self.per_viewer_limit,
            hold_seconds: 600,
            abandoned_hold_seconds: None,
            opens_at: self.opens_at,
            closes_at: self.closes_at,
            personal: Personal::default(),
        };
        self.on_spotlight(SpotlightEvent::SpotlightScheduled { terms: Box::new(terms) }, fresh())
    }

    pub fn offer(&self) -> Offer {
        let price = 20_000 - i64::from(self.version);
        Offer { version: self.version, live_price: won(price), sku_prices: [].into() }
    }

    pub fn opened(&mut self) -> Recorded {
        let spotlight_id = self.spotlight;
        let (at, cause) = (time(0), Cause::Host);
        self.on_spotlight(SpotlightEvent::SpotlightOpened { spotlight_id, at, cause }, fresh())
    }

    /// Scheduled and opened.
    pub fn open(&mut self, skus: &[(&str, u32)]) -> Vec<Recorded> {
        vec![self.scheduled(skus), self.opened()]
    }

    pub fn paused(&mut self, command: Uuid) -> Recorded {
        let (spotlight_id, at, personal) = (self.spotlight, time(0), Personal::default());
        self.on_spotlight(SpotlightEvent::SpotlightPaused { spotlight_id, at, personal }, command)
    }

    pub fn resumed(&mut self) -> Recorded {
        let (spotlight_id, at, personal) = (self.spotlight, time(0), Personal::default());
        self.on_spotlight(SpotlightEvent::SpotlightResumed { spotlight_id, at, personal }, fresh())
    }

    pub fn closed(&mut self, command: Uuid) -> Recorded {
        let event = SpotlightEvent::SpotlightClosed {
            spotlight_id: self.spotlight,
            at: time(0),
            cause: Cause::Host,
            personal: Personal::default(),
        };
        self.on_spotlight(event, command)
    }

    pub fn repriced(&mut self, command: Uuid) -> Recorded {
        self.version += 1;
        let event = SpotlightEvent::OfferChanged {
            spotlight_id: self.spotlight,
            offer: self.offer(),
            personal: Personal::default(),
        };
        self.on_spotlight(event, command)
    }

    pub fn adjusted(&mut self, name: &str, delta: i64, gate_entry: Option<Uuid>) -> Recorded {
        let event = SpotlightEvent::StockAdjusted {
            spotlight_id: self.spotlight,
            sku: sku(name),
            delta,
            gate_entry,
            refund_of: None,
            personal: Personal::default(),
            kept: std::mem::take(&mut self.keeps),
        };
        self.on_spotlight(event, gate_entry.unwrap_or_else(fresh))
    }

    pub fn reopened(&mut self, epoch: u64) -> Recorded {
        self.reopened_by(epoch, fresh())
    }

    pub fn reopened_by(&mut self, epoch: u64, command: Uuid) -> Recorded {
        let spotlight_id = self.spotlight;
        self.on_spotlight(SpotlightEvent::GateReopened { spotlight_id, epoch }, command)
    }

    pub fn voided(&mut self, entry: Uuid, admission: Admission, cause: VoidCause) -> Recorded {
        let event = SpotlightEvent::AdmissionVoided {
            spotlight_id: self.spotlight,
            entry,
            epoch: admission.epoch,
            admission_no: admission.number,
            cause,
            kept: std::mem::take(&mut self.keeps),
        };
        self.on_spotlight(event, fresh())
    }

    pub fn accepted(&mut self, take: &Take, admission: Admission) -> Recorded {
        let price = self.offer().live_price;
        let lines = take.lines.iter().map(|line| PricedLine {
            sku: line.sku.clone(),
            quantity: line.quantity,
            unit_price: price,
        });
        let accepted = Accepted {
            order_id: take.order,
            spotlight_id: self.spotlight,
            broadcast_id: self.broadcast,
            viewer_ref: take.viewer.clone(),
            lines: lines.collect(),
            total: price,
            admission,
            payment_method: None,
            key_fingerprint: Fingerprint::of(b"key"),
            body_fingerprint: take.fingerprint.clone(),
            received_at: time(0),
            node: "n".to_owned(),
            accepted_at: time(0),
            personal: Personal::default(),
        };
        let event = Event::Order(OrderEvent::OrderAccepted { accepted: Box::new(accepted) });
        self.record(StreamId::order(take.order), event, fresh())
    }

    pub fn held(&mut self, take: &Take, admission: Admission) -> Recorded {
        let event = ReservationEvent::StockReserved {
            order_id: take.order,
            spotlight_id: self.spotlight,
            viewer_ref: take.viewer.clone(),
            lines: take.lines.clone(),
            epoch: admission.epoch,
            admission_no: admission.number,
            deadline: time(1_800_000_000 + i64::try_from(self.last.0).expect("small")),
        };
        self.record(StreamId::reservation(take.order), Event::Reservation(event), fresh())
    }

    /// Accepted and held, as one decision writes them.
    pub fn reserved(&mut self, take: &Take, admission: Admission) -> Vec<Recorded> {
        vec![self.accepted(take, admission), self.held(take, admission)]
    }

    pub fn confirmed(&mut self, take: &Take) -> Recorded {
        let event = ReservationEvent::ReservationConfirmed {
            order_id: take.order,
            spotlight_id: self.spotlight,
            viewer_ref: take.viewer.clone(),
            lines: take.lines.clone(),
        };
        self.record(StreamId::reservation(take.order), Event::Reservation(event), fresh())
    }

    pub fn released(&mut self, take: &Take) -> Recorded {
        let event = ReservationEvent::ReservationReleased {
            order_id: take.order,
            spotlight_id: self.spotlight,
            viewer_ref: take.viewer.clone(),
            lines: take.lines.clone(),
            reason: ReleaseReason::HoldExpired,
            kept: std::mem::take(&mut self.keeps),
        };
        self.record(StreamId::reservation(take.order), Event::Reservation(event), fresh())
    }

    /// Units of a sale that the host gives back.
    pub fn given_back(&mut self, take: &Take, back: &[(&str, u32)]) -> Recorded {
        let event = OrderEvent::RefundRequested {
            order_id: take.order,
            attempt: 1,
            amount: won(1),
            reason: OrderReason::RefundedByHost,
            returned: Some(Box::new(Returned {
                spotlight_id: self.spotlight,
                viewer_ref: take.viewer.clone(),
                lines: lines(back),
                restock: false,
            })),
            personal: Personal::default(),
        };
        self.record(StreamId::order(take.order), Event::Order(event), fresh())
    }

    /// An order of a viewer of its own.
    pub fn take(&self, wanted: &[(&str, u32)]) -> Take {
        let order = order();
        let viewer = viewer(&order.0.simple().to_string());
        self.take_by(order, viewer, wanted)
    }

    pub fn take_by(&self, order: OrderId, viewer: ViewerRef, wanted: &[(&str, u32)]) -> Take {
        Take {
            spotlight: self.spotlight,
            seller: seller(),
            order,
            viewer,
            lines: lines(wanted),
            offer_version: self.version,
            fingerprint: Fingerprint::of(format!("{wanted:?}").as_bytes()),
            again: false,
            command: format!(r#"{{"order":"{order}"}}"#),
        }
    }

    pub fn narrow(&self, narrowing: Narrowing) -> Narrow {
        let entry = fresh();
        Narrow {
            spotlight: self.spotlight,
            seller: seller(),
            entry,
            narrowing,
            command: format!(r#"{{"entry":"{entry}"}}"#),
        }
    }
}
