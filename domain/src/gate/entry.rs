//! What the gate keeps of one order or one narrowing.

use crate::Timestamp;
use crate::admission::Admission;
use crate::fingerprint::Fingerprint;
use crate::ids::{OrderId, ViewerRef};
use crate::line::Lines;
use crate::ports::{Entry, EntryState, Narrowing};
use uuid::Uuid;

/// Whose units an entry holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrderPart {
    pub viewer: ViewerRef,
    pub lines: Lines,
    /// Empty where only a reservation told of the order; then any request is taken for its own.
    pub fingerprint: Fingerprint,
    /// Units of the sale that went back: they no longer count for the viewer.
    pub returned: u32,
}

/// What an entry stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Order(OrderPart),
    Narrowing(Narrowing),
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub what: What,
    pub state: EntryState,
    pub admission: Admission,
    pub command: Option<String>,
    pub deadline: Option<Timestamp>,
    /// From when on it may be claimed, before the age that a claim asks for.
    pub due: Timestamp,
    pub redriven: u32,
}

impl Known {
    pub fn pending(what: What, admission: Admission, command: String) -> Self {
        Self {
            what,
            state: EntryState::Pending,
            admission,
            command: Some(command),
            deadline: None,
            due: admission.at,
            redriven: 0,
        }
    }

    /// An order that the log knows and that holds nothing.
    pub const fn ended(order: OrderPart, admission: Admission) -> Self {
        Self {
            what: What::Order(order),
            state: EntryState::Ended,
            admission,
            command: None,
            deadline: None,
            due: admission.at,
            redriven: 0,
        }
    }

    pub fn to_entry(&self) -> Entry {
        Entry { state: self.state, admission: self.admission, command: self.command.clone() }
    }

    pub fn is_admission(&self, epoch: u64, number: u64) -> bool {
        (self.admission.epoch, self.admission.number) == (epoch, number)
    }

    pub const fn order(&self) -> Option<&OrderPart> {
        match &self.what {
            What::Order(order) => Some(order),
            What::Narrowing(_) => None,
        }
    }
}

/// The stock of one SKU in the gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stock {
    pub limit: i64,
    /// Taken and not given back: pending, held and sold.
    pub used: i64,
    pub sold: i64,
    /// Of what is used: kept for those who wait.
    pub kept: i64,
}

impl Stock {
    /// May be below 0: the log takes units unconditionally.
    pub const fn free(self) -> i64 {
        self.limit.saturating_sub(self.used)
    }
}

/// What one viewer has; kept only where the spotlight limits it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Viewer {
    pub units: i64,
    /// Orders that hold units and are not sold, the latest last.
    pub open: Vec<OrderId>,
}

/// Narrowings that the log has not decided yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Halts {
    pub pauses: u32,
    pub closes: u32,
    pub offers: u32,
}

impl Halts {
    pub fn count(&mut self, narrowing: &Narrowing, begins: bool) {
        let counter = match narrowing {
            Narrowing::Pause => &mut self.pauses,
            Narrowing::Close => &mut self.closes,
            Narrowing::ChangeOffer => &mut self.offers,
            Narrowing::Reduce { .. } | Narrowing::Wait { .. } => return,
        };
        *counter = if begins { counter.saturating_add(1) } else { counter.saturating_sub(1) };
    }
}

/// A pending entry by the time from when it may be claimed.
pub(super) type Due = (Timestamp, Uuid);
