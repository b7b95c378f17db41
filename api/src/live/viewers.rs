//! How many connections each viewer has on this node.

use std::collections::HashMap;
use std::sync::Arc;

use domain::ids::ViewerRef;
use parking_lot::Mutex;

use super::crowd::number;
use super::limits::CONNECTIONS_PER_VIEWER_MAX;

/// The viewers of this node: one is a seller and a subject, which its pseudonym follows from.
#[derive(Clone, Default)]
pub struct Viewers {
    counts: Arc<Mutex<HashMap<u64, usize>>>,
}

/// One connection of a viewer; dropping it makes room.
pub struct ViewerSlot {
    viewers: Viewers,
    viewer: u64,
}

impl Viewers {
    /// Counts a connection; `None` where the viewer has enough.
    pub fn enter(&self, viewer: &ViewerRef) -> Option<ViewerSlot> {
        let viewer = number(viewer)?;
        let mut counts = self.counts.lock();
        let count = counts.entry(viewer).or_default();
        if *count >= CONNECTIONS_PER_VIEWER_MAX {
            return None;
        }
        *count = count.saturating_add(1);
        Some(ViewerSlot { viewers: self.clone(), viewer })
    }
}

impl Drop for ViewerSlot {
    fn drop(&mut self) {
        let mut counts = self.viewers.counts.lock();
        if let Some(count) = counts.get_mut(&self.viewer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.viewer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::fingerprint::PseudonymKey;
    use domain::ids::{SellerId, ViewerId};

    use super::*;

    #[test]
    fn a_viewer_is_a_seller_and_a_subject() {
        let viewers = Viewers::default();
        let key = PseudonymKey::from_secret(b"key");
        let viewer = |seller: &str| {
            let seller = SellerId::try_new(seller).unwrap();
            key.viewer_ref(&seller, &ViewerId::try_new("ana").unwrap())
        };
        let slots: Vec<_> =
            (0..CONNECTIONS_PER_VIEWER_MAX).map(|_| viewers.enter(&viewer("acme"))).collect();
        assert!(slots.iter().all(Option::is_some));
        assert!(viewers.enter(&viewer("acme")).is_none());
        assert!(viewers.enter(&viewer("other")).is_some());
        drop(slots);
        assert!(viewers.enter(&viewer("acme")).is_some());
        assert_eq!(viewers.counts.lock().len(), 0, "nothing is left behind");
    }
}
