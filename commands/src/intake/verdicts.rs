//! The node's own *sold out*: most of a rush is refused without asking the gate.

use domain::Timestamp;
use domain::ids::{OrderId, SellerId, SpotlightId};
use domain::line::Lines;
use domain::ports::SoldOutVerdict;
use lru::LruCache;
use parking_lot::Mutex;

use super::{PlaceRefusal, SOLD_OUT_STALENESS, VERDICTS_MAX};
use crate::clock::between;

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
    /// Whose spotlight it is; for everybody else it does not exist.
    seller: SellerId,
    asked_at: Timestamp,
}

#[derive(Debug)]
enum Place {
    Kept(Kept),
    /// Somebody asks for it; others go to the gate themselves.
    Asked(Timestamp),
}

/// Verdicts by spotlight, each at most [`SOLD_OUT_STALENESS`] old.
#[derive(Debug)]
pub(super) struct Verdicts {
    places: Mutex<LruCache<SpotlightId, Place>>,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self { places: Mutex::new(LruCache::unbounded()) }
    }
}

impl Verdicts {
    /// The refusal that the verdict leads to, if it may be given without asking: of an order that
    /// the gate did not know, of the version that was refused, with a line that does not fit.
    pub(super) fn refusal(&self, asked: Asked<'_>, now: Timestamp) -> Option<PlaceRefusal> {
        let mut places = self.places.lock();
        let Some(Place::Kept(Kept { verdict, seller, asked_at })) = places.get(&asked.spotlight)
        else {
            return None;
        };
        if now < *asked_at || between(*asked_at, now) > SOLD_OUT_STALENESS {
            return None;
        }
        let known = asked.lines.iter().all(|line| verdict.remaining.contains_key(&line.sku));
        let short = asked.lines.iter().any(|line| {
            let remains = verdict.remaining.get(&line.sku).copied().unwrap_or(0);
            remains < i64::from(line.quantity.get())
        });
        let applies = verdict.open
            && seller == asked.seller
            && verdict.offer_version == asked.offer_version
            && known
            && short
            && !verdict.orders.contains(&asked.order);
        applies.then(|| PlaceRefusal::SoldOut { remaining: verdict.remaining.clone() })
    }

    /// Whether the caller should ask for a verdict now: one does at a time.
    pub(super) fn begin(&self, spotlight: SpotlightId, now: Timestamp) -> bool {
        let mut places = self.places.lock();
        let fresh = match places.get(&spotlight) {
            Some(Place::Kept(kept)) => kept.asked_at,
            Some(Place::Asked(at)) => *at,
            None => Timestamp::MIN_UTC,
        };
        if now >= fresh && between(fresh, now) <= SOLD_OUT_STALENESS {
            return false;
        }
        places.put(spotlight, Place::Asked(now));
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
        if !matches!(places.peek(&spotlight), Some(Place::Asked(at)) if *at == asked_at) {
            return;
        }
        match verdict {
            Some(verdict) => {
                places.put(
                    spotlight,
                    Place::Kept(Kept { verdict, seller: seller.clone(), asked_at }),
                );
            }
            None => {
                places.pop(&spotlight);
            }
        }
    }

    /// A unit was taken here: the verdict does not know of that order.
    pub(super) fn forget(&self, spotlight: SpotlightId) {
        self.places.lock().pop(&spotlight);
    }
}
