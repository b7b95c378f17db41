//! The stock gate: the fast yes or no.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;
use crate::admission::Admission;
use crate::envelope::{Position, Recorded};
use crate::fingerprint::Fingerprint;
use crate::ids::{BroadcastId, OrderId, SellerId, Sku, SpotlightId, ViewerRef};
use crate::line::Lines;
use crate::offer::Offer;
use crate::ports::{GateSnapshot, Loaded, PortError};
use crate::spotlight::SpotlightStatus;
use crate::views::Inventory;

/// What the gate is asked for one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// On which spotlight.
    pub spotlight: SpotlightId,
    /// Whose spotlight it must be; another seller's is [`TakeOutcome::NoState`].
    pub seller: SellerId,
    /// The order, which is the entry's id.
    pub order: OrderId,
    /// Who.
    pub viewer: ViewerRef,
    /// What.
    pub lines: Lines,
    /// The offer version that the buyer saw.
    pub offer_version: u32,
    /// The fingerprint of the request.
    pub fingerprint: Fingerprint,
    /// Whether an order that gave its units back asks once more: its price was accepted, so the
    /// offer's version is not asked for; window, limit and stock are.
    pub again: bool,
    /// The JSON of the command record without its admission, kept until an event ends the entry,
    /// so that it can be produced again.
    pub command: String,
}

/// The offer as the gate holds it; no offer data comes from an API's cache (design §6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateOffer {
    /// In which broadcast.
    pub broadcast: BroadcastId,
    /// Whose it is.
    pub seller: SellerId,
    /// The price list.
    pub offer: Offer,
    /// How long a reservation is held, in seconds.
    pub hold_seconds: u32,
}

/// Where an entry of the gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// Taken; no event says so yet.
    Pending,
    /// Held by an event.
    Held,
    /// Sold by an event.
    Sold,
    /// Given back by an event; the id stays known.
    Ended,
}

/// An entry of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub state: EntryState,
    /// The gate's yes of then.
    pub admission: Admission,
    /// The command record without its admission, while [`EntryState::Pending`].
    pub command: Option<String>,
}

/// The gate's answer; every outcome has a name of its own, never a number with two meanings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeOutcome {
    /// Taken.
    Taken {
        /// The gate's yes.
        admission: Admission,
        /// What was sold.
        offer: GateOffer,
    },
    /// A line does not fit; nothing was taken.
    SoldOut {
        /// What remains of each SKU of the spotlight.
        remaining: BTreeMap<Sku, i64>,
    },
    /// A line names a SKU that the spotlight does not have.
    UnknownSku {
        /// Which.
        sku: Sku,
    },
    /// Not opened yet.
    NotOpen {
        /// When it is to open.
        opens_at: Option<Timestamp>,
    },
    /// Paused by the host.
    Paused,
    /// Closed, or past its closing time.
    Closed,
    /// The viewer would have more units than the limit.
    OverLimit {
        /// The limit.
        limit: u32,
        /// The viewer's latest order that holds units.
        open_order: Option<OrderId>,
    },
    /// The buyer saw another offer version.
    OfferChanged {
        /// What is sold now.
        offer: GateOffer,
    },
    /// A change of the offer is on its way through the log, or units have come back while nodes may
    /// still say that the spotlight is sold out; ask again in a moment.
    Changing,
    /// The caller's epoch is old; adapters retry inside, so that callers see it only under a storm
    /// of rebuilds.
    Stale,
    /// The order is known with another request.
    Conflict,
    /// The order is known.
    SameAgain {
        /// Its entry.
        entry: Entry,
        /// What is sold under the entry's offer version, where the gate still knows.
        offer: Option<GateOffer>,
    },
    /// The gate knows nothing of the spotlight, or may have lost what it knew: never 0 and never
    /// unlimited.
    NoState,
}

/// What a host's command narrows; the gate acts before the log (design rule 11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Narrowing {
    /// Take no orders for a while.
    Pause,
    /// Take no orders any more.
    Close,
    /// Take units away.
    Reduce {
        /// Of which SKU.
        sku: Sku,
        /// How many; they are taken as an order's are.
        units: u32,
    },
    /// Count units that a viewer waits for against their limit.
    Wait {
        /// Who waits.
        viewer: ViewerRef,
        /// For how many.
        units: u32,
    },
    /// Sell under a new version only; between here and the event the answer is
    /// [`TakeOutcome::Changing`].
    ChangeOffer,
}

/// A narrowing with the command that must follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Narrow {
    /// On which spotlight.
    pub spotlight: SpotlightId,
    /// Whose it must be.
    pub seller: SellerId,
    /// The command's id, which is the entry's id.
    pub entry: Uuid,
    /// What.
    pub narrowing: Narrowing,
    /// The JSON of the command record without its admission.
    pub command: String,
}

/// The gate's answer to a narrowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Narrowed {
    /// Done; the command must follow.
    Done {
        /// The entry's admission.
        admission: Admission,
    },
    /// The entry is known.
    SameAgain {
        /// It.
        entry: Entry,
    },
    /// Fewer units are free.
    BelowCommitted {
        /// What remains.
        remaining: i64,
    },
    /// The viewer would have more units than the limit.
    OverLimit {
        /// The limit.
        limit: u32,
        /// The viewer's latest order that holds units.
        open_order: Option<OrderId>,
    },
    /// No such SKU.
    UnknownSku,
    /// The spotlight is closed already; nothing was done.
    Closed,
    /// The gate knows nothing.
    NoState,
}

/// What came of applying events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// All were applied or known.
    Done {
        /// The last applied position of the spotlight.
        position: Position,
        /// An order that the log reserved was not in the gate: its units were taken
        /// unconditionally, and the gate must be rebuilt (design §6).
        unknown_order: bool,
    },
    /// An event is missing before the first one that is new.
    Gap {
        /// The last applied position of the spotlight.
        applied: Position,
    },
    /// The gate knows nothing and the events do not begin with `SpotlightScheduled`.
    NoState,
}

/// An entry that no event has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEntry {
    /// On which spotlight.
    pub spotlight: SpotlightId,
    /// The order or the host's command.
    pub entry: Uuid,
    /// The gate's yes of then.
    pub admission: Admission,
    /// The JSON of the command record without its admission.
    pub command: String,
    /// How often it was claimed for another produce.
    pub redriven: u32,
}

/// What the gate shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateView {
    /// Where it stands, as orders see it.
    pub status: SpotlightStatus,
    /// The gate's epoch.
    pub epoch: u64,
    /// The last applied position of the spotlight.
    pub applied: Position,
    /// The stock: taken and not yet reserved units count as held.
    pub inventory: BTreeMap<Sku, Inventory>,
    /// The earliest deadline among the holds.
    pub next_release_at: Option<Timestamp>,
    /// What is sold.
    pub offer: GateOffer,
}

/// What a node may answer from for a short while without asking the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoldOutVerdict {
    /// What remains of each SKU.
    pub remaining: BTreeMap<Sku, i64>,
    /// Every order that the gate knows: their repeats always ask the gate.
    pub orders: std::sync::Arc<std::collections::HashSet<OrderId>>,
    /// The offer that refused.
    pub offer_version: u32,
    /// Whether the spotlight takes orders at all; otherwise the gate must be asked.
    pub open: bool,
}

/// Admission. Every operation is one atomic step on one spotlight.
#[async_trait]
pub trait StockGate: Send + Sync {
    /// Takes the units of all lines, or none. Checks in this order: known order, window, version,
    /// viewer's limit, stock; by the gate's own clock. An order that was given back is known, unless
    /// it is taken again.
    ///
    /// # Errors
    /// The gate cannot be reached; whether it took is not known, and asking again is safe.
    async fn take(&self, take: &Take) -> Result<TakeOutcome, PortError>;
    /// Gives an entry back whose command was certainly not queued: only while it is pending and
    /// was never claimed for another produce. Tells whether it did.
    ///
    /// # Errors
    /// The gate cannot be reached.
    async fn cancel_unsent(&self, spotlight: SpotlightId, entry: Uuid) -> Result<bool, PortError>;
    /// Acts on a host's narrowing command before the log does.
    ///
    /// # Errors
    /// The gate cannot be reached; asking again is safe.
    async fn narrow(&self, narrow: &Narrow) -> Result<Narrowed, PortError>;
    /// Applies events of one spotlight in order; each is applied once, whatever is repeated.
    ///
    /// # Errors
    /// The gate cannot be reached; applying again is safe.
    async fn apply(
        &self,
        spotlight: SpotlightId,
        events: &[Recorded],
    ) -> Result<Applied, PortError>;
    /// Replaces what the gate holds of a spotlight, if the epoch is higher than its own. Pending
    /// entries that the snapshot does not know are gone: no acknowledged command is among them,
    /// or its event will take the units.
    ///
    /// # Errors
    /// The gate cannot be reached; loading again is safe.
    async fn load(&self, snapshot: &GateSnapshot) -> Result<Loaded, PortError>;
    /// What the gate shows; `None` where it knows nothing or may have lost something.
    ///
    /// # Errors
    /// The gate cannot be reached.
    async fn view(&self, spotlight: SpotlightId) -> Result<Option<GateView>, PortError>;
    /// What a node may answer from, for `lease` from before it asked, while the spotlight is sold
    /// out; `None` where it is not. For as long the gate takes no order, whatever comes back to it
    /// ([`TakeOutcome::Changing`]), so that no node can refuse the repeat of an order that another
    /// one was promised meanwhile.
    ///
    /// # Errors
    /// The gate cannot be reached.
    async fn sold_out(
        &self,
        spotlight: SpotlightId,
        lease: std::time::Duration,
    ) -> Result<Option<SoldOutVerdict>, PortError>;
    /// Claims pending entries that are older than `older_than` for another produce, over all
    /// spotlights, at most `limit`; an entry is claimed again only after a growing pause.
    ///
    /// # Errors
    /// The gate cannot be reached.
    async fn claim_pending(
        &self,
        older_than: std::time::Duration,
        limit: usize,
    ) -> Result<Vec<PendingEntry>, PortError>;
    /// Spotlights whose gate was found lost since the last call and is not rebuilt yet, as far as
    /// this node knows; whoever asks rebuilds them.
    async fn lost(&self) -> Vec<SpotlightId>;
}
