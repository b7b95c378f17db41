//! Stories: commands that are decided as the writer decides them, and the log that comes of it.
#![expect(clippy::indexing_slicing, reason = "tests panic")]

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta};
use domain::Timestamp;
use domain::actor::{Actor, Role};
use domain::admission::Admission;
use domain::broadcast::BroadcastCommand;
use domain::command::{Command, CommandRecord};
use domain::decision::{Refusal, decide};
use domain::desk::Desk;
use domain::envelope::{Metadata, Position, Recorded, Source};
use domain::event::{Event, StreamId};
use domain::fingerprint::{Fingerprint, PseudonymKey};
use domain::ids::{
    BroadcastId, CommandId, CorrelationId, EventId, OrderId, ProductId, SellerId, Sku, SpotlightId,
    StreamKey, ViewerId, ViewerRef,
};
use domain::line::{Line, Lines};
use domain::money::{Currency, Money};
use domain::offer::{Offer, Product, SkuTerms};
use domain::order::{OrderCommand, PaymentChoice, PlaceOrder};
use domain::payment::PaymentResult;
use domain::personal::Personal;
use domain::quantity::Quantity;
use domain::spotlight::{SpotlightCommand, SpotlightTerms};
use uuid::Uuid;

/// The price of one unit in every story, in won.
pub const PRICE_MINOR: i64 = 19_900;
/// The hold of a reservation in every story, in seconds.
pub const HOLD_SECONDS: u32 = 600;

/// A log in the making: commands are decided through a [`Desk`] per key; their events get dense
/// positions, `prev` and sequences as a store gives them.
pub struct Story {
    /// Whose broadcasts these are.
    pub seller: SellerId,
    /// The writer's time of the next decision.
    pub now: Timestamp,
    desks: BTreeMap<StreamKey, Desk>,
    heads: BTreeMap<StreamKey, Position>,
    keys: BTreeMap<OrderId, StreamKey>,
    log: Vec<Recorded>,
    ids: u128,
}

impl Story {
    /// An empty log of the seller `acme`, at a fixed time.
    pub fn new() -> Self {
        Self::of("acme")
    }

    /// An empty log of a seller.
    pub fn of(seller: &str) -> Self {
        Self {
            seller: SellerId::try_new(seller).unwrap(),
            now: DateTime::from_timestamp_micros(1_790_000_000_123_456).unwrap(),
            desks: BTreeMap::new(),
            heads: BTreeMap::new(),
            keys: BTreeMap::new(),
            log: vec![],
            ids: 0,
        }
    }

    /// Every event so far.
    pub fn log(&self) -> &[Recorded] {
        &self.log
    }

    /// The last position.
    pub fn head(&self) -> Position {
        self.log.last().map_or(Position::START, |recorded| recorded.position)
    }

    /// The state of a key.
    pub fn desk(&self, key: impl Into<StreamKey>) -> &Desk {
        &self.desks[&key.into()]
    }

    /// Every order so far, by id.
    pub fn orders(&self) -> BTreeSet<OrderId> {
        self.keys.keys().copied().collect()
    }

    /// Lets time pass.
    pub fn pass(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
    }

    /// A new id; the same story gives the same ids.
    pub fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + self.ids)
    }

    /// A viewer's pseudonym.
    pub fn viewer_ref(&self, viewer: &str) -> ViewerRef {
        let key = PseudonymKey::from_secret(b"story");
        key.viewer_ref(&self.seller, &ViewerId::try_new(viewer).unwrap())
    }

    /// Decides a command and records what comes of it; a refusal may record events too.
    pub fn send_as(
        &mut self,
        actor: Actor,
        key: StreamKey,
        command: Command,
    ) -> Result<Vec<Recorded>, Refusal> {
        let record = CommandRecord {
            command_id: CommandId(self.id()),
            seller: self.seller.clone(),
            key,
            correlation: CorrelationId(Uuid::from_u128(1)),
            causation: None,
            traceparent: None,
            actor,
            issued_at: self.now,
            command,
        };
        let decision = decide(self.desks.entry(key).or_default(), &record, self.now);
        let new = decision.events.into_iter().enumerate().map(|(index, (stream, event))| {
            let id = EventId::derive(record.command_id, index);
            self.append(&record, id, stream, event)
        });
        let new: Vec<Recorded> = new.collect();
        decision.refusal.map_or(Ok(new), Err)
    }

    /// Decides a command of onair itself.
    pub fn send(&mut self, key: StreamKey, command: Command) -> Result<Vec<Recorded>, Refusal> {
        self.send_as(Actor::system(), key, command)
    }

    /// Records an event that no command of today leads to.
    pub fn record(&mut self, key: StreamKey, stream: StreamId, event: Event) -> Recorded {
        let record = CommandRecord {
            command_id: CommandId(self.id()),
            seller: self.seller.clone(),
            key,
            correlation: CorrelationId(Uuid::from_u128(1)),
            causation: None,
            traceparent: None,
            actor: Actor::system(),
            issued_at: self.now,
            command: Command::Broadcast { command: BroadcastCommand::StartBroadcast },
        };
        let id = EventId::derive(record.command_id, 0);
        self.append(&record, id, stream, event)
    }

    fn append(
        &mut self,
        record: &CommandRecord,
        event_id: EventId,
        stream: StreamId,
        event: Event,
    ) -> Recorded {
        let key = record.key;
        let position = Position(self.head().0 + 1);
        let desk = self.desks.entry(key).or_default();
        desk.apply(&stream, &event);
        let recorded = Recorded {
            position,
            prev: self.heads.insert(key, position).unwrap_or(Position::START),
            event_id,
            sequence: desk.sequence(&stream),
            stream,
            key,
            recorded_at: self.now,
            event,
            metadata: Metadata {
                seller: self.seller.clone(),
                command_id: record.command_id,
                correlation: record.correlation,
                causation: None,
                traceparent: None,
                actor: record.actor.clone(),
                source: Source {
                    topic: "story".to_owned(),
                    partition: 0,
                    offset: i64::try_from(position.0).unwrap(),
                },
                decided_at: self.now,
                followed_by: 0,
            },
        };
        self.log.push(recorded.clone());
        recorded
    }

    /// Announces a broadcast.
    pub fn broadcast(&mut self, title: &str) -> BroadcastId {
        let broadcast_id = BroadcastId(self.id());
        self.broadcast_does(
            broadcast_id,
            BroadcastCommand::ScheduleBroadcast {
                broadcast_id,
                title: title.to_owned(),
                currency: won(0).currency,
                starts_at: None,
            },
        );
        broadcast_id
    }

    /// A command to a broadcast, which must not be refused.
    pub fn broadcast_does(&mut self, id: BroadcastId, command: BroadcastCommand) {
        self.send(id.into(), Command::Broadcast { command }).expect("the broadcast agrees");
    }

    /// A broadcast that is live.
    pub fn live(&mut self, title: &str) -> BroadcastId {
        let id = self.broadcast(title);
        self.broadcast_does(id, BroadcastCommand::StartBroadcast);
        id
    }

    /// Ends a broadcast.
    pub fn end(&mut self, id: BroadcastId) {
        self.broadcast_does(id, BroadcastCommand::EndBroadcast { reason: None });
    }

    /// Terms of a new spotlight with units of each SKU.
    pub fn terms(&mut self, broadcast_id: BroadcastId, skus: &[(&str, u32)]) -> SpotlightTerms {
        SpotlightTerms {
            spotlight_id: SpotlightId(self.id()),
            broadcast_id,
            seller: self.seller.clone(),
            product: Product {
                id: ProductId::try_new("p-1").unwrap(),
                name: "Serum".to_owned(),
                image_url: None,
                original_price: won(39_000),
            },
            skus: skus
                .iter()
                .map(|(name, units)| SkuTerms {
                    sku: sku(name),
                    name: None,
                    limited_quantity: *units,
                })
                .collect(),
            offer: Offer { version: 1, live_price: won(PRICE_MINOR), sku_prices: BTreeMap::new() },
            per_viewer_limit: None,
            hold_seconds: HOLD_SECONDS,
            abandoned_hold_seconds: None,
            opens_at: None,
            closes_at: None,
            personal: Personal::default(),
        }
    }

    /// Prepares a spotlight.
    pub fn schedule(&mut self, terms: SpotlightTerms, open_now: bool) -> SpotlightId {
        let id = terms.spotlight_id;
        let terms = Box::new(terms);
        self.spotlight_does(id, SpotlightCommand::ScheduleSpotlight { terms, open_now });
        id
    }

    /// An open spotlight.
    pub fn spotlight(&mut self, broadcast: BroadcastId, skus: &[(&str, u32)]) -> SpotlightId {
        let terms = self.terms(broadcast, skus);
        self.schedule(terms, true)
    }

    /// A command to a spotlight, which must not be refused.
    pub fn spotlight_does(&mut self, id: SpotlightId, command: SpotlightCommand) {
        self.send(id.into(), Command::Spotlight { command }).expect("the spotlight agrees");
    }

    /// An order as the gate admits it, paid by `sim_ok`.
    pub fn order(
        &mut self,
        spotlight_id: SpotlightId,
        viewer: &str,
        lines: &[(&str, u32)],
    ) -> PlaceOrder {
        let id = self.id();
        let viewer_id = ViewerId::try_new(viewer).unwrap();
        let key = id.to_string();
        PlaceOrder {
            order_id: OrderId::derive(&self.seller, &viewer_id, spotlight_id, &key),
            spotlight_id,
            viewer_ref: self.viewer_ref(viewer),
            lines: Lines::try_new(lines.iter().map(|(name, units)| line(name, *units)).collect())
                .unwrap(),
            offer_version: 1,
            admission: Some(Admission {
                epoch: 1,
                number: u64::try_from(self.ids).unwrap(),
                at: self.now,
                offer_version: 1,
            }),
            payment: Some(PaymentChoice {
                provider: "simulated".to_owned(),
                method: "sim_ok".to_owned(),
            }),
            key_fingerprint: Fingerprint::of(key.as_bytes()),
            body_fingerprint: Fingerprint::of(b"body"),
            received_at: self.now,
            node: "n1".to_owned(),
            void_after: None,
            personal: Personal { viewer: Some(viewer_id), ..Personal::default() },
        }
    }

    /// Decides an order's placing; it may fail there, but is not refused.
    pub fn place_order(&mut self, place: PlaceOrder) -> OrderId {
        let (order_id, key) = (place.order_id, place.spotlight_id.into());
        self.keys.insert(order_id, key);
        let command = OrderCommand::PlaceOrder { place: Box::new(place) };
        self.send(key, Command::Order { command }).expect("the order agrees");
        order_id
    }

    /// Places an order, paid by `sim_ok`.
    pub fn place(
        &mut self,
        spotlight: SpotlightId,
        viewer: &str,
        lines: &[(&str, u32)],
    ) -> OrderId {
        let place = self.order(spotlight, viewer, lines);
        self.place_order(place)
    }

    /// The key of an order that was placed here.
    pub fn key_of(&self, order: OrderId) -> StreamKey {
        self.keys[&order]
    }

    /// A command to an order.
    pub fn order_does(&mut self, order: OrderId, command: OrderCommand) -> Result<(), Refusal> {
        self.send(self.key_of(order), Command::Order { command }).map(|_| ())
    }

    /// What a provider answered to the order's last payment attempt, or to its last refund.
    pub fn answer(&mut self, order_id: OrderId, result: PaymentResult) {
        let order = &self.desk(self.key_of(order_id)).orders[&order_id].order;
        let is_refund = matches!(result, PaymentResult::Refunded { .. });
        let attempt = if is_refund { order.refund_attempt } else { order.attempt };
        let command = OrderCommand::RecordPayment { order_id, attempt, result };
        self.order_does(order_id, command).expect("the order agrees");
    }

    /// What an order costs.
    pub fn total(&self, order: OrderId) -> Money {
        self.desk(self.key_of(order)).orders[&order].order.accepted.as_ref().unwrap().total
    }

    /// The provider captures the order's amount.
    pub fn capture(&mut self, order: OrderId) {
        let amount = self.total(order);
        self.answer(order, PaymentResult::Captured { amount });
    }

    /// The provider sets the order's amount aside.
    pub fn authorize(&mut self, order: OrderId) {
        let amount = self.total(order);
        self.answer(order, PaymentResult::Authorized { amount, reference: None });
    }

    /// A sweeper proposes the end of the hold.
    pub fn expire(&mut self, order_id: OrderId) {
        self.order_does(order_id, OrderCommand::ExpireHold { order_id }).expect("the hold is over");
    }

    /// Somebody calls the order off.
    pub fn turn_away(&mut self, order_id: OrderId) {
        self.order_does(order_id, OrderCommand::TurnAway { order_id }).unwrap();
    }

    pub fn cancel(&mut self, order_id: OrderId, role: Role) -> Result<(), Refusal> {
        let key = self.key_of(order_id);
        let order = &self.desk(key).orders[&order_id].order;
        let subject = order.accepted.as_ref().unwrap().viewer_ref.to_string();
        let command = OrderCommand::CancelOrder { order_id, reason: None };
        let actor = Actor { role, subject: Some(subject) };
        self.send_as(actor, key, Command::Order { command }).map(|_| ())
    }
}

/// An amount in won.
pub fn won(minor: i64) -> Money {
    Money::new(minor, Currency::try_new("KRW").unwrap())
}

/// A SKU.
pub fn sku(name: &str) -> Sku {
    Sku::try_new(name).unwrap()
}

/// A line.
pub fn line(name: &str, units: u32) -> Line {
    Line { sku: sku(name), quantity: Quantity::try_new(units).unwrap() }
}
