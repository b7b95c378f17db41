//! Why a command to an order is refused.

use crate::money::MoneyError;

/// A refusal; nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// No such order.
    #[error("the order does not exist")]
    NotFound,
    /// The order is paid.
    #[error("the order is confirmed")]
    AlreadyConfirmed,
    /// The order has ended.
    #[error("the order has ended")]
    AlreadyEnded,
    /// The command has no admission: it did not come through the gate.
    #[error("the order has no admission")]
    NotAdmitted,
    /// The offer version is not known to the log.
    #[error("the offer version {0} is not known")]
    UnknownOffer(u32),
    /// The hold has not run out.
    #[error("the hold has not run out")]
    HoldOpen,
    /// The hold has run out, or there is none.
    #[error("the hold has run out")]
    HoldExpired,
    /// A payment is under way, or was made.
    #[error("the order waits for no payment")]
    PaymentNotAwaited,
    /// The provider's amount is not the order's.
    #[error("the amount is not the order's")]
    AmountMismatch,
    /// The sum does not fit.
    #[error("the total {0}")]
    Total(MoneyError),
}

impl OrderError {
    /// The stable code of the refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::AlreadyConfirmed => "already_confirmed",
            Self::AlreadyEnded => "already_ended",
            Self::NotAdmitted => "not_admitted",
            Self::UnknownOffer(_) => "unknown_offer",
            Self::HoldOpen => "hold_open",
            Self::HoldExpired => "hold_expired",
            Self::PaymentNotAwaited => "payment_not_awaited",
            Self::AmountMismatch => "amount_mismatch",
            Self::Total(_) => "total_overflow",
        }
    }
}
