//! Seals of the log: a hash chain over the stored bytes, a Merkle root for each block of positions,
//! and a signed checkpoint that says how long the log was and what it held.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::envelope::Position;
use crate::merkle::{self, Frontier, Hash, leaf_hash};
use crate::row::StoredRow;

/// Positions of a whole block.
pub const SEAL_BLOCK_EVENTS: u64 = 1_024;

const CHAIN: &[u8] = b"onair chain v1\n";
const BLOCK: &[u8] = b"onair block v1\n";
const CHECKPOINT: &str = "onair checkpoint v1";

/// The chain before the first row.
pub fn chain_start() -> Hash {
    Hash::of(&[CHAIN])
}

/// The chain after a row.
pub fn chain_next(chain: &Hash, row: &Hash) -> Hash {
    Hash::of(&[CHAIN, &chain.0, &row.0])
}

/// The hash of a row: the leaf of its block's tree.
pub fn row_hash(row: &StoredRow) -> Hash {
    leaf_hash(&row.canonical())
}

/// A block of positions with the checkpoint that was signed after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The block's number; 1 is the first. The checkpoint covers as many blocks.
    pub number: u64,
    /// The block's first position.
    pub first: Position,
    /// The block's last position.
    pub last: Position,
    /// The Merkle root over the block's rows.
    pub root: Hash,
    /// The chain after the last row.
    pub chain: Hash,
    /// The Merkle root over all blocks so far.
    pub tree: Hash,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// Which key signed.
    pub key_id: String,
    /// The ed25519 signature over [`Seal::text`], in hexadecimal.
    pub signature: String,
}

/// A seal with the hashes of its rows, by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBlock {
    /// The seal.
    pub seal: Seal,
    /// The hash of each row of the block.
    pub rows: Vec<Hash>,
}

/// A public key that seals, as it is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The first 8 bytes of the SHA-256 of the key, in hexadecimal.
    pub key_id: String,
    /// The ed25519 public key, in hexadecimal.
    pub public_key: String,
    /// The first seal that it signed.
    pub first_seal: u64,
}

/// What the first line of a witness says.
pub const WITNESS_FORMAT: &str = "onair witness v1";

/// The first line of a witness: the published key set. Seals follow, one a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessHeading {
    /// [`WITNESS_FORMAT`].
    pub format: String,
    /// The keys.
    pub keys: Vec<KeyRecord>,
}

impl WitnessHeading {
    /// The heading over seals that these keys signed.
    pub fn new(keys: Vec<KeyRecord>) -> Self {
        Self { format: WITNESS_FORMAT.to_owned(), keys }
    }
}

/// Why a seal is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No key that is known has this id.
    #[error("is signed by a key that is not known")]
    UnknownKey,
    /// The signature is not of this text.
    #[error("has a signature that is not of this seal")]
    WrongSignature,
}

impl Seal {
    /// The hash of the block: the leaf of the tree over all blocks.
    pub fn leaf(&self) -> Hash {
        block_leaf(self.number, (self.first, self.last), &self.root, &self.chain)
    }

    /// What is signed, as text.
    pub fn text(&self) -> String {
        let Self { number, first, last, root, chain, tree, key_id, .. } = self;
        let at = self.sealed_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        format!(
            "{CHECKPOINT}\nblocks {number}\npositions {first} {last}\nroot {root}\nchain {chain}\n\
             tree {tree}\nat {at}\nkey {key_id}\n"
        )
    }

    /// Whether one of the keys signed it.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn check(&self, keys: &[KeyRecord]) -> Result<(), SealError> {
        let record = keys.iter().find(|key| key.key_id == self.key_id);
        let key = record.and_then(KeyRecord::key).ok_or(SealError::UnknownKey)?;
        let signature = hex::decode(&self.signature)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .ok_or(SealError::WrongSignature)?;
        key.verify_strict(self.text().as_bytes(), &signature).map_err(|_| SealError::WrongSignature)
    }
}

impl KeyRecord {
    /// The record of a public key.
    pub fn of(public_key: &[u8; 32], first_seal: u64) -> Self {
        let (key_id, public_key) = (key_id(public_key), hex::encode(public_key));
        Self { key_id, public_key, first_seal }
    }

    /// The key, where the record is whole and the id is the key's own.
    fn key(&self) -> Option<VerifyingKey> {
        let bytes: [u8; 32] = hex::decode(&self.public_key).ok()?.try_into().ok()?;
        (key_id(&bytes) == self.key_id).then(|| VerifyingKey::from_bytes(&bytes).ok())?
    }
}

/// The name of a public key: the first 8 bytes of its SHA-256, in hexadecimal.
pub fn key_id(public_key: &[u8; 32]) -> String {
    let digest = Hash::of(&[public_key]);
    let (head, _) = digest.0.split_at(8);
    hex::encode(head)
}

fn block_leaf(number: u64, (first, last): (Position, Position), root: &Hash, chain: &Hash) -> Hash {
    let number = number.to_be_bytes();
    let (first, last) = (first.0.to_be_bytes(), last.0.to_be_bytes());
    leaf_hash(&[BLOCK, &number, &first, &last, &root.0, &chain.0].concat())
}

/// Signs seals.
pub struct SealSigner(SigningKey);

impl SealSigner {
    /// The signer of a secret seed; the same seed gives the same key.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// What seals are verified with.
    pub fn public_key(&self) -> [u8; 32] {
        *self.0.verifying_key().as_bytes()
    }
}

/// What stands in front of the manifest of an evidence pack where it is signed.
const EVIDENCE: &[u8] = b"onair evidence v1\n";

impl SealSigner {
    /// The signature over the manifest of an evidence pack, in hexadecimal.
    pub fn sign_evidence(&self, manifest: &[u8]) -> String {
        hex::encode(self.0.sign(&[EVIDENCE, manifest].concat()).to_bytes())
    }
}

/// The log as far as it was sealed, and how the next block goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealState {
    blocks: Frontier,
    chain: Hash,
    last: Position,
}

impl Default for SealState {
    fn default() -> Self {
        Self { blocks: Frontier::default(), chain: chain_start(), last: Position::START }
    }
}

impl SealState {
    /// How many blocks there are.
    pub fn blocks(&self) -> u64 {
        self.blocks.len()
    }

    /// The last position that is sealed.
    pub const fn last(&self) -> Position {
        self.last
    }

    /// Takes a seal in, which must be the next one.
    pub fn follow(&mut self, seal: &Seal) {
        self.blocks.push(seal.leaf());
        (self.chain, self.last) = (seal.chain, seal.last);
    }

    /// The root over all blocks.
    pub fn tree(&self) -> Hash {
        self.blocks.root()
    }

    /// Seals the next rows, given by their hashes; at least one.
    pub fn seal(&mut self, rows: Vec<Hash>, at: Timestamp, signer: &SealSigner) -> SealedBlock {
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let (number, first) = (self.blocks() + 1, Position(self.last.0 + 1));
        let last = Position(self.last.0 + count);
        let root = merkle::root(&rows);
        let chain = rows.iter().fold(self.chain, |chain, row| chain_next(&chain, row));
        let mut seal = Seal {
            number,
            first,
            last,
            root,
            chain,
            tree: root,
            sealed_at: at,
            key_id: key_id(&signer.public_key()),
            signature: String::new(),
        };
        self.follow(&seal);
        seal.tree = self.tree();
        seal.signature = hex::encode(signer.0.sign(seal.text().as_bytes()).to_bytes());
        SealedBlock { seal, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(signer: &SealSigner) -> Seal {
        let rows = vec![leaf_hash(b"a"), leaf_hash(b"b")];
        SealState::default().seal(rows, Timestamp::default(), signer).seal
    }

    #[test]
    fn nothing_of_a_seal_can_be_changed() {
        let signer = SealSigner::from_seed(&[1; 32]);
        let keys = [KeyRecord::of(&signer.public_key(), 1)];
        let good = seal(&signer);
        assert_eq!(good.check(&keys), Ok(()));
        assert_eq!(good.check(&[]), Err(SealError::UnknownKey));
        let other = KeyRecord::of(&SealSigner::from_seed(&[2; 32]).public_key(), 1);
        let posing = KeyRecord { key_id: keys[0].key_id.clone(), ..other };
        assert_eq!(good.check(&[posing]), Err(SealError::UnknownKey));
        for change in [
            |seal: &mut Seal| seal.number += 1,
            |seal: &mut Seal| seal.first.0 += 1,
            |seal: &mut Seal| seal.last.0 += 1,
            |seal: &mut Seal| seal.root = Hash::empty(),
            |seal: &mut Seal| seal.chain = Hash::empty(),
            |seal: &mut Seal| seal.tree = Hash::empty(),
            |seal: &mut Seal| seal.sealed_at += chrono::TimeDelta::microseconds(1),
            |seal: &mut Seal| seal.signature = "00".repeat(64),
        ] {
            let mut changed = good.clone();
            change(&mut changed);
            assert_eq!(changed.check(&keys), Err(SealError::WrongSignature), "{changed:?}");
        }
    }

    #[test]
    fn blocks_go_on_where_the_last_one_ended() {
        let signer = SealSigner::from_seed(&[1; 32]);
        let rows: Vec<Hash> = (0..5_u8).map(|number| leaf_hash(&[number])).collect();
        let mut state = SealState::default();
        let first = state.seal(rows[..3].to_vec(), Timestamp::default(), &signer).seal;
        let second = state.seal(rows[3..].to_vec(), Timestamp::default(), &signer).seal;
        assert_eq!((second.number, second.first, second.last), (2, Position(4), Position(5)));
        let mut once = SealState::default();
        let whole = once.seal(rows, Timestamp::default(), &signer).seal;
        assert_eq!(whole.chain, second.chain);
        assert_eq!(second.tree, merkle::root(&[first.leaf(), second.leaf()]));
        let mut followed = SealState::default();
        followed.follow(&first);
        followed.follow(&second);
        assert_eq!(followed, state);
    }
}
