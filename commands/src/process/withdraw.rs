//! Offer versions that were withdrawn: their orders are called off and refunded one by one, and how
//! far that has come is written down. What is to be done follows from the log alone, so that another
//! process goes on where this one stopped.

use std::collections::BTreeMap;

use domain::command::{Command, CommandRecord};
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::ids::{CorrelationId, OrderId, SpotlightId};
use domain::order::{Order, OrderCommand, OrderEnd, OrderEvent};
use domain::ports::PortError;
use domain::spotlight::{Settle, SpotlightCommand, SpotlightEvent, Withdrawal};
use domain::views::SpotlightView;

use super::proposals::{Proposal, Purpose};
use super::{Process, SWEEP_MAX};

/// Withdrawals that are worked on at once.
pub const WITHDRAWALS_MAX: usize = 16;
/// Events that are read at once.
const READ_MAX: usize = 2_000;

/// The orders of one withdrawn version, folded from the log of its spotlight.
#[derive(Debug)]
pub(super) struct Settling {
    version: u32,
    position: Position,
    /// Whether the log has withdrawn it, as far as it was read.
    begun: bool,
    orders: BTreeMap<OrderId, Order>,
}

impl Settling {
    const fn of(version: u32) -> Self {
        Self { version, position: Position::START, begun: false, orders: BTreeMap::new() }
    }

    fn take(&mut self, recorded: &Recorded) {
        self.position = recorded.position;
        match &recorded.event {
            Event::Order(OrderEvent::OrderAccepted { accepted })
                if accepted.admission.offer_version == self.version =>
            {
                self.orders.insert(accepted.order_id, Order::default());
            }
            Event::Order(event) => {
                if let Some(order) = self.orders.get_mut(&event.order_id()) {
                    order.apply(event);
                }
            }
            Event::Spotlight(SpotlightEvent::OfferWithdrawn { offer_version, .. })
                if *offer_version == self.version =>
            {
                // what was over by then is none of it
                self.begun = true;
                self.orders.retain(|_, order| !is_over(order));
            }
            _ => {}
        }
    }

    /// How far it has come, but for what waits for somebody.
    fn progress(&self, settle: Settle) -> Withdrawal {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let done = self.orders.values().filter(|order| is_settled(order, settle)).count();
        let (total, done) = (count(self.orders.len()), count(done));
        let open = done < total;
        Withdrawal { offer_version: self.version, settle, total, done, failed: 0, open }
    }
}

const fn refunds_done(order: &Order) -> bool {
    order.refunded_minor >= order.refund_asked_minor
}

/// Whether nothing is left to settle: it is unsold, or all of it went back.
const fn is_over(order: &Order) -> bool {
    let unsold = matches!(order.end, OrderEnd::Failed | OrderEnd::Cancelled);
    let sold = matches!(order.end, OrderEnd::Confirmed);
    refunds_done(order) && (unsold || sold && order.refunded_minor >= order.captured_minor)
}

const fn is_settled(order: &Order, settle: Settle) -> bool {
    match settle {
        Settle::Cancel => is_over(order),
        Settle::Honour => !matches!(order.end, OrderEnd::Open) && refunds_done(order),
    }
}

/// Whether it is still to be called off, or given back.
const fn is_due(order: &Order) -> bool {
    match order.end {
        OrderEnd::Open => true,
        OrderEnd::Confirmed => {
            refunds_done(order) && order.refund_asked_minor < order.captured_minor
        }
        OrderEnd::Failed | OrderEnd::Cancelled => false,
    }
}

impl Process {
    /// Goes on with every withdrawal that is not settled.
    pub(super) async fn settle_withdrawals(&self) -> Result<(), PortError> {
        let open = self.ports.board.withdrawing(WITHDRAWALS_MAX).await?;
        let ids: Vec<SpotlightId> = open.iter().map(|spotlight| spotlight.id).collect();
        self.withdrawals.lock().retain(|spotlight, _| ids.contains(spotlight));
        let mut outcome = Ok(());
        for spotlight in open {
            let Some(withdrawal) = spotlight.withdrawal else { continue };
            let known = self.withdrawals.lock().remove(&spotlight.id);
            let mut settling = known
                .filter(|known| known.version == withdrawal.offer_version)
                .unwrap_or_else(|| Settling::of(withdrawal.offer_version));
            let worked = self.settle(&spotlight, withdrawal, &mut settling).await;
            self.withdrawals.lock().insert(spotlight.id, settling);
            outcome = outcome.and(worked);
        }
        outcome
    }

    async fn settle(
        &self,
        spotlight: &SpotlightView,
        known: Withdrawal,
        settling: &mut Settling,
    ) -> Result<(), PortError> {
        loop {
            let after = settling.position;
            let events = self.ports.store.read_key(spotlight.id.into(), after, READ_MAX).await?;
            for recorded in &events {
                settling.take(recorded);
            }
            if events.len() < READ_MAX {
                break;
            }
        }
        if !settling.begun {
            return Ok(());
        }
        if known.settle == Settle::Cancel {
            let now = self.ports.clock.now();
            let due = settling.orders.iter().filter(|(_, order)| is_due(order));
            let records: Vec<CommandRecord> = due
                .map(|(order, _)| self.withdrawing(spotlight, *order))
                .filter(|record| self.remembered.may(record.command_id, now))
                .take(SWEEP_MAX)
                .collect();
            self.append_all(records).await?;
        }
        let mut progress = settling.progress(known.settle);
        progress.failed = self.stuck(settling, known.settle).await?;
        if progress == known {
            return Ok(());
        }
        self.append(&self.reporting(spotlight, known, progress)).await
    }

    /// Orders whose refund waits for somebody.
    async fn stuck(&self, settling: &Settling, settle: Settle) -> Result<u64, PortError> {
        let waiting: Vec<String> = settling
            .orders
            .iter()
            .filter(|(_, order)| !is_settled(order, settle) && !refunds_done(order))
            .map(|(order, _)| order.to_string())
            .collect();
        let mut stuck = 0;
        for some in waiting.chunks(SWEEP_MAX) {
            let parked = self.ports.store.parked_among(some).await?;
            stuck += u64::try_from(parked.len()).unwrap_or(u64::MAX);
        }
        Ok(stuck)
    }

    fn withdrawing(&self, spotlight: &SpotlightView, order_id: OrderId) -> CommandRecord {
        let purpose = Purpose { name: "withdraw_order", parts: &[order_id.0.as_bytes()] };
        let command = OrderCommand::WithdrawOrder { order_id };
        self.about_withdrawal(
            &purpose,
            spotlight,
            CorrelationId(order_id.0),
            Command::Order { command },
        )
    }

    fn reporting(
        &self,
        spotlight: &SpotlightView,
        known: Withdrawal,
        withdrawal: Withdrawal,
    ) -> CommandRecord {
        let told = serde_json::to_vec(&(known, withdrawal)).unwrap_or_default();
        let parts = [spotlight.id.0.as_bytes().as_slice(), &told];
        let purpose = Purpose { name: "report_withdrawal", parts: &parts };
        let command = SpotlightCommand::ReportWithdrawal { withdrawal };
        let correlation = CorrelationId(spotlight.broadcast_id.0);
        self.about_withdrawal(&purpose, spotlight, correlation, Command::Spotlight { command })
    }

    fn about_withdrawal(
        &self,
        purpose: &Purpose<'_>,
        spotlight: &SpotlightView,
        correlation: CorrelationId,
        command: Command,
    ) -> CommandRecord {
        let proposal = Proposal {
            seller: spotlight.seller.clone(),
            key: spotlight.id.into(),
            correlation,
            causation: None,
            command,
        };
        self.proposal(purpose, proposal)
    }
}
