//! How many connections each viewer has on this node.

use std::collections::HashMap;
use std::sync::Arc;

use domain::ids::{SellerId, ViewerId};
use parking_lot::Mutex;

use super::limits::CONNECTIONS_PER_VIEWER_MAX;
use super::token::Claims;

type Viewer = (SellerId, ViewerId);

/// The viewers of this node.
#[derive(Clone, Default)]
pub struct Viewers {
    counts: Arc<Mutex<HashMap<Viewer, usize>>>,
}

/// One connection of a viewer; dropping it makes room.
pub struct ViewerSlot {
    viewers: Viewers,
    viewer: Viewer,
}

impl Viewers {
    /// Counts a connection; `None` where the viewer has enough.
    pub fn enter(&self, claims: &Claims) -> Option<ViewerSlot> {
        let viewer = (claims.seller.clone(), claims.subject.clone());
        let mut counts = self.counts.lock();
        let count = counts.entry(viewer.clone()).or_default();
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
    use super::*;
    use domain::Timestamp;
    use domain::actor::Role;

    #[test]
    fn a_viewer_is_a_seller_and_a_subject() {
        let viewers = Viewers::default();
        let claims = |seller: &str| Claims {
            seller: SellerId::try_new(seller).unwrap(),
            subject: ViewerId::try_new("ana").unwrap(),
            name: None,
            role: Role::Viewer,
            anonymous: false,
            expires_at: Timestamp::default(),
        };
        let slots: Vec<_> =
            (0..CONNECTIONS_PER_VIEWER_MAX).map(|_| viewers.enter(&claims("acme"))).collect();
        assert!(slots.iter().all(Option::is_some));
        assert!(viewers.enter(&claims("acme")).is_none());
        assert!(viewers.enter(&claims("other")).is_some());
        drop(slots);
        assert!(viewers.enter(&claims("acme")).is_some());
        assert_eq!(viewers.counts.lock().len(), 0, "nothing is left behind");
    }
}
