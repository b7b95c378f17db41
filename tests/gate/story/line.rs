//! Facts of those who wait.

use super::*;

impl Story {
    /// As the next event of a release or an addition, all of these stay taken.
    pub fn keeping(&mut self, units: &[(&str, u32)]) -> &mut Self {
        self.keeps = units_of(&lines(units));
        self
    }

    /// A viewer stands in line.
    pub fn joined(&mut self, entry: Uuid, viewer: &ViewerRef, wanted: &[(&str, u32)]) -> Recorded {
        let wait = Wait {
            viewer_ref: viewer.clone(),
            lines: lines(wanted),
            received_at: time(0),
            node: "n".to_owned(),
            personal: Personal::default(),
        };
        let spotlight_id = self.spotlight;
        let event = SpotlightEvent::WaitlistJoined { spotlight_id, entry, wait: Box::new(wait) };
        self.on_spotlight(event, entry)
    }

    /// An offer to somebody who waits, as one decision writes it.
    pub fn offered(&mut self, take: &Take, epoch: u64) -> Vec<Recorded> {
        let admission =
            Admission { epoch, number: OFFER_ADMISSION, at: time(0), offer_version: self.version };
        let mut events = self.reserved(take, admission);
        let event = SpotlightEvent::WaitlistOffered {
            spotlight_id: self.spotlight,
            viewer_ref: take.viewer.clone(),
            order_id: take.order,
            lines: take.lines.clone(),
            expires_at: time(1_800_000_000),
        };
        events.push(self.on_spotlight(event, fresh()));
        events
    }

    /// A viewer leaves the line.
    pub fn left(&mut self, viewer: &ViewerRef) -> Recorded {
        let event = SpotlightEvent::WaitlistEnded {
            spotlight_id: self.spotlight,
            viewer_ref: viewer.clone(),
            outcome: WaitOutcome::Declined,
            order_id: None,
        };
        self.on_spotlight(event, fresh())
    }

    /// Units that were kept are free.
    pub fn freed(&mut self, units: UnitsBySku) -> Recorded {
        let spotlight_id = self.spotlight;
        self.on_spotlight(SpotlightEvent::UnitsFreed { spotlight_id, units }, fresh())
    }
}
