//! The store's last known position, which readers wait on.

use domain::envelope::Position;
use tokio::sync::watch;

/// The last position that this process knows of; only ever moves forward.
#[derive(Debug, Clone)]
pub(super) struct Head(watch::Sender<Position>);

impl Head {
    pub fn at(position: Position) -> Self {
        Self(watch::Sender::new(position))
    }

    /// Wakes whoever waits for a position before this one.
    pub fn advance(&self, position: Position) {
        self.0.send_if_modified(|known| {
            let moves = position > *known;
            if moves {
                *known = position;
            }
            moves
        });
    }

    /// Returns once the head is known to be past `after`.
    pub async fn past(&self, after: Position) {
        // the sender lives as long as `self`, so the receiver cannot be closed
        let _ = self.0.subscribe().wait_for(|known| *known > after).await;
    }
}
