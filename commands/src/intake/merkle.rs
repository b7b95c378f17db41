//! Receipts: one signed root for a batch of orders, one path for each (RFC 6962 hashing).

use domain::envelope::Source;
use domain::fingerprint::lower_hex;
use domain::ids::{OrderId, SpotlightId};
use domain::line::PricedLine;
use domain::merkle::{Hash, climbed, leaf_hash, tree};
use domain::money::{Currency, Money};
use domain::order::Accepted;
use domain::rfc3339;
use domain::seal::key_id;
use domain::views::ReceiptJson;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize, Serializer};

/// What the signature says it is for.
const CONTEXT: &[u8] = b"onair receipt v1\n";

/// A signed promise: this leaf was among `tree_size` orders that the log acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Receipt {
    /// What was promised, as the exact JSON text that was hashed.
    pub leaf: String,
    /// The leaf's number in the batch, from 0.
    pub index: u64,
    /// Leaves of the batch.
    pub tree_size: u64,
    /// The hashes from the leaf's sibling up, in hexadecimal.
    pub path: Vec<String>,
    /// The root, in hexadecimal.
    pub root: String,
    /// The ed25519 signature over `"onair receipt v1\n" ‖ tree_size (8 bytes, big endian) ‖ root`,
    /// in hexadecimal.
    pub signature: String,
    /// Which key signed.
    pub key_id: String,
}

/// Why a receipt is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// A field is not what it should be.
    #[error("the receipt is malformed")]
    Malformed,
    /// Another key signed.
    #[error("the receipt was signed by another key")]
    OtherKey,
    /// The path does not lead from the leaf to the root.
    #[error("the path does not lead from the leaf to the root")]
    WrongPath,
    /// The signature is not of this root.
    #[error("the signature is not of this root")]
    WrongSignature,
}

/// Signs batches of receipts.
pub struct ReceiptSigner {
    key: SigningKey,
    key_id: String,
}

impl ReceiptSigner {
    /// The signer of a secret seed; the same seed gives the same key.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let key_id = key_id(key.verifying_key().as_bytes());
        Self { key, key_id }
    }

    /// What receipts are verified with.
    pub fn public_key(&self) -> [u8; 32] {
        *self.key.verifying_key().as_bytes()
    }

    /// The receipts of a batch, in order: one signature for all of them. Nothing where one does not
    /// serialise, which texts and numbers always do.
    pub fn sign(&self, leaves: &[String]) -> Vec<Option<ReceiptJson>> {
        let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf.as_bytes())).collect();
        let tree_size = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        let (root, paths) = tree(&hashes);
        let signature = lower_hex(&self.key.sign(&signed(tree_size, &root)).to_bytes());
        leaves
            .iter()
            .zip(&paths)
            .zip(0_u64..)
            .map(|((leaf, path), index)| {
                ReceiptJson::of(&Written {
                    leaf,
                    index,
                    tree_size,
                    path,
                    root,
                    signature: &signature,
                    key_id: &self.key_id,
                })
            })
            .collect()
    }
}

/// A [`Receipt`] as it is written, which most are and few are read.
#[derive(Serialize)]
struct Written<'a> {
    leaf: &'a str,
    index: u64,
    tree_size: u64,
    path: &'a [Hash],
    root: Hash,
    signature: &'a str,
    key_id: &'a str,
}

/// Whether a receipt is the promise of the owner of a key.
///
/// # Errors
/// [`ReceiptError`]: the first thing that does not fit.
pub fn verify_receipt(receipt: &Receipt, public_key: &[u8; 32]) -> Result<(), ReceiptError> {
    if receipt.key_id != key_id(public_key) {
        return Err(ReceiptError::OtherKey);
    }
    let root = hash_of(&receipt.root)?;
    let path = receipt
        .path
        .iter()
        .map(|text| hash_of(text))
        .collect::<Result<Vec<Hash>, ReceiptError>>()?;
    if climbed(leaf_hash(receipt.leaf.as_bytes()), receipt.index, receipt.tree_size, &path)
        != Some(root)
    {
        return Err(ReceiptError::WrongPath);
    }
    let key = VerifyingKey::from_bytes(public_key).map_err(|_| ReceiptError::Malformed)?;
    let bytes = hex::decode(&receipt.signature).map_err(|_| ReceiptError::Malformed)?;
    let signature = Signature::from_slice(&bytes).map_err(|_| ReceiptError::Malformed)?;
    key.verify_strict(&signed(receipt.tree_size, &root), &signature)
        .map_err(|_| ReceiptError::WrongSignature)
}

fn hash_of(text: &str) -> Result<Hash, ReceiptError> {
    text.parse().map_err(|_| ReceiptError::Malformed)
}

fn signed(tree_size: u64, root: &Hash) -> Vec<u8> {
    [CONTEXT, &tree_size.to_be_bytes(), &root.0].concat()
}

/// Bytes that the leaf of an order of a line or two does not exceed: its text need not grow.
const LEAF_BYTES: usize = 1_024;

/// What a receipt promises. Members stand in alphabetical order, without white space: the text is
/// its own canonical form.
#[derive(Serialize)]
struct Leaf<'a> {
    accepted_at: rfc3339::Text,
    #[serde(serialize_with = "lines")]
    lines: &'a [PricedLine],
    offer_version: u32,
    order_id: OrderId,
    source: LeafSource<'a>,
    spotlight_id: SpotlightId,
    total: LeafMoney,
    viewer_ref: &'a str,
}

#[derive(Serialize)]
struct LeafLine<'a> {
    quantity: u32,
    sku: &'a str,
    unit_price: LeafMoney,
}

#[derive(Serialize)]
struct LeafMoney {
    currency: Currency,
    minor: i64,
}

#[derive(Serialize)]
struct LeafSource<'a> {
    offset: i64,
    partition: i32,
    topic: &'a str,
}

const fn money(money: Money) -> LeafMoney {
    LeafMoney { currency: money.currency, minor: money.minor }
}

fn lines<S: Serializer>(lines: &[PricedLine], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(lines.iter().map(|line| LeafLine {
        quantity: line.quantity.get(),
        sku: line.sku.as_str(),
        unit_price: money(line.unit_price),
    }))
}

/// The leaf of an accepted order; every part of it is in the log as well.
pub fn leaf_of(accepted: &Accepted, source: &Source) -> String {
    let leaf = Leaf {
        accepted_at: rfc3339::with_micros(&accepted.admission.at),
        lines: &accepted.lines,
        offer_version: accepted.admission.offer_version,
        order_id: accepted.order_id,
        source: LeafSource {
            offset: source.offset,
            partition: source.partition,
            topic: &source.topic,
        },
        spotlight_id: accepted.spotlight_id,
        total: money(accepted.total),
        viewer_ref: accepted.viewer_ref.as_str(),
    };
    let mut text = Vec::with_capacity(LEAF_BYTES);
    // texts and whole numbers always serialise
    match serde_json::to_writer(&mut text, &leaf) {
        Ok(()) => String::from_utf8(text).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> ReceiptSigner {
        ReceiptSigner::from_seed(&[7; 32])
    }

    fn batch(size: usize) -> Vec<Receipt> {
        let leaves: Vec<String> = (0..size).map(|number| format!("leaf {number}")).collect();
        let receipts = signer().sign(&leaves);
        let read = |json: Option<ReceiptJson>| {
            serde_json::from_str(json.expect("serialises").as_str()).expect("a receipt")
        };
        receipts.into_iter().map(read).collect()
    }

    #[test]
    fn every_receipt_of_every_batch_verifies() {
        let key = signer().public_key();
        for size in 1..=33 {
            for receipt in batch(size) {
                assert_eq!(verify_receipt(&receipt, &key), Ok(()), "{} of {size}", receipt.index);
            }
        }
    }

    #[test]
    fn nothing_of_a_receipt_can_be_changed() {
        let key = signer().public_key();
        let other = ReceiptSigner::from_seed(&[8; 32]);
        let good = batch(5).remove(3);
        let mut changed = good.clone();
        changed.leaf.push('!');
        assert_eq!(verify_receipt(&changed, &key), Err(ReceiptError::WrongPath));
        let mut changed = good.clone();
        changed.index = 2;
        assert_eq!(verify_receipt(&changed, &key), Err(ReceiptError::WrongPath));
        let mut changed = good.clone();
        changed.index = 5;
        assert_eq!(verify_receipt(&changed, &key), Err(ReceiptError::WrongPath));
        let mut changed = good.clone();
        changed.path.push(changed.root.clone());
        assert_eq!(verify_receipt(&changed, &key), Err(ReceiptError::WrongPath));
        let mut changed = good.clone();
        changed.tree_size = 6;
        assert!(verify_receipt(&changed, &key).is_err());
        let mut changed = good.clone();
        changed.signature = batch(4).remove(0).signature;
        assert_eq!(verify_receipt(&changed, &key), Err(ReceiptError::WrongSignature));
        assert_eq!(verify_receipt(&good, &other.public_key()), Err(ReceiptError::OtherKey));
        let mut changed = good;
        changed.root = "zz".to_owned();
        assert_eq!(verify_receipt(&changed, &key), Err(ReceiptError::Malformed));
    }
}
