//! Why a command to an order is refused.

use crate::ids::Sku;
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
    /// The order is not paid yet.
    #[error("the order is not confirmed")]
    NotConfirmed,
    /// An earlier refund is not done.
    #[error("a refund is under way")]
    RefundUnderWay,
    /// More is to be given back than was bought and is left.
    #[error("name more of {0} than was bought and is not given back")]
    NotBought(Sku),
    /// The provider refused a refund for good.
    #[error("the provider refused the refund: {0}")]
    RefundFailed(String),
    /// The provider's amount is not the order's.
    #[error("the amount is not the order's")]
    AmountMismatch,
    /// The sum does not fit.
    #[error("the total {0}")]
    Total(MoneyError),
}

impl OrderError {
    /// Whether somebody has to look at the command: it is put aside, never confirmed and never
    /// silent.
    pub const fn needs_a_person(&self) -> bool {
        matches!(self, Self::AmountMismatch | Self::RefundFailed(_))
    }

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
            Self::NotConfirmed => "not_confirmed",
            Self::RefundUnderWay => "refund_in_progress",
            Self::NotBought(_) => "not_bought",
            Self::RefundFailed(_) => "refund_failed",
            Self::AmountMismatch => "amount_mismatch",
            Self::Total(_) => "total_overflow",
        }
    }
}
