//! What a payment provider answers, in onair's words.

use serde::{Deserialize, Serialize};

use crate::limits::PAYMENT_ATTEMPTS_MAX;
use crate::money::Money;

/// How final a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineKind {
    /// The buyer may try again inside the hold.
    Soft,
    /// No further attempt will help.
    Hard,
}

impl DeclineKind {
    /// Whether another attempt may follow this refused one.
    pub const fn may_retry(self, attempt: u32) -> bool {
        matches!(self, Self::Soft) && attempt < PAYMENT_ATTEMPTS_MAX
    }
}

/// What a buyer has to do before a payment goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NextAction {
    /// Go to a page of the provider and come back.
    Redirect {
        /// Its address.
        url: String,
    },
    /// Confirm in the provider's own client library.
    ClientSecret {
        /// What the library is given.
        client_secret: String,
    },
}

/// What became of one attempt; the body of `RecordPayment`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum PaymentResult {
    /// The amount is set aside for us.
    Authorized {
        /// What was set aside.
        amount: Money,
        /// The provider's reference.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// The buyer has to act before the provider can answer: 3-D Secure, redirect and confirm.
    RequiresAction {
        /// What the buyer has to do.
        action: NextAction,
        /// The provider's reference.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// The amount is ours.
    Captured {
        /// What was taken.
        amount: Money,
    },
    /// The provider said no.
    Declined {
        /// How final it is.
        kind: DeclineKind,
        /// The provider's code.
        code: String,
    },
    /// The answer was lost; only a query can tell.
    Unknown,
    /// The capture of an authorised payment failed for good.
    CaptureFailed {
        /// The provider's code.
        code: String,
    },
    /// The authorisation was given back.
    Voided,
    /// Money was given back.
    Refunded {
        /// How much.
        amount: Money,
    },
    /// The provider refused to give money back, for good.
    RefundFailed {
        /// The provider's code.
        code: String,
    },
}

/// Where an order's payment stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Nothing was asked of a provider.
    #[default]
    None,
    /// The provider was asked.
    Requested,
    /// The buyer must act.
    RequiresAction,
    /// The amount is set aside.
    Authorized,
    /// The amount is ours.
    Captured,
    /// The provider said no.
    Declined,
    /// The answer was lost.
    Unknown,
    /// The authorisation was given back.
    Voided,
    /// A part was given back.
    PartiallyRefunded,
    /// All of it was given back.
    Refunded,
}

impl PaymentStatus {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Requested => "requested",
            Self::RequiresAction => "requires_action",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Unknown => "unknown",
            Self::Voided => "voided",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Refunded => "refunded",
        }
    }

    /// Whether the provider may hold or take the buyer's money through this attempt.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::RequiresAction | Self::Authorized | Self::Unknown)
    }
}
