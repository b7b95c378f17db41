//! Personal parts of events, sealed on the way into a database and opened on the way out.

use std::collections::BTreeMap;

use domain::envelope::{NewEvent, Position, Recorded};
use domain::personal_key::{PERSONAL_KEY_BYTES, PersonalKey};
use domain::ports::PortError;
use rand::Rng;

use super::numbers::{from_position, to_position};

/// Keys that are looked up one by one rather than with all that lies between them: where fewer than
/// one position in so many is asked for.
const SPARSE: i64 = 8;
/// So few keys are always looked up one by one: a list may be long.
const FEW: i64 = 16;

/// The keys of a batch, each in the slot of its event.
#[derive(Debug, Default)]
pub(super) struct Slots {
    bytes: Vec<u8>,
    events: usize,
}

impl Slots {
    fn put(&mut self, key: Option<&PersonalKey>) {
        if let Some(key) = key {
            self.bytes.resize(self.events * PERSONAL_KEY_BYTES, 0);
            self.bytes.extend_from_slice(key.as_bytes());
        }
        self.events += 1;
    }

    /// One after the other, up to the last one; absent where there is none.
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        (!self.bytes.is_empty()).then_some(self.bytes)
    }
}

/// The payload of an event as a database keeps it: what is personal sealed under a key of its own,
/// which goes to `slots`.
pub(super) fn sealed_payload(
    event: &NewEvent,
    slots: &mut Slots,
) -> Result<String, serde_json::Error> {
    let Some(personal) = event.event.personal().filter(|personal| !personal.is_empty()) else {
        slots.put(None);
        return event.event.to_payload();
    };
    let key = PersonalKey::new(rand::rng().random());
    let sealed = key.seal(personal, event.event_id)?;
    let mut stored = event.event.clone();
    if let Some(place) = stored.personal_mut() {
        *place = sealed;
    }
    slots.put(Some(&key));
    stored.to_payload()
}

/// The keys of a page that were asked for.
pub(super) type Keys = BTreeMap<Position, PersonalKey>;

/// What is to be looked up for a page of events.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing is sealed.
    Nothing,
    /// Every list of keys from that of the first position to that of the last one.
    Between(i64, i64),
    /// The keys of these positions.
    Each(Vec<i64>),
}

impl Wanted {
    /// What events need.
    pub fn of(events: &[Recorded]) -> Self {
        let sealed = |event: &&Recorded| {
            event.event.personal().is_some_and(|personal| personal.sealed.is_some())
        };
        Self::among(events.iter().filter(sealed).map(|event| event.position))
    }

    /// What these positions need.
    pub fn among(positions: impl Iterator<Item = Position>) -> Self {
        let positions: Vec<i64> = positions.map(from_position).collect();
        let (Some(first), Some(last)) = (positions.iter().min(), positions.iter().max()) else {
            return Self::Nothing;
        };
        let count = i64::try_from(positions.len()).unwrap_or(i64::MAX);
        if count > FEW && last.saturating_sub(*first) / SPARSE <= count {
            Self::Between(*first, *last)
        } else {
            Self::Each(positions)
        }
    }
}

/// The keys in lists of them.
///
/// # Errors
/// [`PortError::Corrupt`] where a list begins before the log.
pub(super) fn keys_in(lists: &[(i64, Vec<u8>)]) -> Result<Keys, PortError> {
    let mut keys = Keys::new();
    for (first, bytes) in lists {
        let first = to_position(*first)?;
        let (slots, _) = bytes.as_chunks::<PERSONAL_KEY_BYTES>();
        let known = (first.0..)
            .zip(slots)
            .filter_map(|(position, slot)| Some((Position(position), PersonalKey::in_slot(slot)?)));
        keys.extend(known);
    }
    Ok(keys)
}

/// The keys in slots; a slot is absent where its list ends before it.
///
/// # Errors
/// [`PortError::Corrupt`] where a position is none.
pub(super) fn keys_of(slots: Vec<(i64, Option<Vec<u8>>)>) -> Result<Keys, PortError> {
    let mut keys = Keys::new();
    for (position, slot) in slots {
        if let Some(key) = slot.as_deref().and_then(PersonalKey::in_slot) {
            keys.insert(to_position(position)?, key);
        }
    }
    Ok(keys)
}

/// Clears the slots of positions in the list that begins at `first`; returns how many had a key.
pub(super) fn clear(first: i64, bytes: &mut [u8], positions: &[Position]) -> u64 {
    let mut cleared = 0;
    for position in positions {
        let slot =
            from_position(*position).checked_sub(first).and_then(|n| usize::try_from(n).ok());
        let (slots, _) = bytes.as_chunks_mut::<PERSONAL_KEY_BYTES>();
        if let Some(slot) = slot.and_then(|slot| slots.get_mut(slot))
            && PersonalKey::in_slot(slot.as_slice()).is_some()
        {
            slot.fill(0);
            cleared += 1;
        }
    }
    cleared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_in_the_slot_of_its_event() {
        let mut slots = Slots::default();
        let keys = [PersonalKey::new([1; 32]), PersonalKey::new([2; 32])];
        for key in [None, Some(&keys[0]), None, Some(&keys[1]), None] {
            slots.put(key);
        }
        let mut bytes = slots.into_bytes().expect("has keys");
        assert_eq!(bytes.len(), 4 * PERSONAL_KEY_BYTES, "what follows the last key is left out");
        let found = keys_in(&[(11, bytes.clone())]).expect("is a list");
        assert_eq!(found, Keys::from([(Position(12), keys[0]), (Position(14), keys[1])]));
        let positions = [10, 11, 12, 15].map(Position);
        assert_eq!(clear(11, &mut bytes, &positions), 1);
        let left = keys_in(&[(11, bytes)]).expect("is a list");
        assert_eq!(left, Keys::from([(Position(14), keys[1])]));
        assert!(keys_in(&[(-1, vec![])]).is_err());
        assert_eq!(Slots::default().into_bytes(), None);
    }
}
