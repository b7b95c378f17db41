//! Time and identity.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::Timestamp;

/// The only source of time of `commands`: the system's in production, a seeded one in the
/// simulator.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// The only source of new ids.
pub trait Ids: Send + Sync {
    /// A new id, ordered by time in production (UUID v7).
    fn uuid(&self) -> Uuid;
}
