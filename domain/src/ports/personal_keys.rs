//! The keys of what is personal, beside the log.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::envelope::Position;
use crate::ids::SellerId;
use crate::personal_key::PersonalKey;
use crate::ports::PortError;
use crate::shredding::Shredding;

/// What opens the personal parts of events, where it was not destroyed.
#[async_trait]
pub trait PersonalKeys: Send + Sync {
    /// The keys of events; those that never had one, or have none any more, are left out.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn keys(
        &self,
        positions: &[Position],
    ) -> Result<BTreeMap<Position, PersonalKey>, PortError>;
    /// What was done about a subject, oldest first.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn shreddings(
        &self,
        seller: &SellerId,
        subject: &str,
    ) -> Result<Vec<Shredding>, PortError>;
    /// Parked commands, settled or not, that hold one of these texts.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn parked_naming(&self, texts: &[String]) -> Result<u64, PortError>;
}
