//! A host's command: what narrows acts on the gate first, and the answer waits until everybody has
//! applied the decision (design rules 11 and 14).

use std::time::Duration;

use domain::Timestamp;
use domain::admission::Admission;
use domain::command::{Command, CommandRecord};
use domain::envelope::Position;
use domain::ids::{OrderId, SpotlightId};
use domain::ports::{
    AppendError, CommandOutcome, Entry, EntryState, Narrow, Narrowed, Narrowing, StoredOutcome,
};
use domain::spotlight::SpotlightCommand;

use super::place::admit_record;
use super::{
    APPLIED_PAUSE, DECISION_BOUND, Intake, NARROW_LOOK_BOUND, PlaceRefusal, SOLD_OUT_STALENESS,
};
use crate::clock::between;

/// A command that was decided, and that gate and read models have applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// The position to read at.
    pub position: Position,
}

/// Why a host's command has no decision to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostRefusal {
    /// No such thing of this seller.
    #[error("it does not exist")]
    NotFound,
    /// The log said no.
    #[error("{detail}")]
    Refused {
        /// The stable code.
        code: String,
        /// In words.
        detail: String,
    },
    /// The id is that of another request: the key was used with another body.
    #[error("the idempotency key was used with another body")]
    KeyReused,
    /// Fewer units are free than are to be taken away.
    #[error("only {remaining} units are free")]
    BelowCommitted {
        /// What remains.
        remaining: i64,
    },
    /// The viewer would have more units than the limit.
    #[error("more units than the limit of {limit} per viewer")]
    OverLimit {
        /// The limit.
        limit: u32,
        /// The viewer's order that holds units.
        open_order: Option<OrderId>,
    },
    /// The gate cannot answer; nothing was done.
    #[error("the stock cannot be asked")]
    StockUnavailable,
    /// The event store cannot be asked; nothing was done.
    #[error("the event store cannot be asked")]
    StoreUnavailable,
    /// The command log is down; nothing was done, or it was undone.
    #[error("the command log is not available")]
    LogUnavailable,
    /// It may have been accepted; the same again finds out.
    #[error("it is not known whether the command was accepted")]
    OutcomeUnknown,
    /// It was accepted and not everybody has applied its decision yet.
    #[error("the decision is on its way")]
    DecisionPending,
    /// It could not be processed.
    #[error("the command was put aside")]
    Parked,
}

impl HostRefusal {
    /// The stable code of the API.
    pub fn code(&self) -> &str {
        match self {
            Self::NotFound => "not_found",
            Self::Refused { code, .. } => code,
            Self::KeyReused => "idempotency_key_reused",
            Self::BelowCommitted { .. } => "below_committed",
            Self::OverLimit { .. } => "over_limit",
            Self::StockUnavailable | Self::LogUnavailable => "stock_unavailable",
            Self::StoreUnavailable => "unavailable",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::DecisionPending => "decision_pending",
            Self::Parked => "parked",
        }
    }

    fn refused(code: &str, detail: &str) -> Self {
        Self::Refused { code: code.to_owned(), detail: detail.to_owned() }
    }
}

impl Intake {
    /// Sends a command whose repeat is recognised by its id: a host's, or a cancellation. The same
    /// id again gives the same decision, and with another request none.
    ///
    /// # Errors
    /// [`HostRefusal`].
    pub async fn submit(&self, mut record: CommandRecord) -> Result<Decided, HostRefusal> {
        let started = self.ports.clock.now();
        let narrow = narrow_of(&record);
        let decided = match self.look(&record, narrow.is_some()).await {
            Ok(Some(outcome)) => outcome,
            // what narrows works at the gate, also while the store is away (design §6)
            Err(_) if narrow.is_none() => return Err(HostRefusal::StoreUnavailable),
            looked => {
                self.send(&mut record, narrow, looked.is_ok(), started).await?;
                let left = self.remaining(started).unwrap_or(Duration::ZERO);
                self.within(left, self.await_outcome(&record, started)).await?
            }
        };
        if decided.request.is_some_and(|request| request != record.request()) {
            return Err(HostRefusal::KeyReused);
        }
        match decided.outcome {
            CommandOutcome::Done => {}
            CommandOutcome::Refused { code, detail } => {
                return Err(HostRefusal::Refused { code, detail });
            }
            CommandOutcome::Parked => return Err(HostRefusal::Parked),
        }
        self.await_applied(&record, decided.position, started).await?;
        if let Command::Spotlight { command } = &record.command {
            self.verdicts.forget(SpotlightId(record.key.0));
            if matches!(command, SpotlightCommand::AdjustStock { delta: 1.., .. }) {
                // what the host has added is on sale with the answer: also the other nodes' verdicts
                // have run out, and the gate's lease with them
                self.ports.clock.sleep(SOLD_OUT_STALENESS).await;
            }
        }
        Ok(Decided { position: decided.position })
    }

    /// Puts a command into the log and asks for no decision; durable once it returns.
    ///
    /// # Errors
    /// [`AppendError`]: the log refused it, or did not acknowledge it in time.
    pub async fn append(&self, record: &CommandRecord) -> Result<(), AppendError> {
        self.ports.log.append(record).await.map(drop)
    }

    async fn outcome(&self, record: &CommandRecord) -> Result<Option<StoredOutcome>, HostRefusal> {
        let outcomes = self.ports.events.outcomes(&[record.command_id]).await;
        let mut outcomes = outcomes.map_err(|_| HostRefusal::DecisionPending)?;
        Ok(outcomes.remove(&record.command_id))
    }

    /// Whether the command was decided before; where it narrows, the gate does not wait long for
    /// the answer.
    async fn look(
        &self,
        record: &CommandRecord,
        narrows: bool,
    ) -> Result<Option<StoredOutcome>, HostRefusal> {
        let bound = if narrows { NARROW_LOOK_BOUND } else { DECISION_BOUND };
        self.within(bound, self.outcome(record)).await
    }

    async fn within<T>(
        &self,
        bound: Duration,
        answer: impl Future<Output = Result<T, HostRefusal>>,
    ) -> Result<T, HostRefusal> {
        tokio::select! {
            biased;
            answer = answer => answer,
            () = self.ports.clock.sleep(bound) => Err(HostRefusal::DecisionPending),
        }
    }

    async fn send(
        &self,
        record: &mut CommandRecord,
        narrow: Option<Narrow>,
        store_answers: bool,
        started: Timestamp,
    ) -> Result<(), HostRefusal> {
        if self.ports.log.is_down() {
            return Err(HostRefusal::LogUnavailable);
        }
        let mut fresh = false;
        if let Some(narrow) = &narrow
            && let Some(entered) = self.narrow(narrow, may_be_closed(record), started).await?
        {
            admit_record(record, entered.admission, None);
            fresh = entered.fresh;
            if fresh && store_answers && self.decided_meanwhile(record, narrow).await? {
                return Ok(());
            }
        }
        let left = self.remaining(started).unwrap_or(Duration::ZERO);
        let appended = tokio::select! {
            biased;
            appended = self.ports.log.append(record) => appended,
            // an entry of the gate stays, and is appended again until it is decided
            () = self.ports.clock.sleep(left) => return Err(match narrow {
                Some(_) => HostRefusal::DecisionPending,
                None => HostRefusal::OutcomeUnknown,
            }),
        };
        match appended {
            Ok(_) => Ok(()),
            Err(AppendError::Unknown(_)) => Err(HostRefusal::OutcomeUnknown),
            Err(AppendError::Refused(_)) => match narrow.filter(|_| fresh) {
                None => Err(HostRefusal::LogUnavailable),
                Some(narrow) => {
                    let undone = self.ports.gate.cancel_unsent(narrow.spotlight, narrow.entry);
                    match undone.await {
                        Ok(true) => Err(HostRefusal::LogUnavailable),
                        _ => Err(HostRefusal::OutcomeUnknown),
                    }
                }
            },
        }
    }

    /// An earlier try of the command was decided, and the gate applied it, before it narrowed for
    /// this one (it may have been lost and rebuilt in between): no event would end this entry.
    async fn decided_meanwhile(
        &self,
        record: &CommandRecord,
        narrow: &Narrow,
    ) -> Result<bool, HostRefusal> {
        if self.outcome(record).await?.is_none() {
            return Ok(false);
        }
        match self.ports.gate.cancel_unsent(narrow.spotlight, narrow.entry).await {
            Ok(_) => Ok(true),
            Err(_) => Err(HostRefusal::OutcomeUnknown),
        }
    }

    /// Acts on the gate; nothing where the gate has nothing left to do.
    async fn narrow(
        &self,
        narrow: &Narrow,
        may_be_closed: bool,
        started: Timestamp,
    ) -> Result<Option<Entered>, HostRefusal> {
        let mut failed = false;
        loop {
            let Ok(narrowed) = self.ports.gate.narrow(narrow).await else {
                if std::mem::replace(&mut failed, true) {
                    return Err(HostRefusal::OutcomeUnknown);
                }
                continue;
            };
            return match narrowed {
                Narrowed::Done { admission } => Ok(Some(Entered { admission, fresh: true })),
                // under this entry's admission nothing else may be decided
                Narrowed::SameAgain { entry } if asks_otherwise(&entry, narrow) => {
                    Err(HostRefusal::KeyReused)
                }
                Narrowed::SameAgain { entry } => {
                    let pending = entry.state == EntryState::Pending;
                    Ok(pending.then_some(Entered { admission: entry.admission, fresh: false }))
                }
                Narrowed::BelowCommitted { remaining } => {
                    Err(HostRefusal::BelowCommitted { remaining })
                }
                Narrowed::OverLimit { limit, open_order } => {
                    Err(HostRefusal::OverLimit { limit, open_order })
                }
                Narrowed::UnknownSku => {
                    Err(HostRefusal::refused("unknown_sku", "the spotlight has no such SKU"))
                }
                Narrowed::Closed if may_be_closed => Ok(None),
                Narrowed::Closed => Err(HostRefusal::refused("closed", "the spotlight is closed")),
                Narrowed::NoState => {
                    match self.await_gate(narrow.spotlight, &narrow.seller, started).await {
                        Ok(()) => continue,
                        Err(PlaceRefusal::NotFound) => Err(HostRefusal::NotFound),
                        Err(_) => Err(HostRefusal::StockUnavailable),
                    }
                }
            };
        }
    }

    fn remaining(&self, started: Timestamp) -> Option<Duration> {
        let spent = between(started, self.ports.clock.now());
        DECISION_BOUND.checked_sub(spent).filter(|left| !left.is_zero())
    }

    async fn await_outcome(
        &self,
        record: &CommandRecord,
        started: Timestamp,
    ) -> Result<StoredOutcome, HostRefusal> {
        loop {
            let head = self.ports.events.head().await.map_err(|_| HostRefusal::DecisionPending)?;
            if let Some(outcome) = self.outcome(record).await? {
                return Ok(outcome);
            }
            let left = self.remaining(started).ok_or(HostRefusal::DecisionPending)?;
            // a refusal has no event that would wake: look again soon
            tokio::select! {
                biased;
                () = self.ports.events.wait(head) => {}
                () = self.ports.clock.sleep(left.min(APPLIED_PAUSE)) => {}
            }
        }
    }

    async fn await_applied(
        &self,
        record: &CommandRecord,
        position: Position,
        started: Timestamp,
    ) -> Result<(), HostRefusal> {
        if matches!(record.command, Command::Spotlight { .. }) {
            let spotlight = SpotlightId(record.key.0);
            loop {
                let view = self.ports.gate.view(spotlight).await.ok().flatten();
                if view.is_some_and(|view| view.applied >= position) {
                    break;
                }
                let left = self.remaining(started).ok_or(HostRefusal::DecisionPending)?;
                self.ports.clock.sleep(left.min(APPLIED_PAUSE)).await;
            }
        }
        let left = self.remaining(started).unwrap_or(Duration::ZERO);
        if self.ports.read_models.wait_applied(position, left).await {
            Ok(())
        } else {
            Err(HostRefusal::DecisionPending)
        }
    }
}

struct Entered {
    admission: Admission,
    fresh: bool,
}

/// Whether a closed gate has nothing to do for it: closing once more has no effect, and the orders of
/// an offer are settled after its sale as well.
const fn may_be_closed(record: &CommandRecord) -> bool {
    matches!(
        record.command,
        Command::Spotlight {
            command: SpotlightCommand::CloseSpotlight { .. }
                | SpotlightCommand::WithdrawOffer { .. }
        }
    )
}

/// Whether an entry that waits for its decision was made by another request than this one.
fn asks_otherwise(entry: &Entry, narrow: &Narrow) -> bool {
    let request = |command: &str| {
        serde_json::from_str(command).ok().map(|record: CommandRecord| record.request())
    };
    let made_by = entry.command.as_deref().and_then(request);
    made_by.is_some_and(|made_by| Some(made_by) != request(&narrow.command))
}

/// What the gate does before the log, where the command narrows.
pub(crate) fn narrow_of(record: &CommandRecord) -> Option<Narrow> {
    let Command::Spotlight { command } = &record.command else { return None };
    let narrowing = match command {
        SpotlightCommand::PauseSpotlight { .. } | SpotlightCommand::WithdrawOffer { .. } => {
            Narrowing::Pause
        }
        SpotlightCommand::CloseSpotlight { .. } => Narrowing::Close,
        SpotlightCommand::JoinWaitlist { wait, .. } => {
            Narrowing::Wait { viewer: wait.viewer_ref.clone(), units: wait.lines.units() }
        }
        SpotlightCommand::ChangeOffer { .. } => Narrowing::ChangeOffer,
        SpotlightCommand::AdjustStock { sku, delta, .. } if *delta < 0 => Narrowing::Reduce {
            sku: sku.clone(),
            units: u32::try_from(delta.unsigned_abs()).unwrap_or(u32::MAX),
        },
        _ => return None,
    };
    Some(Narrow {
        spotlight: SpotlightId(record.key.0),
        seller: record.seller.clone(),
        entry: record.command_id.0,
        narrowing,
        command: serde_json::to_string(record).ok()?,
    })
}
