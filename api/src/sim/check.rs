//! What must hold when nothing goes wrong any more.

use std::collections::{BTreeMap, BTreeSet};

use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{OrderId, StreamKey};
use domain::invariants::LogEnd;
use domain::order::{OrderEvent, OrderReason};
use domain::ports::{EventReader, EventStore, OrderBook, SalesBoard, StockGate};
use domain::reservation::ReservationEvent;
use domain::spotlight::SpotlightEvent;
use projections::replay::{Report, Verdict, VerifyOptions, verify};

use super::clients::seconds;
use super::command_log::TOPIC;
use super::script::Script;

/// How long everything under way may take to end after the last fault, in seconds (I12).
const SETTLED_WITHIN: u64 = 240;

/// What a log leaves open, and what must never be in it.
#[derive(Debug, Default)]
struct Tally {
    ends: BTreeMap<OrderId, Option<OrderReason>>,
    accepted: BTreeMap<OrderId, Position>,
    held: i64,
    payments: i64,
    refunds: i64,
    for_stock: Vec<OrderId>,
    parked: Vec<OrderId>,
    heads: BTreeMap<StreamKey, Position>,
    closed: Vec<StreamKey>,
    /// Spotlights whose withdrawn offer is not settled.
    withdrawing: BTreeSet<StreamKey>,
}

impl Tally {
    fn of(events: &[Recorded]) -> Self {
        let mut tally = Self::default();
        for recorded in events {
            tally.heads.insert(recorded.key, recorded.position);
            tally.take(recorded);
        }
        tally
    }

    fn take(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Spotlight(SpotlightEvent::SpotlightClosed { .. }) => {
                self.closed.push(recorded.key);
            }
            Event::Spotlight(SpotlightEvent::OfferWithdrawn { .. }) => {
                self.withdrawing.insert(recorded.key);
            }
            Event::Spotlight(SpotlightEvent::WithdrawalProgressed { withdrawal, .. })
                if !withdrawal.open =>
            {
                self.withdrawing.remove(&recorded.key);
            }
            Event::Reservation(ReservationEvent::StockReserved { .. }) => self.held += 1,
            Event::Reservation(_) => self.held -= 1,
            Event::Order(fact) => self.take_order(fact, recorded.position),
            _ => {}
        }
    }

    fn take_order(&mut self, fact: &OrderEvent, position: Position) {
        let order = fact.order_id();
        match fact {
            OrderEvent::OrderAccepted { .. } => {
                self.accepted.insert(order, position);
            }
            OrderEvent::OrderConfirmed { .. } => {
                self.ends.insert(order, None);
            }
            OrderEvent::OrderFailed { reason, .. } | OrderEvent::OrderCancelled { reason, .. } => {
                self.ends.insert(order, Some(*reason));
                match reason {
                    OrderReason::StockGuard => self.for_stock.push(order),
                    OrderReason::Parked => self.parked.push(order),
                    _ => {}
                }
            }
            OrderEvent::PaymentRequested { .. } => self.payments += 1,
            OrderEvent::PaymentCaptured { .. }
            | OrderEvent::PaymentDeclined { .. }
            | OrderEvent::CaptureFailed { .. }
            | OrderEvent::PaymentVoided { .. } => self.payments -= 1,
            OrderEvent::RefundRequested { .. } => self.refunds += 1,
            OrderEvent::OrderRefunded { .. } => self.refunds -= 1,
            _ => {}
        }
    }

    /// What has not ended yet.
    fn open(&self) -> Option<String> {
        let open = self.accepted.keys().filter(|order| !self.ends.contains_key(order)).count();
        let withdrawals = self.withdrawing.len();
        let waits = open > 0 || self.held > 0 || withdrawals > 0;
        (waits || self.payments > 0 || self.refunds > 0).then(|| {
            let Self { held, payments, refunds, .. } = self;
            format!(
                "{open} orders, {held} holds, {payments} payments, {refunds} refunds and \
                 {withdrawals} withdrawals are open"
            )
        })
    }
}

impl Script {
    /// Waits until nothing is under way any more, then checks everything.
    pub async fn settle(&self) {
        let world = &self.client.shop.line.world;
        let mut left = SETTLED_WITHIN;
        loop {
            let Some(open) = self.unsettled().await else { break };
            if left == 0 {
                world.fail(format!("I12: after {SETTLED_WITHIN} s without a fault, {open}"));
                return;
            }
            left -= 1;
            self.client.shop.line.sleep(seconds(1)).await;
        }
        self.check_log().await;
    }

    async fn unsettled(&self) -> Option<String> {
        let shop = &self.client.shop;
        let busy = self.client.told.lock().busy;
        if busy > 0 {
            return Some(format!("{busy} clients are not done"));
        }
        for (index, end) in shop.commands.ends().into_iter().enumerate() {
            let partition = i32::try_from(index).unwrap_or(i32::MAX);
            let claim = shop.memory.position_of(TOPIC, partition).await.ok().flatten();
            let decided = claim.and_then(|claim| claim.next_offset).unwrap_or(0);
            if decided < end {
                return Some(format!("partition {index} is decided up to {decided} of {end}"));
            }
        }
        let events = self.events().await;
        let head = events.last().map_or(Position::START, |event| event.position);
        let tally = Tally::of(&events);
        if let Some(open) = tally.open() {
            return Some(open);
        }
        let book = shop.book.checkpoint().await.unwrap_or_default();
        let board = shop.board.checkpoint().await.unwrap_or_default();
        if book < head || board < head {
            return Some(format!("the read models stand at {book} and {board} of {head}"));
        }
        for spotlight in &self.spotlights {
            let key = StreamKey::from(*spotlight);
            let head = tally.heads.get(&key).copied().unwrap_or_default();
            match shop.gate.direct().view(*spotlight).await.ok().flatten() {
                Some(view) if view.applied == head => {}
                Some(view) => {
                    return Some(format!("the gate stands at {} of {head}", view.applied));
                }
                // rebuilt when somebody asks for it
                None if tally.closed.contains(&key) => {}
                None => return Some("the gate was never rebuilt".to_owned()),
            }
        }
        first_break(&self.verify().await?)
    }

    async fn events(&self) -> Vec<Recorded> {
        let store = &self.client.shop.memory;
        store.read(Position::START, usize::MAX).await.unwrap_or_default()
    }

    async fn verify(&self) -> Option<Report> {
        let shop = &self.client.shop;
        let options = VerifyOptions {
            settled: true,
            gate: Some(shop.gate.direct()),
            orders: Some(shop.book.as_ref()),
            ..VerifyOptions::default()
        };
        verify(&shop.memory, options, &mut |_| {}).await.ok()
    }

    async fn check_log(&self) {
        let shop = &self.client.shop;
        let world = &shop.line.world;
        for finding in shop.witness.lock().invariants.finish(&LogEnd { settled: true }) {
            let violation = finding.violation;
            world.fail(format!(
                "{} at {}: {}",
                finding.invariant, violation.position, violation.detail
            ));
        }
        let tally = Tally::of(&self.events().await);
        let promised = self.client.told.lock().promised.clone();
        for order in &promised {
            match tally.ends.get(order) {
                None => world.fail(format!("order {order} was promised and is not in the log")),
                Some(Some(OrderReason::NotAccepted)) => {
                    world.fail(format!("order {order} was promised and then not accepted"));
                }
                Some(_) => {}
            }
        }
        if let Some(order) = tally.for_stock.first().filter(|_| !self.redis_lost) {
            world.fail(format!("order {order} was accepted and failed for stock"));
        }
        if let Some(order) = tally.parked.first() {
            world.fail(format!("order {order} was put aside"));
        }
        let never = domain::Timestamp::MAX_UTC;
        let parked = shop.memory.parked_due(never, 1).await.unwrap_or_default();
        if let Some(command) = parked.first() {
            world.fail(format!("a command was put aside: {}", command.error));
        }
    }
}

fn first_break(report: &Report) -> Option<String> {
    if report.verdict == Verdict::Good {
        return None;
    }
    report.first_violation().map(|(id, it)| format!("{id} at {}: {}", it.position, it.detail))
}
