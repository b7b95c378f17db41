//! Fingerprints of idempotency keys and of request bodies.

use std::fmt;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{SellerId, SpotlightId, ViewerId, ViewerRef};
use crate::line::Lines;

/// The first 16 bytes of a SHA-256, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let (head, _) = digest.split_at(16);
        Self(lower_hex(head))
    }

    /// The fingerprint of what an order asks for; field order and white space of the request do not
    /// count, lines are taken in their own order.
    pub fn of_order(
        spotlight: SpotlightId,
        offer_version: u32,
        lines: &Lines,
        payment_method: Option<&str>,
        extra: &impl Serialize,
    ) -> Self {
        // a tuple of texts, numbers and lists of them always serialises
        let canonical = (spotlight, offer_version, lines, payment_method, extra);
        Self::of(&serde_json::to_vec(&canonical).unwrap_or_default())
    }

    /// A fingerprint that was written down.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The hexadecimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of the pseudonyms; the same key gives the same [`ViewerRef`] for ever, so it is never
/// rotated.
#[derive(Clone)]
pub struct PseudonymKey([u8; 32]);

impl PseudonymKey {
    /// Derives the key from a secret.
    pub fn from_secret(secret: &[u8]) -> Self {
        Self(keyed_hash(secret, b"onair pseudonym key v1"))
    }

    /// Proves that a node's name comes from one of ours.
    pub fn seal_of_node(&self, node: &str) -> String {
        // no seller's name is empty: this is nobody's pseudonym
        let digest = keyed_hash(&self.0, &[b"\0node\0", node.as_bytes()].concat());
        let (head, _) = digest.split_at(16);
        lower_hex(head)
    }

    /// The pseudonym of a viewer of a seller.
    pub fn viewer_ref(&self, seller: &SellerId, viewer: &ViewerId) -> ViewerRef {
        let mut name = Vec::with_capacity(64);
        name.extend_from_slice(seller.as_str().as_bytes());
        name.push(0);
        name.extend_from_slice(viewer.as_str().as_bytes());
        let digest = keyed_hash(&self.0, &name);
        let (head, _) = digest.split_at(16);
        // 32 hexadecimal characters are a valid name
        ViewerRef::try_new(lower_hex(head)).unwrap_or_else(|_| unreachable!())
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(…)")
    }
}

/// Bytes in hexadecimal; `hex::encode` collects character by character, which takes four times as
/// long.
pub fn lower_hex(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len().saturating_mul(2)];
    // the lengths fit, and the digits are ASCII
    match hex::encode_to_slice(bytes, &mut text) {
        Ok(()) => String::from_utf8(text).unwrap_or_default(),
        Err(_) => unreachable!(),
    }
}

/// HMAC-SHA-256 (RFC 2104).
pub fn keyed_hash(key: &[u8], message: &[u8]) -> [u8; 32] {
    // HMAC takes a key of any length
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_depends_on_key_seller_and_viewer() {
        let key = PseudonymKey::from_secret(b"one");
        let seller = |name| SellerId::try_new(name).expect("valid");
        let viewer = |name| ViewerId::try_new(name).expect("valid");
        let ana = key.viewer_ref(&seller("acme"), &viewer("ana"));
        assert_eq!(ana, key.viewer_ref(&seller("acme"), &viewer("ana")));
        assert_ne!(ana, key.viewer_ref(&seller("other"), &viewer("ana")));
        assert_ne!(ana, key.viewer_ref(&seller("acme"), &viewer("bob")));
        let other = PseudonymKey::from_secret(b"two");
        assert_ne!(ana, other.viewer_ref(&seller("acme"), &viewer("ana")));
        assert!(!ana.as_str().contains("ana"));
    }
}
