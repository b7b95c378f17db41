//! Parked commands whose deadline has passed: an accepted order ends, whatever is wrong with it
//! (design rule 9).

use domain::command::{Command, CommandRecord};
use domain::envelope::Source;
use domain::ids::{CommandId, derive_id};
use domain::order::OrderCommand;
use domain::payment::PaymentResult;
use domain::ports::{ParkedCommand, ParkedVerb, PortError};

use super::proposals::{Proposal, Purpose};
use super::{Process, SWEEP_MAX};
use crate::faults::{PROCESS_AFTER_RETRY, PROCESS_BEFORE_RETRY};

impl Process {
    /// Fails the orders of parked commands that are due and lets their sequences go on.
    pub(super) async fn fail_parked(&self) -> Result<(), PortError> {
        let now = self.ports.clock.now();
        let due = self.ports.store.parked_due(now, SWEEP_MAX).await?;
        let (retried, ended): (Vec<_>, Vec<_>) = due.into_iter().partition(is_retried);
        self.retry(retried).await?;
        for parked in ended {
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

    /// Appends commands again that somebody wants decided once more, each sequence in its order. Their
    /// sequences go on before, because what is parked would wait behind itself; they are settled
    /// after, so that a crash in between has them appended again, and known by their ids.
    async fn retry(&self, mut retried: Vec<ParkedCommand>) -> Result<(), PortError> {
        if self.ports.log.is_down() {
            return Ok(());
        }
        retried.sort_by_key(|parked| (parked.source.partition, parked.source.offset));
        for parked in &retried {
            self.ports.store.unpark(&parked.source).await?;
        }
        if !retried.is_empty() {
            self.ports.faults.at(PROCESS_BEFORE_RETRY).await?;
        }
        for parked in &retried {
            let (author, reason) = parked
                .action
                .as_ref()
                .map_or(("", ""), |action| (action.author.as_str(), action.reason.as_str()));
            tracing::info!(
                sequence = %parked.sequence, offset = parked.source.offset, author, reason,
                "a parked command is decided again"
            );
            if let Some(record) = again(parked) {
                self.append(&record).await?;
            }
        }
        if !retried.is_empty() {
            self.ports.faults.at(PROCESS_AFTER_RETRY).await?;
        }
        for parked in &retried {
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

fn is_retried(parked: &ParkedCommand) -> bool {
    parked.action.as_ref().is_some_and(|action| action.verb == ParkedVerb::Retry)
}

/// The record as it is appended once more: under an id of its own, since the old one was decided,
/// and without the gate's entry of a host's command, which its re-drive ends. An order is known by
/// its stream; a refund that failed is asked for again by itself.
fn again(parked: &ParkedCommand) -> Option<CommandRecord> {
    let mut record: CommandRecord = serde_json::from_slice(&parked.value).ok()?;
    match &mut record.command {
        Command::Order { command: OrderCommand::PlaceOrder { .. } } => return Some(record),
        Command::Order {
            command:
                OrderCommand::RecordPayment { result: PaymentResult::RefundFailed { .. }, .. }
                | OrderCommand::TellPayment { result: PaymentResult::RefundFailed { .. }, .. },
        } => return None,
        Command::Spotlight { command } => command.forget_admission(),
        _ => {}
    }
    let Source { topic, partition, offset } = &parked.source;
    let parts = [topic.as_bytes(), &partition.to_be_bytes(), &offset.to_be_bytes()];
    record.command_id = CommandId(derive_id("retry_parked", &parts));
    Some(record)
}
