//! Who uses the shop: buyers who repeat themselves, and a host who changes his mind.

mod line;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use commands::intake::{Decided, HostRefusal, Intake, OrderRequest, PlaceRefusal, Placed};
use domain::actor::{Actor, Role};
use domain::command::{Command, CommandRecord};
use domain::fingerprint::{Fingerprint, PseudonymKey};
use domain::ids::{CommandId, CorrelationId, OrderId, SpotlightId, StreamKey, ViewerId, derive_id};
use domain::line::Lines;
use domain::order::{OrderCommand, PaymentChoice};
use domain::personal::Personal;
use domain::ports::StockGate;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::roles::Node;
use super::script::seller;
use super::shop::Shop;

/// How often a client asks before it gives up.
const ATTEMPTS_MAX: u32 = 8;

/// What the clients were told.
#[derive(Debug, Default)]
pub struct Told {
    /// Orders that were answered with 202.
    pub promised: BTreeSet<OrderId>,
    /// Orders that anybody asked for.
    pub asked: BTreeSet<OrderId>,
    /// Clients that are not done.
    pub busy: u32,
}

/// A client: it speaks to any of the api processes.
#[derive(Clone)]
pub struct Client {
    /// The shop.
    pub shop: Shop,
    /// The api processes.
    pub nodes: Vec<Node>,
    /// What all clients were told.
    pub told: Arc<Mutex<Told>>,
}

/// What a buyer wants.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Who.
    pub viewer: u64,
    /// Under which key.
    pub key: String,
    /// Where.
    pub spotlight: SpotlightId,
    /// What.
    pub lines: Lines,
    /// How it is paid.
    pub method: Option<&'static str>,
    /// How often it is asked for, also after an answer.
    pub repeats: u32,
    /// By which methods the buyer pays afterwards, one after the other.
    pub pays: Vec<&'static str>,
    /// Whether the host gives it back.
    pub refunds: bool,
    /// Whether the buyer calls it off.
    pub cancels: bool,
    /// What a buyer who finds it sold out does with an offer of the waitlist, if they wait for one.
    pub waits: Option<OnOffer>,
}

/// What somebody who waits does with an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOffer {
    /// Pays by this method.
    Pays(&'static str),
    /// Cancels it.
    Declines,
    /// Lets it run out.
    Forgets,
    /// Leaves the line before one comes.
    Leaves,
}

impl Client {
    /// Runs one request in an api process; nothing where the process dies or is away.
    async fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(Arc<Intake>) -> BoxFuture<'static, T>,
    ) -> Option<T> {
        let world = &self.shop.line.world;
        let node = world.pick(&self.nodes)?;
        let intake = node.intake()?;
        let (answer, answered) = oneshot::channel();
        let request = request(intake);
        world.spawn(
            node.role,
            Box::pin(async move {
                // the client may be gone
                let _ = answer.send(request.await);
            }),
        );
        answered.await.ok()
    }

    async fn pause(&self, from_ms: u64, to_ms: u64) {
        let pause = self.shop.line.world.between(from_ms, to_ms);
        self.shop.line.sleep(pause).await;
    }

    async fn offer_version(&self, spotlight: SpotlightId) -> u32 {
        let view = self.shop.gate.direct().view(spotlight).await.ok().flatten();
        view.map_or(1, |view| view.offer.offer.version)
    }

    /// A buyer, from the press on *buy* to the end of their patience; tells whether an answer came.
    pub async fn buy(self, mut wish: Wish) -> bool {
        self.told.lock().busy += 1;
        let mut answered = false;
        let mut version = self.offer_version(wish.spotlight).await;
        let mut left = wish.repeats;
        for _ in 0..ATTEMPTS_MAX {
            let request = request(&wish, version);
            let order = request.order_id();
            self.told.lock().asked.insert(order);
            match self
                .ask(|intake| Box::pin(async move { intake.place_order(request).await }))
                .await
            {
                Some(Ok(placed)) => {
                    self.promised(order, &placed);
                    answered = true;
                    for (number, method) in (0_u64..).zip(std::mem::take(&mut wish.pays)) {
                        self.pause(50, 2_000).await;
                        self.pay(&wish, order, number, method).await;
                    }
                    if std::mem::take(&mut wish.refunds) {
                        self.refund(&wish, order).await;
                    }
                    if wish.cancels {
                        self.cancel(&wish, order).await;
                    }
                    if left == 0 {
                        break;
                    }
                    left -= 1;
                }
                Some(Err(PlaceRefusal::OfferChanged { offer })) => version = offer.offer.version,
                Some(Err(refusal)) if is_final(&refusal) => {
                    self.shop.line.world.note(|| format!("order {order}: {}", refusal.code()));
                    answered = true;
                    let sold_out = matches!(refusal, PlaceRefusal::SoldOut { .. });
                    if let Some(on_offer) = wish.waits.filter(|_| sold_out) {
                        self.wait(&wish, on_offer).await;
                    }
                    break;
                }
                Some(Err(_)) | None => {}
            }
            self.pause(20, 2_500).await;
        }
        self.told.lock().busy -= 1;
        answered
    }

    fn promised(&self, order: OrderId, placed: &Placed) {
        let world = &self.shop.line.world;
        world.note(|| format!("order {order} is promised"));
        if placed.order.order.id != order || placed.order.receipt.is_none() {
            world.fail(format!("order {order} is promised as another, or without a receipt"));
        }
        self.told.lock().promised.insert(order);
    }

    async fn cancel(&self, wish: &Wish, order: OrderId) {
        let id = derive_id("cancel", &[order.0.as_bytes()]);
        let command = OrderCommand::CancelOrder { order_id: order, reason: None };
        // confirmed meanwhile, or called off: either is fine
        let _ = self.of_viewer(wish, id, command).await;
    }

    /// The host gives a sale back, a line first and then the rest; refused where it is none.
    async fn refund(&self, wish: &Wish, order: OrderId) {
        for whole in [false, true] {
            self.pause(200, 3_000).await;
            let first = wish.lines.as_slice().first().cloned();
            let lines = first.filter(|_| !whole).and_then(|line| Lines::try_new(vec![line]).ok());
            let restock = self.shop.line.world.chance(500);
            let id = derive_id("refund", &[order.0.as_bytes(), &[u8::from(whole)]]);
            let command =
                OrderCommand::RefundOrder { order_id: order, reason: None, lines, restock };
            let actor = Actor { role: Role::Host, subject: None };
            let command = Command::Order { command };
            let done = self.submit(CommandId(id), wish.spotlight.into(), actor, command).await;
            self.shop.line.world.note(|| match &done {
                Ok(_) => format!("order {order}: is given back"),
                Err(refusal) => format!("order {order}: is not given back: {}", refusal.code()),
            });
        }
    }

    /// Pays an order that waits for it, or tries again; refused where it does not wait.
    async fn pay(&self, wish: &Wish, order: OrderId, number: u64, method: &str) {
        let id = derive_id("payment", &[order.0.as_bytes(), &number.to_be_bytes()]);
        let payment = PaymentChoice { provider: "simulated".to_owned(), method: method.to_owned() };
        let command = OrderCommand::RequestPayment { order_id: order, payment };
        let paid = self.of_viewer(wish, id, command).await;
        self.shop.line.world.note(|| match &paid {
            Ok(_) => format!("order {order}: pays by {method}"),
            Err(refusal) => format!("order {order}: pays by {method}: {}", refusal.code()),
        });
    }

    async fn of_viewer(
        &self,
        wish: &Wish,
        id: uuid::Uuid,
        command: OrderCommand,
    ) -> Result<Decided, HostRefusal> {
        let subject = Some(viewer_ref(wish.viewer).as_str().to_owned());
        let actor = Actor { role: Role::Viewer, subject };
        let command = Command::Order { command };
        self.submit(CommandId(id), wish.spotlight.into(), actor, command).await
    }

    /// A host's command, asked again until it is known what came of it.
    ///
    /// # Errors
    /// The last refusal.
    pub async fn command(
        &self,
        name: &str,
        key: StreamKey,
        command: Command,
    ) -> Result<Decided, HostRefusal> {
        let id = CommandId(derive_id("host", &[name.as_bytes(), key.0.as_bytes()]));
        self.told.lock().busy += 1;
        let actor = Actor { role: Role::Host, subject: None };
        let decided = self.submit(id, key, actor, command).await;
        self.shop.line.world.note(|| match &decided {
            Ok(decided) => format!("{name}: decided at {}", decided.position),
            Err(refusal) => format!("{name}: {}", refusal.code()),
        });
        self.told.lock().busy -= 1;
        decided
    }

    /// What a provider tells, again until it is durable, or given up.
    pub async fn tell(&self, record: CommandRecord) {
        for _ in 0..ATTEMPTS_MAX {
            let record = record.clone();
            let told = self
                .ask(|intake| Box::pin(async move { intake.append(&record).await.is_ok() }))
                .await;
            self.shop.line.world.note(|| format!("the provider tells: {told:?}"));
            if told == Some(true) {
                return;
            }
            self.pause(20, 1_500).await;
        }
    }

    async fn submit(
        &self,
        id: CommandId,
        key: StreamKey,
        actor: Actor,
        command: Command,
    ) -> Result<Decided, HostRefusal> {
        let mut last = HostRefusal::OutcomeUnknown;
        for _ in 0..ATTEMPTS_MAX {
            let record = CommandRecord {
                command_id: id,
                seller: seller(),
                key,
                correlation: CorrelationId(id.0),
                causation: None,
                traceparent: None,
                actor: actor.clone(),
                issued_at: self.shop.line.world.now(),
                command: command.clone(),
            };
            match self.ask(|intake| Box::pin(async move { intake.submit(record).await })).await {
                Some(Ok(decided)) => return Ok(decided),
                Some(Err(
                    refusal @ (HostRefusal::OutcomeUnknown
                    | HostRefusal::DecisionPending
                    | HostRefusal::StockUnavailable
                    | HostRefusal::LogUnavailable),
                )) => last = refusal,
                Some(Err(refusal)) => return Err(refusal),
                None => {}
            }
            self.pause(20, 1_500).await;
        }
        Err(last)
    }
}

/// Whether asking again leads to the same.
const fn is_final(refusal: &PlaceRefusal) -> bool {
    !matches!(
        refusal,
        PlaceRefusal::OutcomeUnknown { .. }
            | PlaceRefusal::StockUnavailable
            | PlaceRefusal::LogUnavailable
            | PlaceRefusal::InFlight
    )
}

fn viewer_ref(viewer: u64) -> domain::ids::ViewerRef {
    PseudonymKey::from_secret(b"the simulator's").viewer_ref(&seller(), &viewer_id(viewer))
}

fn viewer_id(viewer: u64) -> ViewerId {
    ViewerId::try_new(format!("viewer-{viewer}")).unwrap_or_else(|_| unreachable!())
}

fn request(wish: &Wish, version: u32) -> OrderRequest {
    let payment = wish.method.map(|method| PaymentChoice {
        provider: "simulated".to_owned(),
        method: method.to_owned(),
    });
    let fingerprint = Fingerprint::of_order(
        wish.spotlight,
        version,
        &wish.lines,
        wish.method,
        &serde_json::Value::Null,
    );
    OrderRequest {
        seller: seller(),
        viewer: viewer_id(wish.viewer),
        viewer_ref: viewer_ref(wish.viewer),
        spotlight: wish.spotlight,
        offer_version: version,
        lines: wish.lines.clone(),
        payment,
        key: wish.key.clone(),
        fingerprint,
        personal: Personal { viewer: Some(viewer_id(wish.viewer)), ..Personal::default() },
        traceparent: None,
    }
}

/// A pause of a script.
pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
