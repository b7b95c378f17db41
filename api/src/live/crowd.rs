//! Who watches a room on this node, and who did: counted as they come and go.

use std::collections::{HashMap, HashSet};

use domain::ids::ViewerRef;
use domain::ports::Audience;
use parking_lot::Mutex;
use projections::viewer_feed::VIEWERS_COUNTED_MAX;

#[derive(Default)]
struct State {
    clients: u32,
    /// Connections of each viewer.
    here: HashMap<u64, u32>,
    /// Viewers that came at all.
    seen: HashSet<u64>,
    /// Those of them that the bus was not told of.
    untold: Vec<u64>,
}

/// Who watches a room on this node, and who did.
#[derive(Default)]
pub struct Crowd(Mutex<State>);

/// A number that follows from a pseudonym, the same at every node.
pub fn number(viewer: &ViewerRef) -> Option<u64> {
    u64::from_str_radix(viewer.as_str().get(..16)?, 16).ok()
}

impl Crowd {
    /// A connection came.
    pub fn join(&self, viewer: Option<&ViewerRef>) {
        let mut state = self.0.lock();
        state.clients = state.clients.saturating_add(1);
        let Some(viewer) = viewer.and_then(number) else { return };
        let connections = state.here.entry(viewer).or_default();
        *connections = connections.saturating_add(1);
        if state.seen.len() < VIEWERS_COUNTED_MAX && state.seen.insert(viewer) {
            state.untold.push(viewer);
        }
    }

    /// A connection went.
    pub fn leave(&self, viewer: Option<&ViewerRef>) {
        let mut state = self.0.lock();
        state.clients = state.clients.saturating_sub(1);
        let Some(viewer) = viewer.and_then(number) else { return };
        if let Some(connections) = state.here.get_mut(&viewer) {
            *connections = connections.saturating_sub(1);
            if *connections == 0 {
                state.here.remove(&viewer);
            }
        }
    }

    /// Who watches here: connections, and viewers among them.
    pub fn audience(&self) -> Audience {
        let state = self.0.lock();
        let viewers = u32::try_from(state.here.len()).unwrap_or(u32::MAX);
        Audience { clients: state.clients, viewers }
    }

    /// Viewers that the bus was not told of.
    pub fn untold(&self) -> Vec<u64> {
        self.0.lock().untold.clone()
    }

    /// The bus was told of the first so many.
    pub fn told(&self, count: usize) {
        let mut state = self.0.lock();
        let told = count.min(state.untold.len());
        state.untold.drain(..told);
        if state.untold.is_empty() {
            state.untold = Vec::new();
        }
    }

    /// The bus may have lost everything: it is to be told of everybody again.
    pub fn tell_again(&self) {
        let mut state = self.0.lock();
        state.untold = state.seen.iter().copied().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(number: u64) -> ViewerRef {
        ViewerRef::try_new(format!("{number:016x}{:016x}", 0)).unwrap()
    }

    #[test]
    fn a_viewer_with_two_connections_is_one() {
        let crowd = Crowd::default();
        for number in [1, 1, 2] {
            crowd.join(Some(&viewer(number)));
        }
        assert_eq!(crowd.audience(), Audience { clients: 3, viewers: 2 });
        assert_eq!(crowd.untold(), [1, 2]);
        crowd.leave(Some(&viewer(1)));
        crowd.leave(Some(&viewer(2)));
        assert_eq!(crowd.audience(), Audience { clients: 1, viewers: 1 });
        crowd.told(1);
        crowd.join(Some(&viewer(2)));
        crowd.join(Some(&viewer(3)));
        assert_eq!(crowd.untold(), [2, 3], "who was told of is not told of again");
        crowd.told(2);
        crowd.tell_again();
        let mut all = crowd.untold();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    }
}
