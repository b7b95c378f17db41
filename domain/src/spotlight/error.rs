//! Why a command to a spotlight is refused.

use crate::ids::Sku;

/// A refusal; nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpotlightError {
    /// No such spotlight.
    #[error("the spotlight does not exist")]
    NotFound,
    /// The spotlight exists with other terms.
    #[error("the spotlight exists already with other terms")]
    Exists,
    /// The spotlight is closed.
    #[error("the spotlight is closed")]
    Closed,
    /// The spotlight was not opened yet.
    #[error("the spotlight is not open")]
    NotOpen,
    /// The spotlight has no such SKU.
    #[error("the spotlight has no SKU {0}")]
    UnknownSku(Sku),
    /// Fewer units would be left than are held and sold.
    #[error("fewer units would be left than are held and sold")]
    BelowCommitted,
    /// More units than a SKU may have.
    #[error("more units than a SKU may have")]
    TooManyUnits,
    /// Its offer was withdrawn: only a new one opens it again.
    #[error("the offer was withdrawn: make a new one")]
    OfferWithdrawn,
    /// The spotlight has no such offer version.
    #[error("the spotlight has no offer version {0}")]
    UnknownOffer(u32),
    /// The version was withdrawn with another settlement.
    #[error("the offer version was withdrawn otherwise")]
    AlreadyWithdrawn,
    /// The orders of another version are being settled.
    #[error("the orders of another withdrawn version are being settled")]
    WithdrawalInProgress,
    /// The viewer waits for something else already.
    #[error("the viewer waits for something else already")]
    AlreadyWaiting,
    /// The viewer does not wait.
    #[error("the viewer does not wait")]
    NotWaiting,
    /// As many viewers wait as may.
    #[error("as many viewers wait as may")]
    WaitlistFull,
    /// The viewer would have more units than the limit.
    #[error("the viewer would have more units than the limit")]
    OverLimit,
    /// The price has another currency than the spotlight.
    #[error("the price has another currency than the spotlight")]
    CurrencyMismatch,
}

impl SpotlightError {
    /// The stable code of the refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Exists => "already_exists",
            Self::Closed => "closed",
            Self::NotOpen => "not_open",
            Self::UnknownSku(_) => "unknown_sku",
            Self::BelowCommitted => "below_committed",
            Self::TooManyUnits => "too_many_units",
            Self::OfferWithdrawn => "paused",
            Self::UnknownOffer(_) => "unknown_offer",
            Self::AlreadyWithdrawn => "already_withdrawn",
            Self::WithdrawalInProgress => "withdrawal_in_progress",
            Self::AlreadyWaiting => "already_waiting",
            Self::NotWaiting => "not_waiting",
            Self::WaitlistFull => "waitlist_full",
            Self::OverLimit => "over_limit",
            Self::CurrencyMismatch => "currency_mismatch",
        }
    }
}
