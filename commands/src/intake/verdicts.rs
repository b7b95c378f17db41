//! The node's own *sold out*: most of a rush is refused without asking the gate.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::Timestamp;
use domain::ids::{OrderId, SellerId, Sku, SpotlightId};
use domain::line::Lines;
use domain::ports::SoldOutVerdict;
use lru::LruCache;
use metrics::{Counter, counter};
use parking_lot::Mutex;

use super::{PlaceRefusal, SOLD_OUT_RENEWAL, SOLD_OUT_STALENESS, VERDICTS_MAX};
use crate::clock::between;
use crate::metrics::{INTAKE_CACHED_REFUSALS_TOTAL, INTAKE_ORDERS_TOTAL};

/// What a verdict is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub order: OrderId,
    pub seller: &'a SellerId,
    pub spotlight: SpotlightId,
    pub offer_version: u32,
    pub lines: &'a Lines,
}

#[derive(Debug)]
struct Kept {
    verdict: SoldOutVerdict,
    /// What of the verdict every refusal says.
    remaining: Arc<BTreeMap<Sku, i64>>,
    /// Whose spotlight it is; for everybody else it does not exist.
    seller: SellerId,
    asked_at: Timestamp,
}

/// What is known of one spotlight.
#[derive(Debug, Default)]
struct Place {
    kept: Option<Kept>,
    /// When somebody asked for a verdict; others need not meanwhile.
    asked_at: Option<Timestamp>,
    /// When an order was sent to the gate because the verdict grows old.
    renewed_at: Option<Timestamp>,
}

fn is_within(bound: Duration, since: Timestamp, now: Timestamp) -> bool {
    now >= since && between(since, now) <= bound
}

/// Verdicts by spotlight, each at most [`SOLD_OUT_STALENESS`] old.
#[derive(Debug)]
pub(super) struct Verdicts {
    places: Mutex<LruCache<SpotlightId, Place>>,
    /// Looked up once: their labels are made anew otherwise with every refusal.
    counters: OnceLock<[Counter; 2]>,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self { places: Mutex::new(LruCache::unbounded()), counters: OnceLock::new() }
    }
}

impl Verdicts {
    /// The refusal that the verdict leads to, if it may be given without asking: of an order that
    /// the gate did not know, of the version that was refused, with a line that does not fit.
    pub(super) fn refusal(&self, asked: Asked<'_>, now: Timestamp) -> Option<PlaceRefusal> {
        let mut places = self.places.lock();
        let place = places.get_mut(&asked.spotlight)?;
        let Kept { verdict, remaining, seller, asked_at } = place.kept.as_ref()?;
        if !is_within(SOLD_OUT_STALENESS, *asked_at, now) {
            return None;
        }
        let known = asked.lines.iter().all(|line| remaining.contains_key(&line.sku));
        let short = asked.lines.iter().any(|line| {
            remaining.get(&line.sku).copied().unwrap_or(0) < i64::from(line.quantity.get())
        });
        let applies = verdict.open
            && seller == asked.seller
            && verdict.offer_version == asked.offer_version
            && known
            && short
            && !verdict.orders.contains(&asked.order);
        if !applies {
            return None;
        }
        let refusal = PlaceRefusal::SoldOut { remaining: Arc::clone(remaining) };
        let is_renewed = || place.renewed_at.is_some_and(|at| is_within(SOLD_OUT_RENEWAL, at, now));
        if !is_within(SOLD_OUT_RENEWAL, *asked_at, now) && !is_renewed() {
            place.renewed_at = Some(now);
            return None;
        }
        Some(refusal)
    }

    /// Counts a refusal that a verdict led to.
    pub(super) fn count(&self, refusal: &PlaceRefusal) {
        let counters = self.counters.get_or_init(|| {
            [
                counter!(INTAKE_ORDERS_TOTAL, "outcome" => refusal.code()),
                counter!(INTAKE_CACHED_REFUSALS_TOTAL),
            ]
        });
        for counter in counters {
            counter.increment(1);
        }
    }

    /// Whether the caller should ask for a verdict now: one does at a time.
    pub(super) fn begin(&self, spotlight: SpotlightId, now: Timestamp) -> bool {
        let mut places = self.places.lock();
        let place = places.get_or_insert_mut(spotlight, Place::default);
        let kept_at = place.kept.as_ref().map(|kept| kept.asked_at);
        let is_fresh = kept_at.is_some_and(|at| is_within(SOLD_OUT_RENEWAL, at, now));
        let is_asked = place.asked_at.is_some_and(|at| is_within(SOLD_OUT_STALENESS, at, now));
        if is_fresh || is_asked {
            return false;
        }
        place.asked_at = Some(now);
        while places.len() > VERDICTS_MAX {
            places.pop_lru();
        }
        true
    }

    /// Keeps what was answered to somebody whom the gate had refused a spotlight of `seller`; it
    /// counts from when it was asked for. A unit that was taken meanwhile wins: the place is gone
    /// then.
    pub(super) fn keep(
        &self,
        spotlight: SpotlightId,
        seller: &SellerId,
        asked_at: Timestamp,
        verdict: Option<SoldOutVerdict>,
    ) {
        let mut places = self.places.lock();
        let Some(place) = places.peek_mut(&spotlight) else { return };
        if place.asked_at != Some(asked_at) {
            return;
        }
        place.asked_at = None;
        place.kept = verdict.map(|mut verdict| {
            let remaining = Arc::new(std::mem::take(&mut verdict.remaining));
            Kept { verdict, remaining, seller: seller.clone(), asked_at }
        });
    }

    /// A unit was taken here: the verdict does not know of that order.
    pub(super) fn forget(&self, spotlight: SpotlightId) {
        self.places.lock().pop(&spotlight);
    }
}
