//! Shorter holds for viewers who reserve again and again and do not pay.

use super::{Spotlight, SpotlightEvent};
use crate::Timestamp;
use crate::ids::{OrderId, ViewerRef};
use crate::limits::ABANDONED_HOLDS;

impl Spotlight {
    /// Whether a viewer has abandoned so many holds that the next ones are shorter, where the
    /// spotlight has shorter ones.
    pub fn is_abandoner(&self, viewer: &ViewerRef) -> bool {
        self.abandoned.get(viewer).is_some_and(|holds| *holds >= ABANDONED_HOLDS)
    }

    /// Until when units are held for a viewer that are reserved now.
    pub fn hold_deadline(&self, viewer: &ViewerRef, decided_at: Timestamp) -> Timestamp {
        let seconds = self.terms.as_deref().map_or(0, |terms| {
            let shorter = terms.abandoned_hold_seconds.filter(|_| self.is_abandoner(viewer));
            shorter.unwrap_or(terms.hold_seconds)
        });
        decided_at + chrono::TimeDelta::seconds(i64::from(seconds))
    }

    /// What is written down when a viewer abandons a hold; nothing where it changes no deadline.
    pub(crate) fn abandon(&self, viewer: &ViewerRef, order_id: OrderId) -> Option<SpotlightEvent> {
        let terms = self.terms.as_deref()?;
        terms.abandoned_hold_seconds?;
        (!self.is_abandoner(viewer)).then(|| SpotlightEvent::HoldAbandoned {
            spotlight_id: terms.spotlight_id,
            viewer_ref: viewer.clone(),
            order_id,
        })
    }
}
