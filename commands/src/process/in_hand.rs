//! Which payments are in hand, and when each is looked at again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use domain::Timestamp;
use domain::ids::OrderId;

use crate::clock::{between, delta};

/// First pause before a provider is asked again; doubled up to [`ASK_PAUSE_MAX`].
pub const ASK_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause before a provider is asked again.
pub const ASK_PAUSE_MAX: Duration = Duration::from_secs(10);
/// Longest pause before a provider is asked for a refund that it has in hand.
pub const PENDING_PAUSE_MAX: Duration = Duration::from_mins(15);
/// When an answer that is in the command log is looked for, if its event does not come before.
pub const RECHECK_PAUSE: Duration = Duration::from_secs(5);

/// Doublings that take [`ASK_PAUSE`] past [`PENDING_PAUSE_MAX`].
const DOUBLINGS_MAX: u32 = 11;

/// When an order is looked at again.
pub(super) enum Next {
    /// When an event of it comes.
    Event,
    /// Its answer is on its way; look whether it arrived.
    Recheck,
    /// After a pause that grows; at the latest at this time.
    Ask(Option<Timestamp>),
    /// The provider has it in hand for longer: after a pause that grows further.
    Pending,
}

/// Payments in hand.
#[derive(Default)]
pub(super) struct InHand {
    pub(super) waiting: VecDeque<OrderId>,
    /// In `waiting`.
    queued: BTreeSet<OrderId>,
    /// Being worked on; true where an event came meanwhile.
    busy: BTreeMap<OrderId, bool>,
    again: BTreeSet<(Timestamp, OrderId)>,
    again_of: BTreeMap<OrderId, Timestamp>,
    asked: BTreeMap<OrderId, u32>,
    /// Was worked on, and is not done.
    begun: BTreeSet<OrderId>,
}

impl InHand {
    /// One that is to be looked at; again, where it is just being worked on.
    pub(super) fn queue(&mut self, order: OrderId) {
        if let Some(dirty) = self.busy.get_mut(&order) {
            *dirty = true;
        } else if self.queued.insert(order) {
            self.waiting.push_back(order);
        }
    }

    /// The next order in turn, and whether it was worked on before.
    pub(super) fn start(&mut self) -> Option<(OrderId, bool)> {
        let order = self.waiting.pop_front()?;
        self.queued.remove(&order);
        self.busy.insert(order, false);
        if let Some(at) = self.again_of.remove(&order) {
            self.again.remove(&(at, order));
        }
        Some((order, self.begun.contains(&order)))
    }

    pub(super) fn finish(&mut self, order: OrderId, next: &Next, now: Timestamp) {
        let dirty = self.busy.remove(&order).unwrap_or(false);
        if matches!(next, Next::Event) {
            self.begun.remove(&order);
        } else {
            self.begun.insert(order);
        }
        let pause = match next {
            Next::Event => {
                self.asked.remove(&order);
                None
            }
            Next::Recheck => Some(RECHECK_PAUSE),
            Next::Pending => Some(self.grown_pause(order).min(PENDING_PAUSE_MAX)),
            Next::Ask(latest) => {
                let left = latest.map_or(ASK_PAUSE_MAX, |at| between(now, at).max(ASK_PAUSE));
                Some(self.grown_pause(order).min(ASK_PAUSE_MAX).min(left))
            }
        };
        if dirty {
            self.queue(order);
        } else if let Some(pause) = pause {
            let at = now + delta(pause);
            self.again.insert((at, order));
            self.again_of.insert(order, at);
        }
    }

    /// [`ASK_PAUSE`], doubled each time up to past the longest of the bounds.
    fn grown_pause(&mut self, order: OrderId) -> Duration {
        let asked = self.asked.entry(order).or_default();
        let grown = ASK_PAUSE.saturating_mul(1 << (*asked).min(DOUBLINGS_MAX));
        *asked = asked.saturating_add(1);
        grown
    }

    /// What the order book lists as open.
    pub(super) fn take_in(&mut self, open: Vec<OrderId>) {
        for order in open {
            // one that waits for its turn or its time is in hand
            if !self.again_of.contains_key(&order) {
                self.queue(order);
            }
        }
    }

    pub(super) fn wake(&mut self, now: Timestamp) {
        while let Some((at, order)) = self.again.first().copied().filter(|(at, _)| *at <= now) {
            self.again.remove(&(at, order));
            self.again_of.remove(&order);
            self.queue(order);
        }
    }

    /// When one is to be looked at again.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.again.first().map(|(at, _)| *at)
    }

    pub(super) fn open(&self) -> usize {
        self.waiting.len() + self.busy.len() + self.again.len()
    }
}
