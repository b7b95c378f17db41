// What the fuzz targets call, and the seeded tests of `tests/audit/fuzz.rs` too.

use domain::envelope::Position;
use domain::event::StreamKind;
use domain::merkle::{Hash, climbed, consistency, is_consistent, leaf_hash, path, root};
use domain::row::StoredRow;
use domain::upcast;
use uuid::Uuid;

/// Takes bytes from the front, and zeros where there are none left.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn number(&mut self) -> u64 {
        let (head, rest) = self.0.split_at(self.0.len().min(8));
        self.0 = rest;
        head.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }

    fn text(&mut self) -> Vec<u8> {
        let most = usize::try_from(self.number() % 64).unwrap_or(0);
        let (head, rest) = self.0.split_at(self.0.len().min(most));
        self.0 = rest;
        head.to_vec()
    }

    fn row(&mut self) -> StoredRow {
        StoredRow {
            position: Position(self.number()),
            prev: Position(self.number()),
            event_id: Uuid::from_u64_pair(self.number(), self.number()),
            aggregate_type: self.text(),
            aggregate_id: self.text(),
            sequence: self.number(),
            stream_key: Uuid::from_u64_pair(self.number(), self.number()),
            recorded_at: i64::from_be_bytes(self.number().to_be_bytes()),
            event_type: self.text(),
            event_version: self.text(),
            payload: self.text(),
            metadata: self.text(),
        }
    }
}

/// Canonical bytes are equal where rows are, and nowhere else; no row is too broken to be read.
pub fn canonical(data: &[u8]) {
    let (first, second) = data.split_at(data.len() / 2);
    let (first, second) = (Bytes(first).row(), Bytes(second).row());
    assert_eq!(first == second, first.canonical() == second.canonical());
    let _ = (first.decode(), second.decode());
}

/// A proof holds for its own leaf, place and tree; whatever else is said to be a proof is not one.
pub fn proofs(data: &[u8]) {
    let mut bytes = Bytes(data);
    let count = usize::try_from(bytes.number() % 300 + 1).unwrap_or(1);
    let place = usize::try_from(bytes.number()).unwrap_or(0) % count;
    let leaves: Vec<Hash> = (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect();
    let (top, steps) = (root(&leaves), path(&leaves, place));
    let number = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    let leaf = leaves.get(place).copied().unwrap_or(top);
    assert_eq!(climbed(leaf, number(place), number(count), &steps), Some(top));
    // what the input says is a proof
    let mut forged = Vec::new();
    while bytes.0.len() >= 32 && forged.len() < 64 {
        let (head, rest) = bytes.0.split_at(32);
        bytes.0 = rest;
        forged.push(Hash(head.try_into().unwrap_or([0; 32])));
    }
    if forged != steps {
        assert_ne!(climbed(leaf, number(place), number(count), &forged), Some(top));
    }
    let old = usize::try_from(bytes.number()).unwrap_or(0) % count + 1;
    let before = (number(old), root(leaves.get(..old).unwrap_or(&leaves)));
    let grown = consistency(&leaves, old).unwrap_or_default();
    assert!(is_consistent(before, (number(count), top), &grown));
    let _ = is_consistent((before.0, leaf), (number(count), top), &forged);
}

/// No type, version and payload breaks an upcaster.
pub fn upcasters(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == 0).map(String::from_utf8_lossy);
    let mut part = || parts.next().unwrap_or_default();
    let (kind, event_type, version, payload) = (part(), part(), part(), part());
    let Ok(kind) = kind.parse::<StreamKind>() else { return };
    let Ok(event) = upcast::decode(kind, &event_type, &version, &payload) else { return };
    // what can be read can be written, and read again
    let again = event.to_payload().expect("serialises");
    let (event_type, version) = (event.event_type(), event.event_version());
    assert_eq!(upcast::decode(kind, &event_type, &version, &again).ok(), Some(event));
}
