//! Money that came after the hold had run out: the order asks the gate for its units once more, like
//! any order, and is turned away where it has none.

use domain::command::{Command, CommandRecord};
use domain::ids::{CorrelationId, OrderId};
use domain::line::{Lines, PricedLine};
use domain::order::{Accepted, OrderCommand};
use domain::ports::{Entry, EntryState, PortError, Take, TakeOutcome};

use super::Process;
use super::in_hand::Next;
use super::payment::Payment;
use super::proposals::{Proposal, Purpose};
use crate::intake::admit_record;

impl Process {
    /// Asks the gate, and sends what it said. The gate keeps the command until an event ends its
    /// entry, so that the re-driver sends it again.
    pub(super) async fn take_again(
        &self,
        order: OrderId,
        payment: &Payment,
    ) -> Result<Next, PortError> {
        let Some(accepted) = payment.accepted() else { return Ok(Next::Event) };
        let asks = OrderCommand::TakeAgain { order_id: order, admission: None };
        let Some(mut record) = self.about(order, payment, "take_again", asks) else {
            return Ok(Next::Event);
        };
        let Some(take) = take_of(accepted, &record) else { return Ok(Next::Event) };
        let admission = match self.ports.gate.take(&take).await? {
            TakeOutcome::Taken { admission, .. } => admission,
            TakeOutcome::SameAgain { entry, .. } if is_second(&entry) => entry.admission,
            // the gate has not heard of the release yet, or the log has answered already
            TakeOutcome::SameAgain { .. } => {
                return Ok(Next::Ask(payment.final_at(self.config.payment_final)));
            }
            TakeOutcome::NoState => {
                self.ports.rebuilder.ensure(accepted.spotlight_id).await?;
                return self.wait_or_turn_away(order, payment).await;
            }
            TakeOutcome::Stale | TakeOutcome::Changing => {
                return self.wait_or_turn_away(order, payment).await;
            }
            refused => {
                tracing::info!(%order, ?refused, "a late payment found no units");
                return self.turn_away(order, payment).await;
            }
        };
        admit_record(&mut record, admission, None);
        self.append(&record).await?;
        Ok(Next::Recheck)
    }

    /// A gate that cannot answer is asked again, as long as a payment may wait for its answer.
    async fn wait_or_turn_away(
        &self,
        order: OrderId,
        payment: &Payment,
    ) -> Result<Next, PortError> {
        let latest = payment.final_at(self.config.payment_final);
        if latest.is_some_and(|at| at <= self.ports.clock.now()) {
            return self.turn_away(order, payment).await;
        }
        Ok(Next::Ask(latest))
    }

    async fn turn_away(&self, order: OrderId, payment: &Payment) -> Result<Next, PortError> {
        let command = OrderCommand::TurnAway { order_id: order };
        if let Some(record) = self.about(order, payment, "turn_away", command) {
            self.append(&record).await?;
        }
        Ok(Next::Recheck)
    }

    /// A proposal about an order, once per purpose.
    fn about(
        &self,
        order: OrderId,
        payment: &Payment,
        name: &'static str,
        command: OrderCommand,
    ) -> Option<CommandRecord> {
        let (seller, key, _) = payment.home.clone()?;
        let purpose = Purpose { name, parts: &[order.0.as_bytes()] };
        let proposal = Proposal {
            seller,
            key,
            correlation: CorrelationId(order.0),
            causation: payment.causation,
            command: Command::Order { command },
        };
        Some(self.proposal(&purpose, proposal))
    }
}

/// Whether an entry waits for the decision of a second take; it may still be that of the first.
fn is_second(entry: &Entry) -> bool {
    let record = entry.command.as_deref().and_then(|text| serde_json::from_str(text).ok());
    entry.state == EntryState::Pending
        && matches!(
            record,
            Some(CommandRecord {
                command: Command::Order { command: OrderCommand::TakeAgain { .. } },
                ..
            })
        )
}

/// What is asked of the gate; the same order, once more.
fn take_of(accepted: &Accepted, record: &CommandRecord) -> Option<Take> {
    let lines = accepted.lines.iter().map(PricedLine::unpriced).collect();
    Some(Take {
        spotlight: accepted.spotlight_id,
        seller: record.seller.clone(),
        order: accepted.order_id,
        viewer: accepted.viewer_ref.clone(),
        lines: Lines::try_new(lines).ok()?,
        offer_version: accepted.admission.offer_version,
        fingerprint: accepted.body_fingerprint.clone(),
        again: true,
        command: serde_json::to_string(record).ok()?,
    })
}
