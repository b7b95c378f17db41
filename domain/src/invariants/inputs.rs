//! I10: what was decided can be decided again, and what was promised can be shown.

use super::fast::ById;
use super::{Invariant, LogEnd, Violation};
use crate::envelope::Recorded;
use crate::event::Event;
use crate::fingerprint::Fingerprint;
use crate::ids::{OrderId, Sku, StreamKey, ViewerRef};
use crate::line::{Line, PricedLine, total};
use crate::offer::Offer;
use crate::order::{Accepted, OrderEvent};
use crate::reservation::ReservationEvent;
use crate::spotlight::SpotlightEvent;
use serde::{Deserialize, Serialize};

/// I10, for every accepted order:
/// - both fingerprints, the node and the place of its command in the log are there, so that the
///   leaf of its receipt can be computed again;
/// - each line names a SKU of the spotlight and has the price of the offer version of its
///   admission, a version that the log knows, and the lines add up to the total;
/// - `accepted_at` is the time of the decision;
/// - what is reserved for it is of its viewer and of its lines.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Inputs {
    keys: ById<StreamKey, Spotlight>,
    checked: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Spotlight {
    skus: Vec<Sku>,
    offers: Vec<Offer>,
    /// The last accepted order: its reservation is in the same decision.
    accepted: Option<(OrderId, ViewerRef, Vec<Line>)>,
}

impl Spotlight {
    fn accept(&mut self, event: &Recorded, accepted: &Accepted) -> Vec<String> {
        let mut wrong = Vec::new();
        let id = accepted.order_id;
        if !is_fingerprint(&accepted.key_fingerprint) || !is_fingerprint(&accepted.body_fingerprint)
        {
            wrong.push(format!("order {id} lacks a fingerprint of its key or its request"));
        }
        if accepted.node.is_empty() {
            wrong.push(format!("order {id} lacks the node that took it"));
        }
        if event.metadata.source.topic.is_empty() || event.metadata.source.offset < 0 {
            wrong.push(format!("order {id} lacks the place of its command"));
        }
        let decided_at = event.metadata.decided_at;
        // the metadata keeps microseconds
        if accepted.accepted_at.timestamp_micros() != decided_at.timestamp_micros() {
            wrong.push(format!("order {id} was accepted at another time than it was decided"));
        }
        if StreamKey::from(accepted.spotlight_id) != event.key {
            wrong.push(format!("order {id} is of another spotlight"));
        }
        wrong.extend(self.price(accepted));
        let lines = accepted.lines.iter().map(PricedLine::unpriced).collect();
        self.accepted = Some((id, accepted.viewer_ref.clone(), lines));
        wrong
    }

    fn price(&self, accepted: &Accepted) -> Option<String> {
        let id = accepted.order_id;
        let version = accepted.admission.offer_version;
        let Some(offer) = self.offers.iter().find(|offer| offer.version == version) else {
            return Some(format!("order {id} is of offer version {version}, which never was"));
        };
        if let Some(line) = accepted.lines.iter().find(|line| !self.skus.contains(&line.sku)) {
            return Some(format!("order {id} is of {}, which is not offered", line.sku));
        }
        if accepted.lines.iter().any(|line| line.unit_price != offer.unit_price(&line.sku)) {
            return Some(format!("order {id} has another price than offer version {version}"));
        }
        (total(&accepted.lines) != Ok(accepted.total))
            .then(|| format!("the lines of order {id} do not add up to its total"))
    }

    fn reserve(&self, fact: &ReservationEvent) -> Option<String> {
        let order = fact.order_id();
        match &self.accepted {
            Some((accepted, viewer, lines)) if *accepted == order => {
                let same = viewer == fact.viewer_ref() && lines == fact.lines().as_slice();
                (!same).then(|| format!("what order {order} reserves is not what it accepted"))
            }
            _ => Some(format!("order {order} reserves without being accepted just before")),
        }
    }
}

/// 16 bytes in hexadecimal.
fn is_fingerprint(fingerprint: &Fingerprint) -> bool {
    let text = fingerprint.as_str();
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Invariant for Inputs {
    fn id(&self) -> &'static str {
        "I10"
    }

    fn check(&mut self, event: &Recorded) -> Vec<Violation> {
        match &event.event {
            Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms }) => {
                let skus = terms.skus.iter().map(|terms| terms.sku.clone()).collect();
                let offers = vec![terms.offer.clone()];
                self.keys.insert(event.key, Spotlight { skus, offers, accepted: None });
                return vec![];
            }
            Event::Spotlight(SpotlightEvent::OfferChanged { offer, .. }) => {
                if let Some(spotlight) = self.keys.get_mut(&event.key) {
                    spotlight.offers.push(offer.clone());
                }
                return vec![];
            }
            _ => {}
        }
        // what is taken again is compared with what was taken first (I3)
        if event.stream.is_again() {
            return vec![];
        }
        let wrong = match &event.event {
            Event::Order(OrderEvent::OrderAccepted { accepted }) => {
                let Some(spotlight) = self.keys.get_mut(&event.key) else { return vec![] };
                spotlight.accept(event, accepted)
            }
            Event::Reservation(fact @ ReservationEvent::StockReserved { .. }) => {
                let Some(spotlight) = self.keys.get(&event.key) else { return vec![] };
                spotlight.reserve(fact).into_iter().collect()
            }
            _ => return vec![],
        };
        self.checked += 1;
        wrong.into_iter().map(|detail| Violation::at(event, detail)).collect()
    }

    saved!();

    fn forget(&mut self, key: StreamKey) {
        self.keys.remove(&key);
    }

    fn finish(&mut self, _: &LogEnd) -> Vec<Violation> {
        vec![]
    }

    fn checked(&self) -> u64 {
        self.checked
    }
}
