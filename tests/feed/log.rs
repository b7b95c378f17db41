//! A log written by hand: positions, chains and all.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::actor::{Actor, Role};
use domain::admission::Admission;
use domain::broadcast::BroadcastEvent;
use domain::envelope::{Metadata, Position, Recorded, Source};
use domain::event::{Event, StreamId};
use domain::fingerprint::{Fingerprint, PseudonymKey};
use domain::ids::{
    BroadcastId, CommandId, CorrelationId, EventId, OrderId, ProductId, SellerId, Sku, SpotlightId,
    StreamKey, ViewerId, ViewerRef,
};
use domain::line::{Line, Lines, PricedLine};
use domain::money::{Currency, Money};
use domain::offer::{Offer, Product, SkuTerms};
use domain::order::{Accepted, OrderEvent};
use domain::personal::Personal;
use domain::ports::{Clock, EventReader, PortError, StoredOutcome};
use domain::quantity::Quantity;
use domain::reservation::ReservationEvent;
use domain::spotlight::{Cause, SpotlightEvent, SpotlightTerms, Wait};
use parking_lot::Mutex;

use super::harness::RandomIds;
use super::stage::WallClock;
use domain::ports::Ids;

/// The log; clones share it.
#[derive(Clone)]
pub struct Log {
    events: Arc<Mutex<Vec<Recorded>>>,
    key: PseudonymKey,
}

pub fn seller() -> SellerId {
    SellerId::try_new("acme").unwrap()
}

fn won(minor: i64) -> Money {
    Money::new(minor, Currency::try_new("KRW").unwrap())
}

fn pink() -> Sku {
    Sku::try_new("pink").unwrap()
}

fn lines(units: u32) -> Lines {
    let quantity = Quantity::try_new(units).unwrap();
    Lines::try_new(vec![Line { sku: pink(), quantity }]).unwrap()
}

impl Log {
    pub fn new(key: PseudonymKey) -> Self {
        Self { events: Arc::default(), key }
    }

    pub fn head(&self) -> Position {
        self.events.lock().last().map_or(Position::START, |last| last.position)
    }

    pub fn after(&self, after: Position) -> Vec<Recorded> {
        let events = self.events.lock();
        events.iter().filter(|event| event.position > after).cloned().collect()
    }

    pub fn append(&self, key: StreamKey, stream: StreamId, event: Event) -> Position {
        let mut events = self.events.lock();
        let prev = events.iter().rev().find(|event| event.key == key);
        let prev = prev.map_or(Position::START, |event| event.position);
        let sequence = events.iter().filter(|event| event.stream == stream).count() + 1;
        let position = Position(u64::try_from(events.len()).unwrap() + 1);
        let now = WallClock.now();
        events.push(Recorded {
            position,
            prev,
            event_id: EventId(RandomIds.uuid()),
            stream,
            sequence: u64::try_from(sequence).unwrap(),
            key,
            recorded_at: now,
            event,
            metadata: Metadata {
                seller: seller(),
                command_id: CommandId(RandomIds.uuid()),
                correlation: CorrelationId(RandomIds.uuid()),
                causation: None,
                traceparent: None,
                actor: Actor { role: Role::System, subject: None },
                source: Source { topic: "t".to_owned(), partition: 0, offset: 0 },
                decided_at: now,
                followed_by: 0,
            },
        });
        position
    }

    /// Makes what was appended after `after` the events of one decision about one order.
    pub fn decided_together(&self, after: Position) {
        let mut events = self.events.lock();
        let told = events.iter_mut().filter(|event| event.position > after);
        for (event, followed_by) in told.rev().zip(0..) {
            event.metadata.followed_by = followed_by;
        }
    }

    /// A broadcast that is live.
    pub fn broadcast(&self) -> BroadcastId {
        let broadcast_id = BroadcastId(RandomIds.uuid());
        for event in [
            BroadcastEvent::BroadcastScheduled {
                broadcast_id,
                seller: seller(),
                title: "생방송".to_owned(),
                currency: Currency::try_new("KRW").unwrap(),
                starts_at: None,
            },
            BroadcastEvent::BroadcastStarted { broadcast_id, at: WallClock.now() },
        ] {
            let stream = StreamId::broadcast(broadcast_id);
            self.append(broadcast_id.into(), stream, Event::Broadcast(event));
        }
        broadcast_id
    }

    /// What a moderator did to a broadcast's chat.
    pub fn moderate(&self, broadcast_id: BroadcastId, event: BroadcastEvent) -> Position {
        let stream = StreamId::broadcast(broadcast_id);
        self.append(broadcast_id.into(), stream, Event::Broadcast(event))
    }

    /// The pseudonym of a viewer, and what names it.
    pub fn named(&self, viewer: &str, reason: &str) -> (ViewerRef, Personal) {
        let viewer = ViewerId::try_new(viewer).unwrap();
        let text = Some(reason.to_owned());
        let viewer_ref = self.key.viewer_ref(&seller(), &viewer);
        (viewer_ref, Personal { viewer: Some(viewer), text, ..Personal::default() })
    }

    /// A spotlight that is open, with so many units.
    pub fn spotlight(&self, broadcast_id: BroadcastId, limited_quantity: u32) -> SpotlightId {
        let spotlight_id = SpotlightId(RandomIds.uuid());
        let product = Product {
            id: ProductId::try_new("p").unwrap(),
            name: "Lip tint".to_owned(),
            image_url: None,
            original_price: won(30_000),
        };
        let terms = SpotlightTerms {
            spotlight_id,
            broadcast_id,
            seller: seller(),
            product,
            skus: vec![SkuTerms { sku: pink(), name: None, limited_quantity }],
            offer: Offer { version: 1, live_price: won(19_900), sku_prices: BTreeMap::new() },
            per_viewer_limit: None,
            hold_seconds: 600,
            abandoned_hold_seconds: None,
            opens_at: None,
            closes_at: None,
            personal: Personal::default(),
        };
        self.happen(spotlight_id, SpotlightEvent::SpotlightScheduled { terms: Box::new(terms) });
        let (at, cause) = (WallClock.now(), Cause::Host);
        self.happen(spotlight_id, SpotlightEvent::SpotlightOpened { spotlight_id, at, cause });
        spotlight_id
    }

    pub fn happen(&self, spotlight: SpotlightId, event: SpotlightEvent) -> Position {
        self.append(spotlight.into(), StreamId::spotlight(spotlight), Event::Spotlight(event))
    }

    /// An order of so many units: accepted, reserved, payment requested: three steps.
    pub fn order(
        &self,
        broadcast_id: BroadcastId,
        spotlight_id: SpotlightId,
        viewer: &str,
        units: u32,
    ) -> OrderId {
        let order_id = OrderId(RandomIds.uuid());
        let viewer = ViewerId::try_new(viewer).unwrap();
        let viewer_ref = self.key.viewer_ref(&seller(), &viewer);
        let now = WallClock.now();
        let total = won(19_900 * i64::from(units));
        let quantity = Quantity::try_new(units).unwrap();
        let accepted = Accepted {
            order_id,
            spotlight_id,
            broadcast_id,
            viewer_ref: viewer_ref.clone(),
            lines: vec![PricedLine { sku: pink(), quantity, unit_price: won(19_900) }],
            total,
            admission: Admission { epoch: 1, number: 1, at: now, offer_version: 1 },
            payment_method: Some("sim_ok".to_owned()),
            key_fingerprint: Fingerprint::of(b"key"),
            body_fingerprint: Fingerprint::of(b"body"),
            received_at: now,
            node: "n".to_owned(),
            accepted_at: now,
            personal: Personal { viewer: Some(viewer), ..Personal::default() },
        };
        self.step(spotlight_id, OrderEvent::OrderAccepted { accepted: Box::new(accepted) });
        let reserved = ReservationEvent::StockReserved {
            order_id,
            spotlight_id,
            viewer_ref,
            lines: lines(units),
            epoch: 1,
            admission_no: 1,
            deadline: now + TimeDelta::minutes(10),
        };
        let stream = StreamId::reservation(order_id);
        self.append(spotlight_id.into(), stream, Event::Reservation(reserved));
        let requested = OrderEvent::PaymentRequested {
            order_id,
            attempt: 1,
            provider: "simulated".to_owned(),
            method: "sim_ok".to_owned(),
            amount: total,
        };
        self.step(spotlight_id, requested);
        order_id
    }

    /// The order is paid: two steps.
    pub fn confirm(&self, spotlight_id: SpotlightId, order_id: OrderId, viewer: &str, units: u32) {
        self.step(spotlight_id, OrderEvent::OrderConfirmed { order_id });
        let viewer_ref = self.key.viewer_ref(&seller(), &ViewerId::try_new(viewer).unwrap());
        let lines = lines(units);
        let confirmed =
            ReservationEvent::ReservationConfirmed { order_id, spotlight_id, viewer_ref, lines };
        let stream = StreamId::reservation(order_id);
        self.append(spotlight_id.into(), stream, Event::Reservation(confirmed));
    }

    /// A viewer stands in line for so many units.
    pub fn waits(&self, spotlight_id: SpotlightId, viewer: &str, units: u32) {
        let viewer = ViewerId::try_new(viewer).unwrap();
        let wait = Wait {
            viewer_ref: self.key.viewer_ref(&seller(), &viewer),
            lines: lines(units),
            received_at: WallClock.now(),
            node: "n".to_owned(),
            personal: Personal { viewer: Some(viewer), ..Personal::default() },
        };
        let (entry, wait) = (RandomIds.uuid(), Box::new(wait));
        self.happen(spotlight_id, SpotlightEvent::WaitlistJoined { spotlight_id, entry, wait });
    }

    pub fn step(&self, spotlight: SpotlightId, event: OrderEvent) -> Position {
        let stream = StreamId::order(event.order_id());
        self.append(spotlight.into(), stream, Event::Order(event))
    }
}

#[async_trait]
impl EventReader for Log {
    async fn head(&self) -> Result<Position, PortError> {
        Ok(self.head())
    }
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, PortError> {
        Ok(self.after(after).into_iter().take(limit).collect())
    }
    async fn read_key(
        &self,
        key: StreamKey,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded>, PortError> {
        let events = self.after(after);
        Ok(events.into_iter().filter(|event| event.key == key).take(limit).collect())
    }
    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Recorded>, PortError> {
        let events = self.after(Position::START);
        Ok(events.into_iter().filter(|event| streams.contains(&event.stream)).collect())
    }
    async fn key_head(&self, key: StreamKey) -> Result<Position, PortError> {
        let events = self.events.lock();
        let last = events.iter().rev().find(|event| event.key == key);
        Ok(last.map_or(Position::START, |event| event.position))
    }
    async fn wait(&self, _: Position) {}
    async fn outcomes(
        &self,
        _: &[CommandId],
    ) -> Result<BTreeMap<CommandId, StoredOutcome>, PortError> {
        Ok(BTreeMap::new())
    }
}
