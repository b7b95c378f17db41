//! How many partitions a writer owns, for whoever asks whether it does its part.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of partitions that a writer decides; a clone shows the same.
#[derive(Debug, Clone, Default)]
pub struct Owned(Arc<AtomicUsize>);

impl Owned {
    /// How many they are now.
    pub fn partitions(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, partitions: usize) {
        self.0.store(partitions, Ordering::Relaxed);
    }
}
