//! Commands as the api sends them: a broadcast, an open spotlight, orders and their payments.

use std::collections::BTreeMap;

use commands::clock::{SystemClock, SystemIds};
use domain::Timestamp;
use domain::actor::{Actor, Role};
use domain::admission::Admission;
use domain::broadcast::BroadcastCommand;
use domain::command::{Command, CommandRecord};
use domain::fingerprint::{Fingerprint, PseudonymKey};
use domain::ids::{
    BroadcastId, CommandId, CorrelationId, OrderId, ProductId, SellerId, Sku, SpotlightId,
    StreamKey, ViewerId,
};
use domain::limits::{HOLD_SECONDS_DEFAULT, SKU_UNITS_MAX};
use domain::line::{Line, Lines};
use domain::money::{Currency, Money};
use domain::offer::{Offer, Product, SkuTerms};
use domain::order::{OrderCommand, PaymentChoice, PlaceOrder};
use domain::payment::{DeclineKind, PaymentResult};
use domain::personal::Personal;
use domain::ports::{Clock, Ids};
use domain::quantity::Quantity;
use domain::spotlight::{SpotlightCommand, SpotlightTerms};

use super::BenchError;

const PRICE_MINOR: i64 = 19_900;
/// Every so many payments one is declined.
const DECLINED_EVERY: usize = 10;

/// One spotlight, and who orders in it.
pub(super) struct Scene {
    seller: SellerId,
    broadcast: BroadcastId,
    spotlight: SpotlightId,
    sku: Sku,
    price: Money,
    pseudonyms: PseudonymKey,
    now: Timestamp,
}

impl Scene {
    /// A new one.
    ///
    /// # Errors
    /// None that can be met: the names are valid.
    pub fn new() -> Result<Self, BenchError> {
        let currency = Currency::try_new("KRW").map_err(BenchError::failed)?;
        Ok(Self {
            seller: SellerId::try_new("acme").map_err(BenchError::failed)?,
            broadcast: BroadcastId(SystemIds.uuid()),
            spotlight: SpotlightId(SystemIds.uuid()),
            sku: Sku::try_new("lamp-ivory").map_err(BenchError::failed)?,
            price: Money::new(PRICE_MINOR, currency),
            pseudonyms: PseudonymKey::from_secret(b"onair bench"),
            now: SystemClock.now(),
        })
    }

    fn record(&self, key: impl Into<StreamKey>, actor: Actor, command: Command) -> CommandRecord {
        let id = SystemIds.uuid();
        let trace = id.simple();
        CommandRecord {
            command_id: CommandId(id),
            seller: self.seller.clone(),
            key: key.into(),
            correlation: CorrelationId(id),
            causation: None,
            traceparent: Some(format!("00-{trace}-00f067aa0ba902b7-01")),
            actor,
            issued_at: self.now,
            command,
        }
    }

    /// What makes the broadcast live and the spotlight open.
    ///
    /// # Errors
    /// None that can be met: the names are valid.
    pub fn opening(&self) -> Result<Vec<CommandRecord>, BenchError> {
        let schedule = BroadcastCommand::ScheduleBroadcast {
            broadcast_id: self.broadcast,
            title: "A show that is measured".to_owned(),
            currency: self.price.currency,
            starts_at: None,
        };
        let terms = SpotlightTerms {
            spotlight_id: self.spotlight,
            broadcast_id: self.broadcast,
            seller: self.seller.clone(),
            product: Product {
                id: ProductId::try_new("lamp").map_err(BenchError::failed)?,
                name: "Lamp".to_owned(),
                image_url: None,
                original_price: self.price,
            },
            skus: vec![SkuTerms {
                sku: self.sku.clone(),
                name: None,
                limited_quantity: SKU_UNITS_MAX,
            }],
            offer: Offer { version: 1, live_price: self.price, sku_prices: BTreeMap::new() },
            per_viewer_limit: None,
            hold_seconds: HOLD_SECONDS_DEFAULT,
            abandoned_hold_seconds: None,
            opens_at: None,
            closes_at: None,
            personal: Personal::default(),
        };
        let open = SpotlightCommand::ScheduleSpotlight { terms: Box::new(terms), open_now: true };
        let broadcast =
            |command| self.record(self.broadcast, Actor::system(), Command::Broadcast { command });
        Ok(vec![
            broadcast(schedule),
            broadcast(BroadcastCommand::StartBroadcast),
            self.record(self.spotlight, Actor::system(), Command::Spotlight { command: open }),
        ])
    }

    /// The order of a viewer of its own.
    ///
    /// # Errors
    /// None that can be met: the names are valid.
    pub fn order(&self, number: usize) -> Result<CommandRecord, BenchError> {
        let viewer = ViewerId::try_new(format!("viewer-{number}")).map_err(BenchError::failed)?;
        let viewer_ref = self.pseudonyms.viewer_ref(&self.seller, &viewer);
        let key = SystemIds.uuid().to_string();
        let quantity = Quantity::try_new(1).map_err(BenchError::failed)?;
        let lines = Lines::try_new(vec![Line { sku: self.sku.clone(), quantity }])
            .map_err(BenchError::failed)?;
        let place = PlaceOrder {
            order_id: OrderId::derive(&self.seller, &viewer, self.spotlight, &key),
            spotlight_id: self.spotlight,
            viewer_ref: viewer_ref.clone(),
            lines,
            offer_version: 1,
            admission: Some(Admission {
                epoch: 1,
                number: u64::try_from(number).unwrap_or(u64::MAX).saturating_add(1),
                at: self.now,
                offer_version: 1,
            }),
            payment: Some(PaymentChoice {
                provider: "simulated".to_owned(),
                method: "sim_ok".to_owned(),
            }),
            key_fingerprint: Fingerprint::of(key.as_bytes()),
            body_fingerprint: Fingerprint::of(viewer_ref.as_str().as_bytes()),
            received_at: self.now,
            node: "onair-bench".to_owned(),
            void_after: None,
            personal: Personal {
                name: Some(format!("Viewer {number}")),
                viewer: Some(viewer),
                ..Personal::default()
            },
        };
        let actor = Actor { role: Role::Viewer, subject: Some(viewer_ref.as_str().to_owned()) };
        let command = OrderCommand::PlaceOrder { place: Box::new(place) };
        Ok(self.record(self.spotlight, actor, Command::Order { command }))
    }

    /// What the provider answered to the first attempt of an order.
    pub fn payment(&self, number: usize, order_id: OrderId) -> CommandRecord {
        let result = if number % DECLINED_EVERY == DECLINED_EVERY - 1 {
            PaymentResult::Declined { kind: DeclineKind::Hard, code: "do_not_honour".to_owned() }
        } else {
            PaymentResult::Captured { amount: self.price }
        };
        let command = OrderCommand::RecordPayment { order_id, attempt: 1, result };
        self.record(self.spotlight, Actor::system(), Command::Order { command })
    }
}

/// The order that a command is to.
pub(super) fn order_of(record: &CommandRecord) -> Option<OrderId> {
    match &record.command {
        Command::Order { command } => Some(command.order_id()),
        _ => None,
    }
}
