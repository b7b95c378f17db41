//! Identifiers as newtypes, parsed at the edge and trusted inside.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::envelope::Source;
use crate::limits::NAME_ID_MAX_CHARS;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text has more than [`NAME_ID_MAX_CHARS`] characters.
    #[error("is longer than {NAME_ID_MAX_CHARS} characters")]
    TooLong,
    /// The text has a control character or white space at an end.
    #[error("has a control character, or white space at its start or end")]
    BadCharacter,
    /// The text is not a UUID.
    #[error("is not a UUID")]
    NotUuid,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text).map(Self).map_err(|_| IdError::NotUuid)
            }
        }
    };
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl $name {
            /// Parses the identifier.
            ///
            /// # Errors
            /// [`IdError`] where the text is empty, too long or holds control characters.
            pub fn try_new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check_name(&text)?;
                Ok(Self(text))
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::try_new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::try_new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

fn check_name(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    // most names, and ids are parsed many times for each order
    if text.len() <= NAME_ID_MAX_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    if text.chars().count() > NAME_ID_MAX_CHARS {
        return Err(IdError::TooLong);
    }
    if text.chars().any(char::is_control) || text.trim() != text {
        return Err(IdError::BadCharacter);
    }
    Ok(())
}

uuid_id!(
    /// One live show.
    BroadcastId
);
uuid_id!(
    /// One offer inside a broadcast.
    SpotlightId
);
uuid_id!(
    /// One order, derived from its idempotency key (design rule 4).
    OrderId
);
uuid_id!(
    /// One stored event.
    EventId
);
uuid_id!(
    /// One command on the command log; what a repeat is recognised by.
    CommandId
);
uuid_id!(
    /// What one command led to, across processes.
    CorrelationId
);
uuid_id!(
    /// The unit of order in the log: a spotlight, else a broadcast.
    StreamKey
);
name_id!(
    /// Who owns broadcasts; the boundary of every broadcaster call.
    SellerId
);
name_id!(
    /// The subject of a viewer's token; unique within its seller.
    ViewerId
);
name_id!(
    /// A product in the shop's own catalogue.
    ProductId
);
name_id!(
    /// A stock-keeping unit in the shop's own catalogue.
    Sku
);
name_id!(
    /// The keyed pseudonym of (seller, viewer): what limits and folds use instead of a name, so
    /// that the name can be shredded (design rule 16).
    ViewerRef
);

impl From<SpotlightId> for StreamKey {
    fn from(id: SpotlightId) -> Self {
        Self(id.0)
    }
}

impl From<BroadcastId> for StreamKey {
    fn from(id: BroadcastId) -> Self {
        Self(id.0)
    }
}

/// Namespace of every derived id; a constant of onair, never to change.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f6e_6169_722e_4000_8000_6c69_7665_2d31);

/// Derives an id from its parts; each part is prefixed by its length so that no two lists of
/// parts share bytes.
pub fn derive_id(kind: &str, parts: &[&[u8]]) -> Uuid {
    let mut name = Vec::with_capacity(128);
    push_part(&mut name, kind.as_bytes());
    for part in parts {
        push_part(&mut name, part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

fn push_part(name: &mut Vec<u8>, part: &[u8]) {
    name.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    name.extend_from_slice(part);
}

impl OrderId {
    /// The id of the order that `viewer` places on `spotlight` under `key`: the same key always
    /// names the same order, also after Redis was lost (design rule 4).
    pub fn derive(seller: &SellerId, viewer: &ViewerId, spotlight: SpotlightId, key: &str) -> Self {
        Self(derive_id(
            "order",
            &[
                seller.as_str().as_bytes(),
                viewer.as_str().as_bytes(),
                spotlight.0.as_bytes(),
                key.as_bytes(),
            ],
        ))
    }
}

impl EventId {
    /// The id of the `index`th event that `command` led to: a decision taken twice gives the same
    /// ids.
    pub fn derive(command: CommandId, index: usize) -> Self {
        let index = u64::try_from(index).unwrap_or(u64::MAX).to_be_bytes();
        Self(derive_id("event", &[command.0.as_bytes(), &index]))
    }

    /// As [`EventId::derive`], for the record of `command` that stood at `source`: a repeat of a
    /// command may lead to a fact of its own, which must not share an id with the first one's.
    pub fn derive_at(command: CommandId, source: &Source, index: usize) -> Self {
        let index = u64::try_from(index).unwrap_or(u64::MAX).to_be_bytes();
        Self(derive_id(
            "event-at",
            &[
                command.0.as_bytes(),
                source.topic.as_bytes(),
                &source.partition.to_be_bytes(),
                &source.offset.to_be_bytes(),
                &index,
            ],
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(derive_id("a", &[b"bc", b"d"]), derive_id("a", &[b"b", b"cd"]));
        assert_ne!(derive_id("a", &[b""]), derive_id("a", &[]));
    }

    #[test]
    fn same_key_same_order() {
        let seller = SellerId::try_new("acme").expect("valid");
        let ana = ViewerId::try_new("ana").expect("valid");
        let spotlight = SpotlightId(Uuid::from_u128(1));
        let first = OrderId::derive(&seller, &ana, spotlight, "k1");
        assert_eq!(first, OrderId::derive(&seller, &ana, spotlight, "k1"));
        assert_ne!(first, OrderId::derive(&seller, &ana, spotlight, "k2"));
        assert_ne!(first, OrderId::derive(&seller, &ana, SpotlightId(Uuid::from_u128(2)), "k1"));
    }

    #[test]
    fn a_name_is_bounded_and_clean() {
        assert_eq!(Sku::try_new(""), Err(IdError::Empty));
        assert!(Sku::try_new("x".repeat(NAME_ID_MAX_CHARS)).is_ok());
        assert_eq!(Sku::try_new("x".repeat(NAME_ID_MAX_CHARS + 1)), Err(IdError::TooLong));
        assert_eq!(Sku::try_new("a\nb"), Err(IdError::BadCharacter));
        assert_eq!(Sku::try_new(" a"), Err(IdError::BadCharacter));
    }
}
