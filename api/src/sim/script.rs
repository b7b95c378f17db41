//! What happens in one run: a show, a rush, a host at work, and everything that may go wrong.

use std::sync::Arc;
use std::time::Duration;

use commands::intake::REDRIVE_AFTER;
use commands::process::SIM_METHODS;
use domain::broadcast::BroadcastCommand;
use domain::command::Command;
use domain::ids::{BroadcastId, ProductId, SellerId, Sku, SpotlightId, derive_id};
use domain::limits::HOLD_SECONDS_MIN;
use domain::line::{Line, Lines};
use domain::money::{Currency, Money};
use domain::offer::{Offer, Product, SkuTerms};
use domain::personal::Personal;
use domain::quantity::Quantity;
use domain::spotlight::{Cause, Settle, SpotlightCommand, SpotlightTerms};

use super::clients::{Client, OnOffer, Wish, seconds};
use super::faults::Levels;
use super::world::{OUTSIDE, RoleId, World};

/// How long the world misbehaves.
const FAULTS_FOR: Duration = seconds(11);
/// How long the last buyers ask. A host's command whose sender died keeps the gate until it is
/// re-driven, and there may be one behind another.
const ANSWERED_WITHIN: Duration = seconds(2 * REDRIVE_AFTER.as_secs());
/// The SKUs of every spotlight.
const SKUS: [&str; 2] = ["A", "B"];

/// The one seller.
pub fn seller() -> SellerId {
    SellerId::try_new("acme").unwrap_or_else(|_| unreachable!())
}

/// The plan of one run.
pub struct Script {
    /// Who speaks to the shop.
    pub client: Client,
    /// The show.
    pub broadcast: BroadcastId,
    /// Its spotlights.
    pub spotlights: Vec<SpotlightId>,
    /// Whether Redis lost something.
    pub redis_lost: bool,
}

fn price(minor: i64) -> Money {
    Money::new(minor, Currency::try_new("KRW").unwrap_or_else(|_| unreachable!()))
}

fn sku(name: &str) -> Sku {
    Sku::try_new(name).unwrap_or_else(|_| unreachable!())
}

impl Script {
    /// Draws the plan.
    pub fn new(client: Client, seed: u64) -> Self {
        let id = |kind: &str, number: u64| {
            derive_id(kind, &[&seed.to_be_bytes(), &number.to_be_bytes()])
        };
        let count = 1 + client.shop.line.world.below(2);
        Self {
            broadcast: BroadcastId(id("broadcast", 0)),
            spotlights: (0..count).map(|number| SpotlightId(id("spotlight", number))).collect(),
            client,
            redis_lost: false,
        }
    }

    fn world(&self) -> &Arc<World> {
        &self.client.shop.line.world
    }

    fn terms(&self, spotlight: SpotlightId) -> SpotlightTerms {
        let world = self.world();
        let skus = SKUS.map(|name| SkuTerms {
            sku: sku(name),
            name: None,
            limited_quantity: u32::try_from(1 + world.below(6)).unwrap_or(1),
        });
        SpotlightTerms {
            spotlight_id: spotlight,
            broadcast_id: self.broadcast,
            seller: seller(),
            product: Product {
                id: ProductId::try_new("lamp").unwrap_or_else(|_| unreachable!()),
                name: "Lamp".to_owned(),
                image_url: None,
                original_price: price(39_900),
            },
            skus: skus.to_vec(),
            offer: Offer {
                version: 1,
                live_price: price(19_900),
                sku_prices: [(sku("B"), price(9_900))].into(),
            },
            per_viewer_limit: world.chance(500).then_some(3),
            hold_seconds: u32::try_from(2 + world.below(6)).unwrap_or(2),
            // drawn from the id, so that the dice of a seed stay what they were
            abandoned_hold_seconds: spotlight
                .0
                .as_u128()
                .is_multiple_of(3)
                .then_some(HOLD_SECONDS_MIN),
            opens_at: None,
            closes_at: None,
            personal: Personal::default(),
        }
    }

    /// Opens the show, while everything still works.
    pub async fn open(&self) {
        let command = BroadcastCommand::ScheduleBroadcast {
            broadcast_id: self.broadcast,
            title: "A show".to_owned(),
            currency: price(0).currency,
            starts_at: None,
        };
        self.expect("schedule", self.broadcast_command("schedule", command).await);
        let started = self.broadcast_command("start", BroadcastCommand::StartBroadcast).await;
        self.expect("start", started);
        for spotlight in &self.spotlights {
            let terms = Box::new(self.terms(*spotlight));
            let command = SpotlightCommand::ScheduleSpotlight { terms, open_now: true };
            let command = Command::Spotlight { command };
            let opened = self.client.command("show", (*spotlight).into(), command).await;
            self.expect("show", opened.is_ok());
        }
    }

    fn expect(&self, what: &str, done: bool) {
        if !done {
            self.world().fail(format!("without any fault, {what} is refused"));
        }
    }

    async fn broadcast_command(&self, name: &str, command: BroadcastCommand) -> bool {
        let command = Command::Broadcast { command };
        self.client.command(name, self.broadcast.into(), command).await.is_ok()
    }

    /// The rush, with everything that goes wrong; returns once nothing goes wrong any more.
    pub async fn rush(&mut self, roles: usize) {
        let world = Arc::clone(self.world());
        let levels = Levels::draw(&world);
        world.note(|| format!("{levels:?}"));
        world.set_levels(levels);
        // most press in the same moment
        let rushes: Vec<u64> = (0..=world.below(3)).map(|_| world.below(6_000)).collect();
        let buyers = 4 + world.below(20);
        for number in 0..buyers {
            self.send_buyer(number, buyers, &rushes);
        }
        for number in 0..world.below(7) {
            self.send_host(number, &rushes);
        }
        self.send_trouble(roles);
        self.client.shop.line.sleep(FAULTS_FOR).await;
        world.note(|| "from here on everything works".to_owned());
        world.set_levels(Levels::none());
        self.client.shop.commands.set_down(false);
    }

    fn on_offer(&self) -> OnOffer {
        let world = self.world();
        let pays = world.pick(&SIM_METHODS).copied().unwrap_or("sim_ok");
        let all = [
            OnOffer::Pays("sim_ok"),
            OnOffer::Pays(pays),
            OnOffer::Declines,
            OnOffer::Forgets,
            OnOffer::Leaves,
        ];
        world.pick(&all).copied().unwrap_or(OnOffer::Forgets)
    }

    fn send_buyer(&self, number: u64, buyers: u64, rushes: &[u64]) {
        let world = self.world();
        let Some(spotlight) = world.pick(&self.spotlights).copied() else { return };
        let quantity = |most: u64| {
            let units = u32::try_from(1 + world.below(most)).unwrap_or(1);
            Quantity::try_new(units).unwrap_or_else(|_| unreachable!())
        };
        let mut lines = vec![];
        for (index, name) in SKUS.iter().enumerate() {
            if index == 0 || world.chance(400) {
                lines.push(Line { sku: sku(name), quantity: quantity(2) });
            }
        }
        if world.chance(200) {
            lines.reverse();
        }
        let method = if world.chance(450) {
            Some("sim_ok")
        } else {
            world.pick(&SIM_METHODS).copied().filter(|_| !world.chance(120))
        };
        let wish = Wish {
            // some buyers come twice
            viewer: world.below(buyers.max(2) - 1),
            key: format!("key-{number}"),
            spotlight,
            lines: Lines::try_new(lines).unwrap_or_else(|_| unreachable!()),
            method,
            repeats: u32::try_from(world.below(3)).unwrap_or(0),
            pays: match method {
                None | Some("sim_decline_soft") => self.payments(),
                _ => vec![],
            },
            refunds: world.chance(150),
            cancels: world.chance(120),
            waits: world.chance(500).then(|| self.on_offer()),
        };
        let start = self.moment(rushes);
        let client = self.client.clone();
        self.client.told.lock().busy += 1;
        world.spawn(
            OUTSIDE,
            Box::pin(async move {
                client.shop.line.sleep(start).await;
                client.told.lock().busy -= 1;
                let _ = client.buy(wish).await;
            }),
        );
    }

    /// The methods by which a buyer pays who was not charged at once.
    fn payments(&self) -> Vec<&'static str> {
        let world = self.world();
        (0..world.below(4)).filter_map(|_| world.pick(&SIM_METHODS).copied()).collect()
    }

    /// A moment of the rush.
    fn moment(&self, rushes: &[u64]) -> Duration {
        let world = self.world();
        match world.pick(rushes) {
            Some(rush) if !world.chance(200) => world.between(*rush, rush + 12),
            _ => world.between(0, 8_000),
        }
    }

    /// Once everything works again, somebody buys in every spotlight: a gate that was lost and that
    /// nobody asked is rebuilt then.
    pub async fn come_late(&self) {
        for (number, spotlight) in self.spotlights.iter().enumerate() {
            let line = Line {
                sku: sku("A"),
                quantity: Quantity::try_new(1).unwrap_or_else(|_| unreachable!()),
            };
            let wish = Wish {
                viewer: 1_000,
                key: format!("late-{number}"),
                spotlight: *spotlight,
                lines: Lines::try_new(vec![line]).unwrap_or_else(|_| unreachable!()),
                method: Some("sim_ok"),
                repeats: 1,
                pays: vec![],
                refunds: false,
                cancels: false,
                waits: None,
            };
            let since = self.world().now();
            while !self.client.clone().buy(wish.clone()).await {
                let waited = (self.world().now() - since).to_std().unwrap_or_default();
                if waited > ANSWERED_WITHIN {
                    self.world().fail("everything works again, and an order gets no answer");
                    break;
                }
            }
        }
    }

    fn host_command(&self, number: u64) -> SpotlightCommand {
        let world = self.world();
        let reason = None;
        let admission = None;
        match world.below(11) {
            0..=3 => {
                let delta = -i64::try_from(1 + world.below(2)).unwrap_or(1);
                let name = world.pick(&SKUS).copied().unwrap_or("A");
                SpotlightCommand::AdjustStock { sku: sku(name), delta, reason, admission }
            }
            4 => SpotlightCommand::AdjustStock { sku: sku("A"), delta: 2, reason, admission },
            5 | 6 => {
                let live_price = price(10_000 + i64::try_from(number).unwrap_or(0));
                SpotlightCommand::ChangeOffer { live_price, reason, admission }
            }
            7 => SpotlightCommand::PauseSpotlight { reason, admission },
            8 => SpotlightCommand::ResumeSpotlight { reason },
            9 => {
                let settle = if world.chance(700) { Settle::Cancel } else { Settle::Honour };
                let offer_version = u32::try_from(1 + world.below(2)).unwrap_or(1);
                SpotlightCommand::WithdrawOffer { offer_version, settle, reason, admission }
            }
            _ => SpotlightCommand::CloseSpotlight { cause: Cause::Host, reason, admission },
        }
    }

    fn send_host(&self, number: u64, rushes: &[u64]) {
        let world = self.world();
        let Some(spotlight) = world.pick(&self.spotlights).copied() else { return };
        let command = self.host_command(number);
        let goes_on = goes_on(&command);
        let ends = world.chance(60);
        let (start, resume_after) = (self.moment(rushes), world.between(100, 3_000));
        let (client, broadcast) = (self.client.clone(), self.broadcast);
        self.client.told.lock().busy += 1;
        world.spawn(
            OUTSIDE,
            Box::pin(async move {
                client.shop.line.sleep(start).await;
                client.told.lock().busy -= 1;
                if ends {
                    let command = BroadcastCommand::EndBroadcast { reason: None };
                    let command = Command::Broadcast { command };
                    let _ = client.command("end", broadcast.into(), command).await;
                    return;
                }
                let name = format!("host-{number}");
                let command = Command::Spotlight { command };
                let _ = client.command(&name, spotlight.into(), command).await;
                if let Some(command) = goes_on {
                    client.shop.line.sleep(resume_after).await;
                    let command = Command::Spotlight { command };
                    let name = format!("resume-{number}");
                    let _ = client.command(&name, spotlight.into(), command).await;
                }
            }),
        );
    }

    fn send_trouble(&mut self, roles: usize) {
        let world = Arc::clone(self.world());
        self.redis_lost = world.chance(350);
        if self.redis_lost {
            for _ in 0..=world.below(2) {
                self.lose_redis();
            }
        }
        for _ in 0..world.below(4) {
            let start = world.between(200, 9_000);
            let shop = self.client.shop.clone();
            let (what, which) = (world.below(4), world.below(64));
            let down_for = world.between(300, 3_000);
            world.spawn(
                OUTSIDE,
                Box::pin(async move {
                    shop.line.sleep(start).await;
                    let index = usize::try_from(which).unwrap_or(0);
                    match what {
                        0 | 1 => {
                            shop.line.world.note(|| "a writer is taken for dead".to_owned());
                            shop.commands.expel_owner(index % 3);
                        }
                        2 => {
                            shop.line.world.note(|| "the command log is down".to_owned());
                            shop.commands.set_down(true);
                            shop.line.sleep(down_for).await;
                            shop.commands.set_down(false);
                        }
                        _ => shop.line.world.kill(RoleId(1 + index % roles.max(1))),
                    }
                }),
            );
        }
    }

    fn lose_redis(&self) {
        let world = self.world();
        let (start, older) = (world.between(500, 9_000), world.between(100, 2_500));
        let goes_back = world.chance(500);
        let shop = self.client.shop.clone();
        world.spawn(
            OUTSIDE,
            Box::pin(async move {
                shop.line.sleep(start.saturating_sub(older)).await;
                let saved = goes_back.then(|| shop.gate.save());
                shop.line.sleep(older).await;
                shop.line.world.note(|| match &saved {
                    Some(_) => "Redis goes back to an older state".to_owned(),
                    None => "Redis loses everything".to_owned(),
                });
                shop.gate.lose(saved);
                shop.accepted.lose();
            }),
        );
    }
}

/// What lets a spotlight sell again after this command.
fn goes_on(command: &SpotlightCommand) -> Option<SpotlightCommand> {
    match command {
        SpotlightCommand::PauseSpotlight { .. } => {
            Some(SpotlightCommand::ResumeSpotlight { reason: None })
        }
        SpotlightCommand::WithdrawOffer { .. } => Some(SpotlightCommand::ChangeOffer {
            live_price: price(20_000),
            reason: None,
            admission: None,
        }),
        _ => None,
    }
}
