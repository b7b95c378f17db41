//! Gates that know nothing: unknown, not there yet, or lost and rebuilt (design §6).
//!
//! When may a gate simply begin with the events of its spotlight, at epoch 1? Only where none can
//! have admitted anything before: an acknowledged command of a lost gate may stand undecided in the
//! command log, and a gate that began again from the store would sell its units a second time. The
//! store cannot tell a gate that never was from one that was lost before its first decision. Two
//! things can: the projection is handed `SpotlightScheduled` in order, and creates the gate then, if
//! no later event shows that a gate has acted; and everybody else leaves a young spotlight to the
//! projection for [`APPLY_GRACE`], and has an older one rebuilt. A rebuild is always safe: its event
//! comes after every command that was acknowledged before it. What is left is a Redis that loses a
//! gate before its first decision while the projection is handed the same first events again: then
//! the log reserves orders of epoch 1 that the gate does not hold, it says so, and is rebuilt; the
//! writer's ledger has refused what was too much.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::actor::Actor;
use domain::command::{Command, CommandRecord};
use domain::envelope::Position;
use domain::ids::{CommandId, CorrelationId, SellerId, SpotlightId, StreamKey};
use domain::ports::{
    AppendError, Applied, Clock, CommandLog, CommandOutcome, EventReader, Ids, Loaded, PortError,
    StockGate,
};
use domain::spotlight::SpotlightCommand;
use metrics::counter;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::folded::Folded;
use crate::metrics::GATE_REBUILDS_TOTAL;

/// How long a spotlight that the store does not have is taken for unknown without asking again.
pub const UNKNOWN_FOR: Duration = Duration::from_secs(1);
/// Unknown spotlights that are remembered.
pub const UNKNOWN_MAX: usize = 10_000;
/// How long after it was scheduled a spotlight's gate is left to the projection.
pub const APPLY_GRACE: Duration = Duration::from_secs(3);
/// How long after a gate was reopened its loading is left to whoever reopened it.
pub const REOPEN_GRACE: Duration = Duration::from_secs(2);
/// How long a rebuild waits for the decision of its command.
pub const DECISION_BOUND: Duration = Duration::from_secs(5);
/// The pause between two looks for it.
const DECISION_PAUSE: Duration = Duration::from_millis(10);
/// Events that are applied at once when a loaded gate catches up.
const CATCH_UP: usize = 500;

/// What the store and the gate know of a spotlight together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The store has no such spotlight.
    Unknown,
    /// The gate has its state.
    Ready,
    /// The gate is being rebuilt, or is about to hear of the spotlight.
    Rebuilding,
}

/// What a [`Rebuilder`] works with.
#[derive(Clone)]
pub struct RebuildPorts {
    /// The gates.
    pub gate: Arc<dyn StockGate>,
    /// The store.
    pub reader: Arc<dyn EventReader>,
    /// Where `ReopenGate` goes.
    pub log: Arc<dyn CommandLog>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Rebuilds gates, one at a time for each spotlight in this process; shared by whoever meets one
/// that knows nothing.
pub struct Rebuilder {
    ports: RebuildPorts,
    in_flight: Mutex<BTreeSet<SpotlightId>>,
    /// The commands of this process that may have reopened a gate which nobody has loaded yet.
    reopening: Mutex<BTreeMap<SpotlightId, CommandId>>,
    unknown: Mutex<BTreeMap<SpotlightId, Timestamp>>,
    wanted: Mutex<BTreeSet<SpotlightId>>,
    asked: Notify,
    actor: Actor,
}

/// Ends a flight also when its future is dropped.
struct Flight<'a> {
    rebuilder: &'a Rebuilder,
    spotlight: SpotlightId,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.rebuilder.in_flight.lock().remove(&self.spotlight);
    }
}

impl Rebuilder {
    /// A rebuilder without work.
    pub fn new(ports: RebuildPorts) -> Self {
        Self {
            ports,
            in_flight: Mutex::default(),
            reopening: Mutex::default(),
            unknown: Mutex::default(),
            wanted: Mutex::default(),
            asked: Notify::new(),
            actor: Actor::system(),
        }
    }

    /// The same, on behalf of somebody who accounts for it.
    #[must_use]
    pub fn by(self, actor: Actor) -> Self {
        Self { actor, ..self }
    }

    /// Sees to a gate that answered that it knows nothing: finds out why, and rebuilds a lost one.
    /// Many may ask at once; one of them does the work, the others are told
    /// [`Presence::Rebuilding`].
    ///
    /// # Errors
    /// The store, the gate or the command log cannot be reached.
    pub async fn ensure(&self, spotlight: SpotlightId) -> Result<Presence, PortError> {
        if self.is_known_unknown(spotlight) {
            return Ok(Presence::Unknown);
        }
        let Some(_flight) = self.begin(spotlight) else { return Ok(Presence::Rebuilding) };
        if self.ports.gate.view(spotlight).await?.is_some() {
            return Ok(Presence::Ready);
        }
        let mut folded = Folded::default();
        folded.read_on(self.ports.reader.as_ref(), spotlight).await?;
        let Some(epoch) = folded.epoch() else {
            self.remember_unknown(spotlight);
            return Ok(Presence::Unknown);
        };
        if self.has_reopened(spotlight, &folded) {
            return self.load(spotlight, &folded).await;
        }
        let left_to_projection =
            !folded.gate_acted() && self.is_recent(folded.scheduled_at(), APPLY_GRACE);
        if left_to_projection || self.is_recent(folded.reopened_at(), REOPEN_GRACE) {
            return Ok(Presence::Rebuilding);
        }
        self.reopen(spotlight, epoch, folded).await
    }

    /// Rebuilds a gate under the next epoch, whatever it holds: `onair replay rebuild stock`, and
    /// what the projection does where the gate lacks an order.
    ///
    /// # Errors
    /// The store, the gate or the command log cannot be reached.
    pub async fn rebuild(&self, spotlight: SpotlightId) -> Result<Presence, PortError> {
        let Some(_flight) = self.begin(spotlight) else { return Ok(Presence::Rebuilding) };
        let mut folded = Folded::default();
        folded.read_on(self.ports.reader.as_ref(), spotlight).await?;
        match folded.epoch() {
            Some(epoch) => self.reopen(spotlight, epoch, folded).await,
            None => Ok(Presence::Unknown),
        }
    }

    /// Asks the projection's repair loop to look after a gate.
    pub fn request(&self, spotlight: SpotlightId) {
        self.wanted.lock().insert(spotlight);
        self.asked.notify_one();
    }

    /// Waits until somebody has asked.
    pub(super) async fn requested(&self) {
        self.asked.notified().await;
    }

    /// What was asked for, and what the gate found lost since.
    pub(super) async fn take_requests(&self) -> BTreeSet<SpotlightId> {
        let mut wanted = std::mem::take(&mut *self.wanted.lock());
        wanted.extend(self.ports.gate.lost().await);
        wanted
    }

    /// Repairs what was asked for; tells whether nothing is left to do.
    ///
    /// # Errors
    /// The store, the gate or the command log cannot be reached.
    pub(super) async fn repair(&self, spotlight: SpotlightId) -> Result<bool, PortError> {
        let shown = self.ports.gate.view(spotlight).await?.is_some();
        if shown {
            // applying nothing asks whether the gate lacks an order
            let applied = self.ports.gate.apply(spotlight, &[]).await?;
            if let Applied::Done { position, unknown_order: false } = applied {
                // the projection passed over what came before the gate was loaded, and whoever
                // loaded it may have died before it caught up
                self.catch_up(spotlight, position).await?;
                return Ok(true);
            }
            return Ok(self.rebuild(spotlight).await? != Presence::Rebuilding);
        }
        let mut folded = Folded::default();
        folded.read_on(self.ports.reader.as_ref(), spotlight).await?;
        if folded.is_over() {
            // rebuilt when somebody asks for it
            return Ok(true);
        }
        Ok(self.ensure(spotlight).await? != Presence::Rebuilding)
    }

    /// Whether a gate may begin with the events of its spotlight (see the top of this file).
    pub(super) async fn may_begin(&self, spotlight: SpotlightId) -> Result<bool, PortError> {
        if self.ports.gate.view(spotlight).await?.is_some() {
            return Ok(true);
        }
        let mut folded = Folded::default();
        folded.read_on(self.ports.reader.as_ref(), spotlight).await?;
        Ok(!folded.gate_acted())
    }

    async fn reopen(
        &self,
        spotlight: SpotlightId,
        expected: u64,
        mut folded: Folded,
    ) -> Result<Presence, PortError> {
        let Some(snapshot) = folded.snapshot() else { return Ok(Presence::Unknown) };
        let record = self.reopen_record(spotlight, expected, snapshot.offer.seller);
        self.reopening.lock().insert(spotlight, record.command_id);
        match self.ports.log.append(&record).await {
            Ok(_) => {}
            // it may be in the log: the outcome tells
            Err(AppendError::Unknown(why)) => tracing::warn!(%spotlight, why, "not acknowledged"),
            Err(AppendError::Refused(why)) => {
                return Err(PortError::unavailable("the command log", why));
            }
        }
        if !self.await_decision(&record).await? {
            return Ok(Presence::Rebuilding);
        }
        folded.read_on(self.ports.reader.as_ref(), spotlight).await?;
        if self.has_reopened(spotlight, &folded) {
            return self.load(spotlight, &folded).await;
        }
        // somebody else did, and loads it
        self.reopening.lock().remove(&spotlight);
        Ok(Presence::Rebuilding)
    }

    /// Whether the last epoch of the gate is this process's own to load. Nobody loads another's: an
    /// epoch that is loaded twice would bring back, in a gate that was lost in between, what it held
    /// at first, under admissions that were given already.
    fn has_reopened(&self, spotlight: SpotlightId, folded: &Folded) -> bool {
        let own = self.reopening.lock().get(&spotlight).copied();
        own.is_some() && own == folded.reopened_by()
    }

    /// Loads an epoch of this process's own, once, whatever comes of it.
    async fn load(&self, spotlight: SpotlightId, folded: &Folded) -> Result<Presence, PortError> {
        self.reopening.lock().remove(&spotlight);
        let Some(snapshot) = folded.snapshot() else { return Ok(Presence::Unknown) };
        let loaded = self.ports.gate.load(&snapshot).await?;
        if loaded == Loaded::Done {
            counter!(GATE_REBUILDS_TOTAL).increment(1);
            tracing::warn!(%spotlight, epoch = snapshot.epoch, "the gate was rebuilt");
        }
        self.catch_up(spotlight, snapshot.applied).await?;
        Ok(Presence::Ready)
    }

    /// What the projection applied to the old state after the snapshot was read is applied to the
    /// new one.
    async fn catch_up(&self, spotlight: SpotlightId, mut after: Position) -> Result<(), PortError> {
        loop {
            let key = StreamKey::from(spotlight);
            let events = self.ports.reader.read_key(key, after, CATCH_UP).await?;
            let Some(last) = events.last() else { return Ok(()) };
            after = last.position;
            let applied = self.ports.gate.apply(spotlight, &events).await?;
            if !matches!(applied, Applied::Done { unknown_order: false, .. }) {
                // lost again, or short of an order: it is looked after once more
                self.request(spotlight);
                return Ok(());
            }
        }
    }

    async fn await_decision(&self, record: &CommandRecord) -> Result<bool, PortError> {
        let since = self.ports.clock.now();
        loop {
            let outcomes = self.ports.reader.outcomes(&[record.command_id]).await?;
            if let Some(stored) = outcomes.get(&record.command_id) {
                return match &stored.outcome {
                    CommandOutcome::Done => Ok(true),
                    other => {
                        Err(PortError::corrupt("the log", format!("ReopenGate was {other:?}")))
                    }
                };
            }
            if elapsed(since, self.ports.clock.now()) >= DECISION_BOUND {
                return Ok(false);
            }
            self.ports.clock.sleep(DECISION_PAUSE).await;
        }
    }

    /// The same epoch is given up once, whoever asks: of several commands the first one does it.
    fn reopen_record(
        &self,
        spotlight: SpotlightId,
        expected: u64,
        seller: SellerId,
    ) -> CommandRecord {
        CommandRecord {
            command_id: CommandId(self.ports.ids.uuid()),
            seller,
            key: StreamKey::from(spotlight),
            correlation: CorrelationId(self.ports.ids.uuid()),
            causation: None,
            traceparent: None,
            actor: self.actor.clone(),
            issued_at: self.ports.clock.now(),
            command: Command::Spotlight { command: SpotlightCommand::ReopenGate { expected } },
        }
    }

    fn begin(&self, spotlight: SpotlightId) -> Option<Flight<'_>> {
        let begun = self.in_flight.lock().insert(spotlight);
        begun.then(|| Flight { rebuilder: self, spotlight })
    }

    fn is_recent(&self, at: Option<Timestamp>, grace: Duration) -> bool {
        at.is_some_and(|at| elapsed(at, self.ports.clock.now()) < grace)
    }

    fn is_known_unknown(&self, spotlight: SpotlightId) -> bool {
        let since = self.unknown.lock().get(&spotlight).copied();
        self.is_recent(since, UNKNOWN_FOR)
    }

    fn remember_unknown(&self, spotlight: SpotlightId) {
        let now = self.ports.clock.now();
        let mut unknown = self.unknown.lock();
        if unknown.len() >= UNKNOWN_MAX {
            unknown.clear();
        }
        unknown.insert(spotlight, now);
    }
}

/// The time between; nothing where the clock went back.
fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    (to - from).to_std().unwrap_or(Duration::ZERO)
}
