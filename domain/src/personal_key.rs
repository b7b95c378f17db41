//! The key of one event's personal part: whoever destroys it makes that part unreadable, and
//! changes no stored byte.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::envelope::{Position, Recorded};
use crate::ids::EventId;
use crate::personal::Personal;

/// Bytes of a key.
pub const PERSONAL_KEY_BYTES: usize = 32;

/// The key of one event. It seals once: that is why its nonce is a constant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PersonalKey([u8; PERSONAL_KEY_BYTES]);

impl std::fmt::Debug for PersonalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonalKey(…)")
    }
}

impl PersonalKey {
    /// A key of these bytes, which must be random.
    pub const fn new(bytes: [u8; PERSONAL_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The key in a slot of a key store; none where the slot is cut off or was cleared.
    pub fn in_slot(slot: &[u8]) -> Option<Self> {
        let bytes = <[u8; PERSONAL_KEY_BYTES]>::try_from(slot).ok()?;
        (bytes != [0; PERSONAL_KEY_BYTES]).then_some(Self(bytes))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; PERSONAL_KEY_BYTES] {
        &self.0
    }

    /// The key as hexadecimal digits; none where they are no key, or that of a cleared slot.
    pub fn of_hex(digits: &[u8]) -> Option<Self> {
        Self::in_slot(&hex::decode(digits).ok()?)
    }

    /// Its hexadecimal digits.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// What names a person in `event`, sealed.
    ///
    /// # Errors
    /// A value that JSON cannot hold; none has one.
    pub fn seal(&self, personal: &Personal, event: EventId) -> Result<Personal, serde_json::Error> {
        let mut bytes = serde_json::to_vec(personal)?;
        let sealed = self.aead().and_then(|key| {
            key.seal_in_place_append_tag(nonce(), Aad::from(event.0.as_bytes()), &mut bytes)
        });
        sealed.map_err(|_| serde::ser::Error::custom("the personal part is too long"))?;
        let sealed = Some(STANDARD_NO_PAD.encode(bytes));
        Ok(Personal { sealed, ..Personal::default() })
    }

    /// What was sealed in `event` under this key; nothing where it was another key or event.
    pub fn open(&self, sealed: &str, event: EventId) -> Option<Personal> {
        let mut bytes = STANDARD_NO_PAD.decode(sealed).ok()?;
        let key = self.aead().ok()?;
        let plain = key.open_in_place(nonce(), Aad::from(event.0.as_bytes()), &mut bytes).ok()?;
        serde_json::from_slice(plain).ok()
    }

    fn aead(&self) -> Result<LessSafeKey, ring::error::Unspecified> {
        Ok(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &self.0)?))
    }
}

/// Opens what is sealed in events; where the key is gone, nothing personal is left.
pub fn open_all(events: &mut [Recorded], keys: &BTreeMap<Position, PersonalKey>) {
    for event in events {
        let (position, id) = (event.position, event.event_id);
        let Some(personal) = event.event.personal_mut() else { continue };
        let Some(sealed) = personal.sealed.take() else { continue };
        let opened = keys.get(&position).and_then(|key| key.open(&sealed, id));
        *personal = opened.unwrap_or_default();
    }
}

/// A key seals one event only, so that its nonce need not differ.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn ana() -> Personal {
        Personal { name: Some("Ana".to_owned()), ..Personal::default() }
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_and_event_only() {
        let (key, event) = (PersonalKey::new([7; 32]), EventId(Uuid::from_u128(1)));
        let sealed = key.seal(&ana(), event).expect("seals").sealed.expect("is sealed");
        assert!(!sealed.contains("Ana"));
        assert_eq!(key.open(&sealed, event), Some(ana()));
        assert_eq!(key.open(&sealed, EventId(Uuid::from_u128(2))), None);
        assert_eq!(PersonalKey::new([8; 32]).open(&sealed, event), None);
        assert_eq!(key.open("no base64 !", event), None);
        assert_eq!(key.open("", event), None);
    }

    #[test]
    fn a_cleared_slot_and_a_cut_one_hold_no_key() {
        assert_eq!(PersonalKey::in_slot(&[0; 32]), None);
        assert_eq!(PersonalKey::in_slot(&[1; 31]), None);
        assert_eq!(PersonalKey::in_slot(&[1; 32]), Some(PersonalKey::new([1; 32])));
    }

    #[test]
    fn a_key_comes_back_from_its_digits() {
        let key = PersonalKey::new([9; 32]);
        assert_eq!(PersonalKey::of_hex(key.to_hex().as_bytes()), Some(key));
        for digits in ["zz", "", "09", &"0".repeat(64)] {
            assert_eq!(PersonalKey::of_hex(digits.as_bytes()), None, "{digits}");
        }
    }
}
