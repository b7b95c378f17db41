//! Random and broken input, the same at every run: canonical bytes, proofs, upcasters. A slice in
//! `scripts/test`, all of it in `scripts/soak`.

use domain::envelope::Position;
use domain::event::StreamKind;
use domain::merkle::{Hash, climbed, consistency, is_consistent, leaf_hash, path, root};
use domain::row::StoredRow;
use domain::upcast::decode;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::show::{Rows, show};
#[path = "../../fuzz/bodies.rs"]
mod bodies;

use crate::support::slice;

const ROUNDS: usize = 500_000;
const ROUNDS_IN_SLICE: usize = 5_000;

fn random() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(6)
}

fn number(size: usize) -> u64 {
    size.try_into().expect("fits")
}

fn rounds() -> usize {
    slice(ROUNDS_IN_SLICE, ROUNDS)
}

/// Changes something of a row, in any of its columns.
fn changed(row: &StoredRow, random: &mut ChaCha8Rng) -> StoredRow {
    let mut row = row.clone();
    let texts: [fn(&mut StoredRow) -> &mut Vec<u8>; 6] = [
        |row| &mut row.aggregate_type,
        |row| &mut row.aggregate_id,
        |row| &mut row.event_type,
        |row| &mut row.event_version,
        |row| &mut row.payload,
        |row| &mut row.metadata,
    ];
    match random.random_range(0..12) {
        0 => row.position.0 ^= 1 << random.random_range(0..63),
        1 => row.prev.0 ^= 1 << random.random_range(0..63),
        2 => row.sequence ^= 1 << random.random_range(0..63),
        3 => row.recorded_at ^= 1 << random.random_range(0..62),
        4 => row.event_id = uuid::Uuid::from_u128(random.random()),
        5 => row.stream_key = uuid::Uuid::from_u128(random.random()),
        // the end of one text becomes the beginning of the next one
        6 => {
            if let Some(byte) = row.event_type.pop() {
                row.event_version.insert(0, byte);
            }
        }
        _ => {
            let text = texts[random.random_range(0..texts.len())](&mut row);
            let at = random.random_range(0..=text.len());
            match random.random_range(0..3) {
                0 => text.insert(at, random.random()),
                1 if at < text.len() => {
                    text.remove(at);
                }
                _ if at < text.len() => text[at] ^= 1 << random.random_range(0..8),
                _ => text.push(random.random()),
            }
        }
    }
    row
}

#[test]
fn canonical_bytes_differ_where_rows_do_and_no_row_is_too_broken_to_be_read() {
    let (rows, mut random) = (Rows::of(show().story.log()).0, random());
    let mut refused = 0;
    for _ in 0..rounds() {
        let row = &rows[random.random_range(0..rows.len())];
        let mut other = changed(row, &mut random);
        if random.random_bool(0.3) {
            other = changed(&other, &mut random);
        }
        assert_eq!(row == &other, row.canonical() == other.canonical(), "{row:?} {other:?}");
        refused += usize::from(other.decode().is_err());
    }
    assert!(refused > rounds() / 10, "most changes are noticed by the decoder too: {refused}");
}

#[test]
fn a_proof_holds_for_its_own_leaf_and_for_nothing_else() {
    let mut random = random();
    for _ in 0..rounds() / 10 {
        let size = random.random_range(1..200_usize);
        let leaves: Vec<Hash> = (0..size).map(|_| leaf_hash(&random.random::<[u8; 8]>())).collect();
        let place = random.random_range(0..size);
        let (top, proof) = (root(&leaves), path(&leaves, place));
        let (index, count) = (number(place), number(size));
        assert_eq!(climbed(leaves[place], index, count, &proof), Some(top));
        let mut other = leaves[place];
        other.0[random.random_range(0..32)] ^= 1 << random.random_range(0..8);
        assert_ne!(climbed(other, index, count, &proof), Some(top));
        let mut longer = proof.clone();
        longer.push(other);
        assert_ne!(climbed(leaves[place], index, count, &longer), Some(top));
        if !proof.is_empty() {
            let mut forged = proof.clone();
            let at = random.random_range(0..forged.len());
            forged[at].0[random.random_range(0..32)] ^= 1;
            assert_ne!(climbed(leaves[place], index, count, &forged), Some(top));
            assert_ne!(climbed(leaves[place], index, count, &proof[1..]), Some(top));
        }
        assert_eq!(climbed(leaves[place], count, count, &proof), None, "outside of the tree");
        let old = random.random_range(1..=size);
        let before = (number(old), root(&leaves[..old]));
        let steps = consistency(&leaves, old).expect("the tree grew");
        assert!(is_consistent(before, (count, top), &steps));
        if old < size {
            let mut wrong = before;
            wrong.1.0[0] ^= 1;
            assert!(!is_consistent(wrong, (count, top), &steps));
        }
    }
}

#[test]
fn no_payload_breaks_an_upcaster() {
    let (rows, mut random) = (Rows::of(show().story.log()).0, random());
    let kinds =
        [StreamKind::Broadcast, StreamKind::Spotlight, StreamKind::Reservation, StreamKind::Order];
    let mut read = 0;
    for _ in 0..rounds() {
        let row = &rows[random.random_range(0..rows.len())];
        let mut payload = row.payload.clone();
        for _ in 0..random.random_range(0..4) {
            if payload.is_empty() {
                break;
            }
            let at = random.random_range(0..payload.len());
            match random.random_range(0..3) {
                0 => payload[at] = random.random_range(b' '..b'~'),
                1 => {
                    payload.remove(at);
                }
                _ => payload.truncate(at.max(1)),
            }
        }
        let payload = String::from_utf8_lossy(&payload).into_owned();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let version = ["1", "2", "", "99999999999999999999"][random.random_range(0..4)];
        let kind = kinds[random.random_range(0..kinds.len())];
        read += usize::from(decode(kind, &text(&row.event_type), version, &payload).is_ok());
    }
    assert!(read > 0, "what was not changed is read");
    assert!(rows.iter().all(|row| row.position > Position::START));
}

#[test]
fn the_targets_of_the_fuzzer_hold_on_random_input() {
    let (rows, mut random) = (Rows::of(show().story.log()).0, random());
    for _ in 0..rounds() / 10 {
        let mut data = vec![0; random.random_range(0..400)];
        random.fill(data.as_mut_slice());
        bodies::canonical(&data);
        bodies::canonical(&[data.as_slice(), &data].concat());
        bodies::proofs(&data);
        let row = &rows[random.random_range(0..rows.len())];
        let mut payload = row.payload.clone();
        for _ in 0..random.random_range(0..3) {
            let at = random.random_range(0..payload.len());
            payload[at] = random.random_range(b' '..b'~');
        }
        let parts = [&row.aggregate_type, &row.event_type, &row.event_version, &payload];
        bodies::upcasters(&parts.map(Vec::as_slice).join(&0));
    }
}
