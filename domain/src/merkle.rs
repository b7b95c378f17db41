//! Merkle trees as RFC 6962 hashes them: roots, inclusion and consistency.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// What precedes a leaf in its hash, so that no node passes for a leaf.
const LEAF: u8 = 0;
/// What precedes two nodes in their hash.
const NODE: u8 = 1;

/// A SHA-256; its text is hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

/// A text that is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no SHA-256 in hexadecimal")]
pub struct NotAHash;

impl Hash {
    /// The hash of nothing: the root of an empty tree.
    pub fn empty() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// The hash of parts, one after the other.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        // 32 bytes are 64 digits, which are ASCII
        hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = NotAHash;
    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let bytes = hex::decode(text).map_err(|_| NotAHash)?;
        bytes.try_into().map(Self).map_err(|_| NotAHash)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The hash of a leaf.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Hash::of(&[&[LEAF], leaf])
}

/// The hash of two nodes.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash::of(&[&[NODE], &left.0, &right.0])
}

/// The level above: an odd last node goes up as it is, which is the tree of RFC 6962.
fn above(level: &[Hash]) -> Vec<Hash> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => node_hash(left, right),
            [alone, ..] => *alone,
            [] => Hash::empty(),
        })
        .collect()
}

/// The root over the leaves and the path of each.
pub fn tree(leaves: &[Hash]) -> (Hash, Vec<Vec<Hash>>) {
    let mut paths = vec![vec![]; leaves.len()];
    let mut places: Vec<usize> = (0..leaves.len()).collect();
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        for (path, place) in paths.iter_mut().zip(&mut places) {
            if let Some(sibling) = level.get(*place ^ 1) {
                path.push(*sibling);
            }
            *place /= 2;
        }
        level = above(&level);
    }
    (level.first().copied().unwrap_or_else(Hash::empty), paths)
}

/// The root over the leaves.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = above(&level);
    }
    level.first().copied().unwrap_or_else(Hash::empty)
}

/// The path of one leaf, from its sibling up.
pub fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    let (mut path, mut place, mut level) = (vec![], index, leaves.to_vec());
    while level.len() > 1 {
        path.extend(level.get(place ^ 1));
        place /= 2;
        level = above(&level);
    }
    path
}

/// The root that a leaf's path leads to; nothing where the path has the wrong length.
pub fn climbed(leaf: Hash, index: u64, tree_size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= tree_size {
        return None;
    }
    let (mut hash, mut place, mut last) = (leaf, index, tree_size - 1);
    let mut path = path.iter();
    while last > 0 {
        if place % 2 == 1 {
            hash = node_hash(path.next()?, &hash);
        } else if place < last {
            hash = node_hash(&hash, path.next()?);
        }
        place /= 2;
        last /= 2;
    }
    path.next().is_none().then_some(hash)
}

/// The proof that a tree of the first `size` leaves is the beginning of the tree of all of them
/// (RFC 6962, 2.1.2); nothing where `size` is 0 or more than there are.
pub fn consistency(leaves: &[Hash], size: usize) -> Option<Vec<Hash>> {
    let head = leaves.get(..size)?;
    (!head.is_empty()).then(|| subproof(leaves, size, true))
}

fn subproof(leaves: &[Hash], size: usize, whole: bool) -> Vec<Hash> {
    if size >= leaves.len() {
        return if whole { vec![] } else { vec![root(leaves)] };
    }
    let middle = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(middle.min(leaves.len()));
    if size <= middle {
        let mut proof = subproof(left, size, whole);
        proof.push(root(right));
        proof
    } else {
        let mut proof = subproof(right, size - middle, false);
        proof.push(root(left));
        proof
    }
}

/// Whether a proof leads from the root of the first tree to that of the second (RFC 9162,
/// 2.1.4.2).
pub fn is_consistent(old: (u64, Hash), new: (u64, Hash), proof: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == 0 || old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    let mut steps = proof.iter().copied();
    let (mut place, mut last) = (old_size - 1, new_size - 1);
    while place % 2 == 1 {
        place /= 2;
        last /= 2;
    }
    let first = if old_size.is_power_of_two() { Some(old_root) } else { steps.next() };
    let Some(first) = first else { return false };
    let (mut of_old, mut of_new) = (first, first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if place % 2 == 1 || place == last {
            of_old = node_hash(&step, &of_old);
            of_new = node_hash(&step, &of_new);
            while place % 2 == 0 && place != 0 {
                place /= 2;
                last /= 2;
            }
        } else {
            of_new = node_hash(&of_new, &step);
        }
        place /= 2;
        last /= 2;
    }
    last == 0 && of_old == old_root && of_new == new_root
}

/// A tree that grows at its end, as the roots of its whole subtrees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontier {
    subtrees: Vec<(u64, Hash)>,
}

impl Frontier {
    /// Adds a leaf's hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = (1, leaf);
        while let Some((_, left)) = self.subtrees.pop_if(|(size, _)| *size == node.0) {
            node = (node.0 * 2, node_hash(&left, &node.1));
        }
        self.subtrees.push(node);
    }

    /// How many leaves there are.
    pub fn len(&self) -> u64 {
        self.subtrees.iter().map(|(size, _)| size).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.subtrees.is_empty()
    }

    /// The root over all of them.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.subtrees.iter().rev().map(|(_, hash)| *hash);
        let Some(last) = subtrees.next() else { return Hash::empty() };
        subtrees.fold(last, |right, left| node_hash(&left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u8) -> Vec<Hash> {
        (0..count).map(|number| leaf_hash(&[number])).collect()
    }

    #[test]
    fn the_tree_is_that_of_rfc_6962() {
        // the test vectors of the Certificate Transparency reference implementation
        let leaves = ["", "00", "10", "2021", "3031", "40414243"];
        let hashes: Vec<Hash> =
            leaves.iter().map(|leaf| leaf_hash(&hex::decode(leaf).unwrap())).collect();
        let hex = |size: usize| root(&hashes[..size]).to_string();
        assert_eq!(hex(1), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(hex(3), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
        assert_eq!(hex(6), "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef");
    }

    #[test]
    fn a_frontier_has_the_root_of_its_tree_and_every_path_leads_there() {
        let mut frontier = Frontier::default();
        assert_eq!((frontier.root(), frontier.is_empty()), (Hash::empty(), true));
        for (count, leaf) in (1_u8..).zip(leaves(40)) {
            frontier.push(leaf);
            let (all, size) = (leaves(count), u64::from(count));
            assert_eq!(frontier.root(), root(&all));
            assert_eq!(frontier.len(), size);
            let (root, paths) = tree(&all);
            for ((place, leaf), proof) in all.iter().enumerate().zip(&paths) {
                assert_eq!(path(&all, place), *proof);
                let place = u64::try_from(place).unwrap();
                assert_eq!(climbed(*leaf, place, size, proof), Some(root));
            }
        }
    }

    #[test]
    fn a_tree_is_consistent_with_each_of_its_beginnings_and_no_other_tree() {
        for new in 1..=20_u8 {
            let all = leaves(new);
            for old in 1..=new {
                let proof = consistency(&all, usize::from(old)).unwrap();
                let first = (u64::from(old), root(&leaves(old)));
                let second = (u64::from(new), root(&all));
                assert!(is_consistent(first, second, &proof), "{old} of {new}");
                let forged = (u64::from(old), leaf_hash(b"forged"));
                assert!(!is_consistent(forged, second, &proof));
                let mut longer = proof.clone();
                longer.push(Hash::empty());
                assert!(!is_consistent(first, second, &longer));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!is_consistent(first, second, shorter));
                }
            }
        }
        assert_eq!(consistency(&leaves(3), 0), None);
        assert_eq!(consistency(&leaves(3), 4), None);
    }
}
