//! Commands in any order, with repeats: no oversell, one end per reservation, the fold of the log is
//! the state that decided it, and every invariant holds.

mod abandoned;
mod line;

use std::collections::{BTreeMap, BTreeSet};

use domain::actor::{Actor, Role};
use domain::admission::Admission;
use domain::command::{Command, CommandRecord};
use domain::decision::decide;
use domain::desk::Desk;
use domain::event::Event;
use domain::ids::{CommandId, CorrelationId, OrderId};
use domain::order::{OrderCommand, PaymentChoice, PlaceOrder};
use domain::payment::{DeclineKind, PaymentResult};
use domain::reservation::ReservationEvent;
use domain::spotlight::{Cause, SpotlightCommand};
use proptest::prelude::*;
use uuid::Uuid;

use crate::support::{
    Log, NOW, at, krw, lines, on_air, order, placed, seller, sku, spotlight, stream_of, viewer,
    waits,
};

const ORDERS: u64 = 8;
const VIEWERS: u64 = 3;

/// What somebody does; `back` is how many attempts before the last one the answer is to; a command is told apart by `id`, so that the same one may come again.
#[derive(Debug, Clone)]
enum Step {
    Place {
        n: u64,
        take: u64,
        by_void: bool,
    },
    FailParked {
        n: u64,
        take: u64,
    },
    Pay {
        n: u64,
        result: u8,
        back: u32,
    },
    PayAgain {
        n: u64,
    },
    TakeAgain {
        n: u64,
        take: u64,
    },
    TurnAway {
        n: u64,
    },
    Expire {
        n: u64,
    },
    Cancel {
        n: u64,
        by_host: bool,
    },
    Host {
        id: u64,
        what: u8,
        units: i64,
    },
    Wait {
        seconds: i64,
    },
    /// Viewer `v` joins the line for these lines, or leaves it.
    Join {
        id: u64,
        v: u64,
        both: bool,
        units: u32,
    },
    Leave {
        id: u64,
        v: u64,
    },
    /// The `nth` open offer is paid, cancelled or run out.
    Offer {
        nth: usize,
        what: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let n = 1..=ORDERS;
    prop_oneof![
        6 => (n.clone(), 0..2u64, prop::bool::weighted(0.1))
            .prop_map(|(n, take, by_void)| Step::Place { n, take, by_void }),
        1 => (n.clone(), 0..2u64).prop_map(|(n, take)| Step::FailParked { n, take }),
        8 => (n.clone(), 0..9u8, 0..2u32)
            .prop_map(|(n, result, back)| Step::Pay { n, result, back }),
        2 => n.clone().prop_map(|n| Step::PayAgain { n }),
        2 => (n.clone(), 0..2u64).prop_map(|(n, take)| Step::TakeAgain { n, take }),
        1 => n.clone().prop_map(|n| Step::TurnAway { n }),
        2 => n.clone().prop_map(|n| Step::Expire { n }),
        1 => (n, any::<bool>()).prop_map(|(n, by_host)| Step::Cancel { n, by_host }),
        2 => (0..12u64, 0..7u8, -2..3i64).prop_map(|(id, what, units)| Step::Host { id, what, units }),
        1 => (1..700i64).prop_map(|seconds| Step::Wait { seconds }),
        4 => (100..200u64, 0..6u64, any::<bool>(), 1..3u32)
            .prop_map(|(id, v, both, units)| Step::Join { id, v, both, units }),
        1 => (200..300u64, 0..6u64).prop_map(|(id, v)| Step::Leave { id, v }),
        3 => (0..3usize, 0..4u8).prop_map(|(nth, what)| Step::Offer { nth, what }),
    ]
}

struct Show {
    live: Desk,
    log: Log,
    now: i64,
    /// The gate's takes: what was once admitted keeps its admission.
    takes: BTreeMap<(u64, u64), Admission>,
    /// Host commands that were decided; the inbox knows them.
    inbox: BTreeSet<u64>,
}

impl Show {
    fn new() -> Self {
        Self::of(on_air())
    }

    fn of(history: Vec<Event>) -> Self {
        let mut show = Self {
            live: Desk::default(),
            log: Log::of([history.clone()]),
            now: NOW,
            takes: BTreeMap::new(),
            inbox: BTreeSet::new(),
        };
        for event in history {
            show.live.apply(&stream_of(&event), &event);
        }
        show
    }

    fn place(&mut self, n: u64, take: u64) -> PlaceOrder {
        let epoch = self.live.spotlight.epoch;
        let version = self.live.spotlight.current_offer().unwrap().version;
        let number = n * 2 + take;
        let admission = *self.takes.entry((n, take)).or_insert(Admission {
            epoch,
            number,
            at: at(self.now),
            offer_version: version,
        });
        let units = [("A", 1), ("B", 2)];
        let of = if n.is_multiple_of(3) { lines(&units) } else { lines(&units[..1]) };
        let viewer_ref = viewer(n % VIEWERS);
        PlaceOrder { admission: Some(admission), lines: of, viewer_ref, ..placed(n) }
    }

    fn command(&mut self, step: &Step) -> Option<(Uuid, Actor, Command)> {
        let system = Actor::system();
        let id = Uuid::from_u128((1 << 64) + u128::try_from(self.log.events.len()).unwrap());
        Some(match step {
            Step::Wait { seconds } => {
                self.now += seconds;
                return None;
            }
            Step::Place { n, take, by_void } => {
                let mut place = self.place(*n, *take);
                place.void_after = by_void.then(|| at(NOW + 300));
                let command = OrderCommand::PlaceOrder { place: Box::new(place) };
                (id, system, Command::Order { command })
            }
            Step::FailParked { n, take } => {
                let place = Box::new(self.place(*n, *take));
                (id, system, Command::Order { command: OrderCommand::FailParked { place } })
            }
            Step::Pay { n, result, back } => {
                let result = self.answer(*n, *result)?;
                let known = &self.live.orders.get(&order(*n))?.order;
                let attempt = match &result {
                    PaymentResult::Refunded { .. } => known.refund_attempt,
                    _ => known.attempt.saturating_sub(*back).max(1),
                };
                let command = OrderCommand::RecordPayment { order_id: order(*n), attempt, result };
                (id, system, Command::Order { command })
            }
            Step::PayAgain { n } => {
                let payment =
                    PaymentChoice { provider: "simulated".to_owned(), method: "m".to_owned() };
                let command = OrderCommand::RequestPayment { order_id: order(*n), payment };
                let actor =
                    Actor { role: Role::Viewer, subject: Some(viewer(n % VIEWERS).to_string()) };
                (id, actor, Command::Order { command })
            }
            Step::TakeAgain { n, take } => {
                // the gate is asked only by an order that may take again
                let known = self.live.orders.get(&order(*n))?;
                let may = known.order.may_take_again(&known.reservation, &known.again);
                if !may && !self.takes.contains_key(&(*n, 10 + take)) {
                    return None;
                }
                let admission = *self.takes.entry((*n, 10 + take)).or_insert(Admission {
                    epoch: self.live.spotlight.epoch,
                    number: 5_000 + n * 2 + take,
                    at: at(self.now),
                    offer_version: 1,
                });
                let command =
                    OrderCommand::TakeAgain { order_id: order(*n), admission: Some(admission) };
                (id, system, Command::Order { command })
            }
            Step::TurnAway { n } => {
                let command = OrderCommand::TurnAway { order_id: order(*n) };
                (id, system, Command::Order { command })
            }
            Step::Expire { n } => {
                let command = OrderCommand::ExpireHold { order_id: order(*n) };
                (id, system, Command::Order { command })
            }
            Step::Cancel { n, by_host } => {
                let role = if *by_host { Role::Host } else { Role::Viewer };
                let subject = Some(viewer(n % VIEWERS).to_string());
                let command = OrderCommand::CancelOrder { order_id: order(*n), reason: None };
                (id, Actor { role, subject }, Command::Order { command })
            }
            Step::Join { .. } | Step::Leave { .. } | Step::Offer { .. } => {
                return self.in_line(step);
            }
            Step::Host { id, what, units } => {
                if !self.inbox.insert(*id) {
                    return None;
                }
                let command = self.host(*id, *what, *units);
                let id = Uuid::from_u128(0xb0_0000 + u128::from(*id));
                (id, system, Command::Spotlight { command })
            }
        })
    }

    fn answer(&self, n: u64, result: u8) -> Option<PaymentResult> {
        let known = self.live.orders.get(&order(n))?;
        let amount = known.order.accepted.as_ref()?.total;
        let code = "no".to_owned();
        Some(match result {
            0 => PaymentResult::Authorized { amount, reference: None },
            1 | 2 => PaymentResult::Captured { amount },
            3 => PaymentResult::Declined { kind: DeclineKind::Soft, code },
            4 => PaymentResult::Declined { kind: DeclineKind::Hard, code },
            5 => PaymentResult::Unknown,
            6 => PaymentResult::CaptureFailed { code },
            7 => PaymentResult::Voided,
            _ => PaymentResult::Refunded { amount },
        })
    }

    fn host(&self, id: u64, what: u8, units: i64) -> SpotlightCommand {
        let admission = Some(Admission {
            epoch: self.live.spotlight.epoch,
            number: 1_000 + id,
            at: at(self.now),
            offer_version: 1,
        });
        let reason = None;
        match what {
            0 => SpotlightCommand::PauseSpotlight { reason, admission },
            1 => SpotlightCommand::ResumeSpotlight { reason },
            2 => SpotlightCommand::ChangeOffer { live_price: krw(100 + units), reason, admission },
            3 => SpotlightCommand::ReopenGate { expected: self.live.spotlight.epoch },
            4 => SpotlightCommand::CloseSpotlight { cause: Cause::Host, reason, admission },
            _ => {
                let admission = admission.filter(|_| units < 0);
                SpotlightCommand::AdjustStock { sku: sku("A"), delta: units, reason, admission }
            }
        }
    }

    fn take(&mut self, step: &Step) {
        let Some((id, actor, command)) = self.command(step) else { return };
        self.decide(id, actor, command, step);
    }

    /// What onair asks of an order by itself.
    fn system(&mut self, command: OrderCommand) {
        let id = Uuid::from_u128((1 << 65) + u128::try_from(self.log.events.len()).unwrap());
        let step = format!("{command:?}");
        self.decide(id, Actor::system(), Command::Order { command }, &step);
    }

    /// An order that has not ended, or whose money is to go back.
    fn open_order(&self) -> Option<OrderId> {
        let open = self.live.orders.iter().find(|(_, known)| {
            let order = &known.order;
            order.accepted.is_some()
                && (!order.has_ended() || order.refunded_minor < order.refund_asked_minor)
        });
        open.map(|(order, _)| *order)
    }

    fn decide(&mut self, id: Uuid, actor: Actor, command: Command, step: &impl std::fmt::Debug) {
        let record = CommandRecord {
            command_id: CommandId(id),
            seller: seller(),
            key: spotlight().into(),
            correlation: CorrelationId(id),
            causation: None,
            traceparent: None,
            actor,
            issued_at: at(self.now),
            command,
        };
        let decision = decide(&self.live, &record, at(self.now));
        assert_eq!(decision, decide(&self.live, &record, at(self.now)), "decided twice");
        let mut facts = Vec::new();
        for (stream, event) in decision.events {
            self.live.apply(&stream, &event);
            facts.push(event);
        }
        assert!(self.live.ledger.is_sound(), "oversold by {step:?}");
        self.log.decide_as(id, self.now, facts);
    }
}

fn one_end_per_reservation(log: &Log) {
    let mut ends = BTreeMap::new();
    for recorded in &log.events {
        if let Event::Reservation(fact) = &recorded.event
            && !matches!(fact, ReservationEvent::StockReserved { .. })
        {
            *ends.entry(recorded.stream.clone()).or_insert(0) += 1;
        }
    }
    assert!(ends.values().all(|count| *count == 1), "{ends:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_order_of_commands_keeps_every_promise(steps in prop::collection::vec(step(), 1..120)) {
        let mut show = Show::new();
        for step in &steps {
            show.take(step);
        }
        one_end_per_reservation(&show.log);
        let mut rebuilt = Desk::default();
        for recorded in &show.log.events {
            rebuilt.apply(&recorded.stream, &recorded.event);
        }
        prop_assert_eq!(&rebuilt, &show.live);
        prop_assert_eq!(show.log.findings(false), vec![]);
    }

    #[test]
    fn every_order_ends_once_the_provider_has_answered(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut show = Show::new();
        for step in &steps {
            show.take(step);
        }
        // what the process role does once everything works: void what is open, expire, refund
        show.now += 10_000;
        for n in 1..=ORDERS {
            for step in [
                Step::Pay { n, result: 7, back: 0 },
                Step::Expire { n },
                Step::TurnAway { n },
                Step::Pay { n, result: 8, back: 0 },
            ] {
                show.take(&step);
            }
        }
        // what they give up is offered to those who wait, until nobody takes it
        while let Some(order_id) = show.open_order() {
            show.now += 10_000;
            let known = &show.live.orders[&order_id].order;
            let (attempt, refund) = (known.attempt.max(1), known.refund_attempt);
            let amount = known.accepted.as_ref().unwrap().total;
            let results =
                [(attempt, PaymentResult::Voided), (refund, PaymentResult::Refunded { amount })];
            show.system(OrderCommand::ExpireHold { order_id });
            show.system(OrderCommand::TurnAway { order_id });
            for (attempt, result) in results {
                show.system(OrderCommand::RecordPayment { order_id, attempt, result });
            }
        }
        prop_assert_eq!(show.log.findings(true), vec![]);
    }
}
