//! Holds that have run out.

use domain::command::{Command, CommandRecord};
use domain::ids::CorrelationId;
use domain::order::OrderCommand;
use domain::ports::PortError;
use domain::views::OrderView;

use super::proposals::{Proposal, Purpose};
use super::{Process, SWEEP_MAX};

impl Process {
    /// Proposes the end of every hold that is due; the writer looks at its own clock again.
    pub(super) async fn expire_holds(&self) -> Result<(), PortError> {
        let now = self.ports.clock.now();
        let due = self.ports.orders.due_holds(now, SWEEP_MAX).await?;
        let records: Vec<CommandRecord> = due
            .iter()
            .map(|order| self.expiry(order))
            .filter(|record| self.remembered.may(record.command_id, now))
            .collect();
        self.append_all(records).await
    }

    fn expiry(&self, order: &OrderView) -> CommandRecord {
        let deadline = order.hold_expires_at.map_or(0, |at| at.timestamp_micros());
        let parts = [order.id.0.as_bytes().as_slice(), &deadline.to_be_bytes()];
        let purpose = Purpose { name: "expire_hold", parts: &parts };
        let command = OrderCommand::ExpireHold { order_id: order.id };
        let proposal = Proposal {
            seller: order.seller.clone(),
            key: order.spotlight_id.into(),
            correlation: CorrelationId(order.id.0),
            causation: None,
            command: Command::Order { command },
        };
        self.proposal(&purpose, proposal)
    }
}
