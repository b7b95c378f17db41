//! The table in memory: for tests and the simulator.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::envelope::{Position, Recorded};
use domain::ids::SpotlightId;
use domain::ports::PortError;
use parking_lot::Mutex;
use uuid::Uuid;

use super::{Fold, KeyTable, take_in};
use crate::read_model::after_checkpoint;

/// A table in memory; the same events always give the same answers.
pub struct MemoryTable<F: Fold> {
    state: Mutex<(Position, BTreeMap<Uuid, F::Row>)>,
}

impl<F: Fold> Default for MemoryTable<F> {
    fn default() -> Self {
        Self { state: Mutex::new((Position::START, BTreeMap::new())) }
    }
}

#[async_trait]
impl<F: Fold> KeyTable<F> for MemoryTable<F> {
    async fn checkpoint(&self) -> Result<Position, PortError> {
        Ok(self.state.lock().0)
    }

    async fn apply(&self, events: &[Recorded]) -> Result<Position, PortError> {
        let (checkpoint, rows) = &mut *self.state.lock();
        for recorded in after_checkpoint(F::NAME, *checkpoint, events)? {
            take_in::<F>(rows, recorded);
            *checkpoint = recorded.position;
        }
        Ok(*checkpoint)
    }

    async fn row(&self, key: Uuid) -> Result<Option<F::Row>, PortError> {
        Ok(self.state.lock().1.get(&key).cloned())
    }

    async fn rows(&self, spotlight: SpotlightId) -> Result<Vec<F::Row>, PortError> {
        let state = self.state.lock();
        let rows = state.1.values().filter(|row| F::spotlight(row) == spotlight);
        Ok(rows.cloned().collect())
    }

    async fn in_line(&self, spotlight: SpotlightId, up_to: Position) -> Result<u64, PortError> {
        let state = self.state.lock();
        let rows = state.1.values().filter(|row| F::spotlight(row) == spotlight);
        let before = rows.filter(|row| F::place(row).is_some_and(|place| place <= up_to)).count();
        Ok(u64::try_from(before).unwrap_or(u64::MAX))
    }
}
