//! Entries of the gate that no event has ended: their commands are appended again.

use domain::command::{Command, CommandRecord};
use domain::order::OrderCommand;
use domain::ports::{PendingEntry, PortError};
use metrics::counter;

use super::{Process, SWEEP_MAX};
use crate::clock::delta;
use crate::faults::PROCESS_AFTER_CLAIM;
use crate::intake::{REDRIVE_AFTER, VOID_AFTER, admit_record};
use crate::metrics::PROCESS_PROPOSALS_TOTAL;

impl Process {
    /// Appends the commands of entries that are too old. Whether anybody was promised anything is
    /// not known here: a promised command stands in the log already, before this one, and wins;
    /// any other was not promised, and is void after [`VOID_AFTER`] (design rule 7).
    pub(super) async fn redrive(&self) -> Result<(), PortError> {
        let entries = self.ports.gate.claim_pending(REDRIVE_AFTER, SWEEP_MAX).await?;
        self.ports.faults.at(PROCESS_AFTER_CLAIM).await?;
        self.append_all(entries.iter().filter_map(redriven).collect()).await
    }
}

fn redriven(entry: &PendingEntry) -> Option<CommandRecord> {
    let mut record: CommandRecord = match serde_json::from_str(&entry.command) {
        Ok(record) => record,
        Err(error) => {
            tracing::error!(
                spotlight = %entry.spotlight, entry = %entry.entry,
                "the command of a gate's entry does not parse: {error}"
            );
            return None;
        }
    };
    let is_order =
        matches!(&record.command, Command::Order { command: OrderCommand::PlaceOrder { .. } });
    let void_after = is_order.then(|| entry.admission.at + delta(VOID_AFTER));
    admit_record(&mut record, entry.admission, void_after);
    counter!(PROCESS_PROPOSALS_TOTAL, "purpose" => "redrive").increment(1);
    Some(record)
}
