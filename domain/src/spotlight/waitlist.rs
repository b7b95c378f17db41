//! Who waits for units that are sold out: first come first served, by the position in the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::event::SpotlightEvent;
use super::{Spotlight, SpotlightError, SpotlightStatus};
use crate::Timestamp;
use crate::command::Context;
use crate::ids::{OrderId, Sku, ViewerRef};
use crate::limits::WAITLIST_MAX;
use crate::line::{Line, Lines};
use crate::personal::Personal;

/// Units by SKU.
pub type UnitsBySku = BTreeMap<Sku, u32>;

/// How a viewer's waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitOutcome {
    /// The offer was paid.
    Accepted,
    /// The viewer left the line, or cancelled the offer.
    Declined,
    /// The offer's time ran out.
    Expired,
    /// The line ended, or there is nothing to offer any more.
    Ended,
}

/// What a viewer waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// By whom.
    pub viewer_ref: ViewerRef,
    /// What.
    pub lines: Lines,
    /// When the request arrived.
    #[serde(with = "crate::rfc3339")]
    pub received_at: Timestamp,
    /// The node that took it.
    pub node: String,
    /// Who.
    #[serde(default, skip_serializing_if = "Personal::is_empty")]
    pub personal: Personal,
}

/// A place in the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The command that joined; the order of an offer follows from it.
    pub entry: Uuid,
    /// What is waited for.
    pub wait: Box<Wait>,
}

/// An offer that was neither paid nor declined, and has not run out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// To whom.
    pub viewer_ref: ViewerRef,
    /// What.
    pub lines: Lines,
}

/// The line of a spotlight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waitlist {
    /// Who waits, in the order of the log.
    pub line: BTreeMap<u64, Waiting>,
    /// The place of each of them.
    places: BTreeMap<ViewerRef, u64>,
    /// Open offers, by order.
    pub offers: BTreeMap<OrderId, Offered>,
    /// Units that are kept for those who wait.
    pub kept: UnitsBySku,
    /// How many have joined.
    joined: u64,
}

impl Waitlist {
    /// Whether nobody waits, nothing is offered and nothing is kept.
    pub fn is_idle(&self) -> bool {
        self.line.is_empty() && self.offers.is_empty() && self.kept.is_empty()
    }

    /// What a viewer waits for.
    pub fn waiting(&self, viewer: &ViewerRef) -> Option<&Waiting> {
        self.line.get(self.places.get(viewer)?)
    }

    /// What a viewer was offered.
    pub fn offered(&self, viewer: &ViewerRef) -> Option<(OrderId, &Offered)> {
        let offer = self.offers.iter().find(|(_, offer)| offer.viewer_ref == *viewer);
        offer.map(|(order, offer)| (*order, offer))
    }

    /// Whether somebody waits for a SKU.
    pub fn wants(&self, sku: &Sku) -> bool {
        self.line.values().any(|waiting| waiting.wait.lines.iter().any(|line| line.sku == *sku))
    }

    /// Takes a fact of the spotlight in; cannot fail.
    pub(super) fn apply(&mut self, event: &SpotlightEvent) {
        match event {
            SpotlightEvent::WaitlistJoined { entry, wait, .. } => {
                self.joined = self.joined.saturating_add(1);
                self.places.insert(wait.viewer_ref.clone(), self.joined);
                let waiting = Waiting { entry: *entry, wait: wait.clone() };
                self.line.insert(self.joined, waiting);
            }
            SpotlightEvent::WaitlistOffered { viewer_ref, order_id, lines, .. } => {
                self.leave(viewer_ref);
                let offered = Offered { viewer_ref: viewer_ref.clone(), lines: lines.clone() };
                self.offers.insert(*order_id, offered);
                for line in lines {
                    self.spend(&line.sku, line.quantity.get());
                }
            }
            SpotlightEvent::WaitlistEnded { viewer_ref, order_id, .. } => match order_id {
                Some(order) => {
                    self.offers.remove(order);
                }
                None => self.leave(viewer_ref),
            },
            SpotlightEvent::UnitsCarried { units, .. } => {
                for (sku, units) in units {
                    let kept = self.kept.entry(sku.clone()).or_default();
                    *kept = kept.saturating_add(*units);
                }
            }
            SpotlightEvent::UnitsFreed { units, .. } => {
                for (sku, units) in units {
                    self.spend(sku, *units);
                }
            }
            _ => {}
        }
    }

    fn leave(&mut self, viewer: &ViewerRef) {
        if let Some(place) = self.places.remove(viewer) {
            self.line.remove(&place);
        }
    }

    fn spend(&mut self, sku: &Sku, units: u32) {
        let Some(kept) = self.kept.get_mut(sku) else { return };
        *kept = kept.saturating_sub(units);
        if *kept == 0 {
            self.kept.remove(sku);
        }
    }
}

/// The lines as units by SKU.
pub fn units_of(lines: &Lines) -> UnitsBySku {
    lines.iter().map(|Line { sku, quantity }| (sku.clone(), quantity.get())).collect()
}

impl Spotlight {
    /// The viewer stands at the end of the line; a repeat leads to nothing.
    pub(super) fn join(
        &self,
        wait: &Wait,
        context: &Context,
    ) -> Result<Vec<SpotlightEvent>, SpotlightError> {
        let terms = self.terms_for(context)?;
        match self.status {
            SpotlightStatus::Scheduled => return Err(SpotlightError::NotOpen),
            SpotlightStatus::Closed => return Err(SpotlightError::Closed),
            SpotlightStatus::Open | SpotlightStatus::Paused => {}
        }
        for line in &wait.lines {
            if !terms.skus.iter().any(|terms| terms.sku == line.sku) {
                return Err(SpotlightError::UnknownSku(line.sku.clone()));
            }
        }
        let waiting = self.waitlist.waiting(&wait.viewer_ref).map(|waiting| &waiting.wait.lines);
        let offered = self.waitlist.offered(&wait.viewer_ref).map(|(_, offered)| &offered.lines);
        match waiting.or(offered) {
            Some(known) if *known == wait.lines => return Ok(vec![]),
            Some(_) => return Err(SpotlightError::AlreadyWaiting),
            None => {}
        }
        if self.waitlist.line.len() >= WAITLIST_MAX {
            return Err(SpotlightError::WaitlistFull);
        }
        Ok(vec![SpotlightEvent::WaitlistJoined {
            spotlight_id: terms.spotlight_id,
            entry: context.command_id.0,
            wait: Box::new(wait.clone()),
        }])
    }

    /// The viewer waits no longer.
    pub(super) fn leave(
        &self,
        viewer: &ViewerRef,
        context: &Context,
    ) -> Result<Vec<SpotlightEvent>, SpotlightError> {
        let spotlight_id = self.terms_for(context)?.spotlight_id;
        if self.waitlist.waiting(viewer).is_none() {
            return Err(SpotlightError::NotWaiting);
        }
        Ok(vec![SpotlightEvent::WaitlistEnded {
            spotlight_id,
            viewer_ref: viewer.clone(),
            outcome: WaitOutcome::Declined,
            order_id: None,
        }])
    }
}
