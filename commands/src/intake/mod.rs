//! From a parsed request to the durable promise: admission, acceptance, answer.
//!
//! An order is taken at the gate, appended to the command log, and promised with a signed receipt
//! once the log has acknowledged it. When a promise may be given (design rules 4 and 7):
//!
//! - A fresh take appends a record without `void_after`. Its buyer is told 202 only if the
//!   acknowledgement comes within [`ACK_BOUND`] of the take; the re-driver leaves an entry alone
//!   for [`REDRIVE_AFTER`], which is longer. So whatever was promised stands in the log before any
//!   record that carries `void_after`, and the first record of an order wins.
//! - An entry that nobody promised is appended again by the re-driver with
//!   `void_after` = the gate's time + [`VOID_AFTER`].
//! - The same key again on a pending entry appends again, without `void_after`. While the entry is
//!   too young to have been re-driven (by [`CLOCK_SKEW_MAX`] less than [`REDRIVE_AFTER`]) the
//!   acknowledgement promises; after that a record with `void_after` may stand before it, so the
//!   answer waits for the decision itself, and is `outcome_unknown` where that does not come.

mod answer;
mod demand;
mod host;
mod in_flight;
mod merkle;
mod place;
mod receipts;
mod request;
mod verdicts;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use domain::envelope::Position;
use domain::ids::{OrderId, SpotlightId};
use domain::ports::{AcceptedOrders, Clock, CommandLog, EventReader, Ids, PortError, StockGate};
use metrics::Counter;
use tokio_util::task::TaskTracker;

pub use demand::{Asker, DEMAND_EVERY};
pub(crate) use host::narrow_of;
pub use host::{Decided, HostRefusal};
pub use merkle::{Receipt, ReceiptError, ReceiptSigner, leaf_of as receipt_leaf, verify_receipt};
pub(crate) use place::admit_record;
pub use receipts::{RECEIPTS_BATCH_MAX, RECEIPTS_QUEUE_MAX, Receipts, ReceiptsWorker};
pub use request::{OrderRequest, PlaceRefusal, Placed};

use crate::faults::Faults;
use demand::Demand;
use in_flight::InFlight;
use verdicts::Verdicts;

/// How long after the take an acknowledgement still leads to a 202.
pub const ACK_BOUND: Duration = Duration::from_secs(5);
/// How old a pending entry is before the re-driver appends its command again; longer than
/// [`ACK_BOUND`].
pub const REDRIVE_AFTER: Duration = Duration::from_secs(10);
/// How long after the take an order that nobody promised may still be accepted.
pub const VOID_AFTER: Duration = Duration::from_mins(1);
/// How far the clocks of nodes and gate may differ.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(2);
/// How old a node's own sold-out verdict may be.
pub const SOLD_OUT_STALENESS: Duration = Duration::from_millis(100);
/// From which age on one order goes to the gate and has the verdict renewed, while the others are
/// still refused by it.
pub const SOLD_OUT_RENEWAL: Duration = Duration::from_millis(50);
/// Spotlights whose verdict a node keeps.
pub const VERDICTS_MAX: usize = 1_024;
/// Spotlights whose unmet demand a node counts in one second.
pub const DEMAND_SPOTLIGHTS_MAX: usize = 1_024;
/// Records of unmet demand that wait for a log that did not take them.
pub const DEMAND_UNSENT_MAX: usize = 1_024;
/// Orders that a node has in hand at once.
pub const IN_FLIGHT_MAX: usize = 65_536;
/// How often a gate that is about to change is asked again.
pub const CHANGING_RETRIES: u32 = 25;
/// The pause before it is.
pub const CHANGING_PAUSE: Duration = Duration::from_millis(10);
/// How long an order waits for a gate that is being rebuilt or has not heard of its spotlight yet.
pub const REBUILD_BOUND: Duration = Duration::from_secs(2);
/// The pause before the second look at such a gate; doubled up to [`REBUILD_PAUSE_MAX`], because
/// thousands may wait for the same one.
pub const REBUILD_PAUSE: Duration = Duration::from_millis(25);
/// The longest pause between two looks at such a gate.
pub const REBUILD_PAUSE_MAX: Duration = Duration::from_millis(250);
/// How long a host's command waits for its decision and for everybody to have applied it.
pub const DECISION_BOUND: Duration = Duration::from_secs(2);
/// How long a narrowing waits to hear whether it was decided before: the gate must act soon, also
/// while the store stands still.
pub const NARROW_LOOK_BOUND: Duration = Duration::from_millis(250);
/// The pause between two looks at the gate's applied position.
pub const APPLIED_PAUSE: Duration = Duration::from_millis(2);

/// What the log and the gate know of a spotlight together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The log has no such spotlight.
    Unknown,
    /// The gate has its state.
    Ready,
    /// The gate is being rebuilt, or is about to hear of the spotlight.
    Rebuilding,
}

/// Looks after gates that know nothing: asks the store once, and has a lost one rebuilt.
#[async_trait]
pub trait GateRebuilder: Send + Sync {
    /// Finds out what is the matter with a gate without state, and sees to it. Many may ask at
    /// once.
    ///
    /// # Errors
    /// The store or the gate cannot be reached.
    async fn ensure(&self, spotlight: SpotlightId) -> Result<Presence, PortError>;
}

/// The read models that a host's answer waits for (design rule 14).
#[async_trait]
pub trait ReadModels: Send + Sync {
    /// Waits until all of them have applied the position, at most for `bound`; tells whether they
    /// have.
    async fn wait_applied(&self, position: Position, bound: Duration) -> bool;
}

/// What the intake works with.
pub struct IntakePorts {
    /// Admission.
    pub gate: Arc<dyn StockGate>,
    /// Acceptance.
    pub log: Arc<dyn CommandLog>,
    /// What was accepted.
    pub accepted: Arc<dyn AcceptedOrders>,
    /// Decisions.
    pub events: Arc<dyn EventReader>,
    /// Lost gates.
    pub rebuilder: Arc<dyn GateRebuilder>,
    /// Read models.
    pub read_models: Arc<dyn ReadModels>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
    /// Fail points.
    pub faults: Faults,
}

/// The entrance of every command.
pub struct Intake {
    ports: IntakePorts,
    /// This node's name, written into every order.
    node: String,
    receipts: Receipts,
    verdicts: Verdicts,
    demand: Demand,
    in_flight: InFlight,
    /// Looked up once, when the recorder stands.
    placed: OnceLock<Counter>,
}

impl Intake {
    /// An intake; `receipts` belongs to a [`ReceiptsWorker`] that runs.
    pub fn new(ports: IntakePorts, node: impl Into<String>, receipts: Receipts) -> Self {
        Self {
            ports,
            node: node.into(),
            receipts,
            verdicts: Verdicts::default(),
            demand: Demand::default(),
            in_flight: InFlight::default(),
            placed: OnceLock::new(),
        }
    }

    /// As [`Intake::place_order`], in a task that outlives its caller: a buyer who hangs up between
    /// the take and the append must not cost a unit. `order` is [`OrderRequest::order_id`], which
    /// the caller had for [`Intake::known_refusal`].
    ///
    /// # Errors
    /// [`PlaceRefusal`].
    pub async fn place_order_tracked(
        self: &Arc<Self>,
        tracker: &TaskTracker,
        order: OrderId,
        request: OrderRequest,
    ) -> Result<Placed, PlaceRefusal> {
        let intake = Arc::clone(self);
        let task = tracker.spawn(async move { intake.place_named(order, request).await });
        task.await.unwrap_or(Err(PlaceRefusal::OutcomeUnknown { order }))
    }
}
