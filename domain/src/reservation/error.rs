//! Why a command to a reservation is refused.

/// A refusal; nothing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReservationError {
    /// Nothing was reserved.
    #[error("nothing was reserved")]
    NotFound,
    /// The units are held or were held already.
    #[error("the reservation exists already")]
    Exists,
    /// The reservation was confirmed.
    #[error("the reservation was confirmed already")]
    AlreadyConfirmed,
    /// The reservation was released.
    #[error("the reservation was released already")]
    AlreadyReleased,
}
