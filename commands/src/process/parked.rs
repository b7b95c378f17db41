//! Parked commands whose deadline has passed: an accepted order ends, whatever is wrong with it
//! (design rule 9).

use domain::command::{Command, CommandRecord};
use domain::order::OrderCommand;
use domain::ports::{ParkedCommand, PortError};

use super::proposals::{Proposal, Purpose};
use super::{Process, SWEEP_MAX};

impl Process {
    /// Fails the orders of parked commands that are due and lets their sequences go on.
    pub(super) async fn fail_parked(&self) -> Result<(), PortError> {
        let now = self.ports.clock.now();
        for parked in self.ports.store.parked_due(now, SWEEP_MAX).await? {
            if let Some(record) = self.failing(&parked) {
                // settled only once it is in the log: until then it is due again
                self.append(&record).await?;
            } else {
                tracing::warn!(
                    sequence = %parked.sequence, offset = parked.source.offset,
                    "a parked command was let go at its deadline"
                );
            }
            self.ports.store.settle_parked(&parked.source).await?;
        }
        Ok(())
    }

    /// An order whose answer cannot be taken in ends as well as one that could not be placed; other
    /// commands are proposed again, or somebody was told.
    fn failing(&self, parked: &ParkedCommand) -> Option<CommandRecord> {
        let record: CommandRecord = serde_json::from_slice(&parked.value).ok()?;
        let command = match record.command {
            Command::Order {
                command: OrderCommand::PlaceOrder { place } | OrderCommand::FailParked { place },
            } => OrderCommand::FailParked { place },
            Command::Order {
                command:
                    OrderCommand::RecordPayment { order_id, .. }
                    | OrderCommand::TellPayment { order_id, .. },
            } => OrderCommand::EndParked { order_id },
            _ => return None,
        };
        let purpose = Purpose {
            name: "fail_parked",
            parts: &[
                parked.source.topic.as_bytes(),
                &parked.source.partition.to_be_bytes(),
                &parked.source.offset.to_be_bytes(),
            ],
        };
        let proposal = Proposal {
            seller: record.seller,
            key: record.key,
            correlation: record.correlation,
            causation: None,
            command: Command::Order { command },
        };
        Some(self.proposal(&purpose, proposal))
    }
}
