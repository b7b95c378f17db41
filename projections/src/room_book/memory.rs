//! The room book in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::ids::BroadcastId;
use domain::ports::{PortError, RoomBook, RoomTotals};
use parking_lot::Mutex;

/// A room book that is gone with its process.
#[derive(Debug, Default)]
pub struct MemoryRoomBook {
    rooms: Mutex<BTreeMap<BroadcastId, RoomTotals>>,
}

#[async_trait]
impl RoomBook for MemoryRoomBook {
    async fn totals(&self, broadcast: BroadcastId) -> Result<RoomTotals, PortError> {
        Ok(self.rooms.lock().get(&broadcast).copied().unwrap_or_default())
    }

    async fn keep(&self, broadcast: BroadcastId, totals: RoomTotals) -> Result<(), PortError> {
        let mut rooms = self.rooms.lock();
        let kept = rooms.entry(broadcast).or_default();
        *kept = kept.max(totals);
        Ok(())
    }
}
