//! What names a person, in one object, so that it can be shredded (design rule 16).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::ViewerId;
use crate::payment::NextAction;

/// The personal part of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Personal {
    /// The viewer's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewer: Option<ViewerId>,
    /// The viewer's display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The shop's reference of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The shop's own fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// The payment provider's reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_reference: Option<String>,
    /// What the buyer has to do at the provider; it may hold a secret of the payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_action: Option<NextAction>,
    /// Free text that somebody typed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// All of the above, sealed under the event's [`PersonalKey`](crate::personal_key::PersonalKey):
    /// how a store keeps it. Only who reads stored bytes sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

impl Personal {
    /// Free text and nothing else.
    pub fn text(text: Option<String>) -> Self {
        Self { text, ..Self::default() }
    }

    /// Whether nothing personal is in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
