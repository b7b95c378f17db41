//! Spotlights whose time has come: to open, to close, or because their broadcast has ended.

use domain::broadcast::BroadcastStatus;
use domain::command::{Command, CommandRecord};
use domain::ids::CorrelationId;
use domain::ports::{EntryState, Narrowed, PortError};
use domain::spotlight::{Cause, SpotlightCommand, SpotlightStatus};
use domain::views::SpotlightView;

use super::proposals::{Proposal, Purpose};
use super::{Process, SWEEP_MAX};
use crate::intake::{admit_record, narrow_of};

impl Process {
    /// Proposes what is due; closing acts on the gate first (design rule 11).
    pub(super) async fn keep_schedules(&self) -> Result<(), PortError> {
        let now = self.ports.clock.now();
        let mut outcome = Ok(());
        for spotlight in self.ports.board.due(now, SWEEP_MAX).await? {
            let broadcast = self.ports.board.broadcast(spotlight.broadcast_id).await?;
            let over = broadcast.is_some_and(|known| known.status == BroadcastStatus::Ended);
            let mut record = self.due_command(&spotlight, over);
            if !self.remembered.may(record.command_id, now) {
                continue;
            }
            let sent = match self.close_gate(&mut record).await {
                Ok(()) => self.append(&record).await,
                Err(error) => {
                    self.remembered.forget(record.command_id);
                    Err(error)
                }
            };
            outcome = outcome.and(sent);
        }
        outcome
    }

    fn due_command(&self, spotlight: &SpotlightView, over: bool) -> CommandRecord {
        let (name, command) = if over {
            ("close_ended", close(Cause::BroadcastEnded))
        } else if spotlight.status == SpotlightStatus::Scheduled {
            ("open_scheduled", SpotlightCommand::OpenSpotlight { cause: Cause::Schedule })
        } else {
            ("close_scheduled", close(Cause::Schedule))
        };
        let purpose = Purpose { name, parts: &[spotlight.id.0.as_bytes()] };
        let proposal = Proposal {
            seller: spotlight.seller.clone(),
            key: spotlight.id.into(),
            correlation: CorrelationId(spotlight.broadcast_id.0),
            causation: None,
            command: Command::Spotlight { command },
        };
        self.proposal(&purpose, proposal)
    }

    /// Shuts the gate, where the command closes. A gate without state takes no order; it learns of
    /// the end when it is rebuilt.
    async fn close_gate(&self, record: &mut CommandRecord) -> Result<(), PortError> {
        let Some(narrow) = narrow_of(record) else { return Ok(()) };
        match self.ports.gate.narrow(&narrow).await? {
            Narrowed::Done { admission } => admit_record(record, admission, None),
            Narrowed::SameAgain { entry } if entry.state == EntryState::Pending => {
                admit_record(record, entry.admission, None);
            }
            Narrowed::NoState => {
                self.ports.rebuilder.ensure(narrow.spotlight).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

const fn close(cause: Cause) -> SpotlightCommand {
    SpotlightCommand::CloseSpotlight { cause, reason: None, admission: None }
}
