//! Destroying the keys of somebody's personal parts.

use domain::envelope::Position;
use domain::ids::SellerId;
use domain::ports::PortError;
use domain::repair::Repair;
use domain::shredding::Shredding;

use super::STORE;
use super::numbers::{to_position, unsigned};
use super::stored::IntoTime;

/// Where keys are destroyed.
#[async_trait::async_trait]
pub trait Shredder: Send {
    /// Destroys the keys of positions, which are sorted, and settled parked commands that hold one
    /// of the texts; writes the shredding down with them, how many keys there were in it. Returns
    /// how many parked commands went.
    ///
    /// # Errors
    /// The database cannot be reached, and nothing was destroyed; or what the database keeps of
    /// deleted rows could not be cleaned up.
    async fn shred(
        &mut self,
        positions: &[Position],
        texts: &[String],
        shredding: &mut Shredding,
    ) -> Result<u64, sqlx::Error>;
}

/// A row of `shreddings`.
#[derive(sqlx::FromRow)]
pub(super) struct StoredShredding<T> {
    seller: String,
    subject: String,
    at: T,
    author: String,
    ticket: String,
    reason: String,
    keys: i64,
    head: i64,
}

impl<T: IntoTime> StoredShredding<T> {
    /// The shredding.
    ///
    /// # Errors
    /// [`PortError::Corrupt`] where the row is none.
    pub fn decode(self) -> Result<Shredding, PortError> {
        let Self { seller, subject, author, ticket, reason, .. } = self;
        let seller = SellerId::try_new(seller).map_err(|error| PortError::corrupt(STORE, error))?;
        Ok(Shredding {
            seller,
            subject,
            at: self.at.into_time()?,
            by: Repair { author, ticket, reason },
            keys: unsigned(self.keys, "a number of keys")?,
            head: to_position(self.head)?,
        })
    }
}
