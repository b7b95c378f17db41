//! Units that were asked for and refused, and by how many viewers.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::ids::{Sku, ViewerRef};
use crate::limits::DEMAND_VIEWERS_MAX;

/// Bits of a viewer's hash that choose the register.
const REGISTER_BITS: u32 = 10;
/// Registers of a sketch: its count is off by 3.3 % on average.
pub const SKETCH_REGISTERS: usize = 1 << REGISTER_BITS;
/// How high a register can get: the rank in what is left of 64 bits.
const RANK_MAX: u8 = 55;
/// A register as a character; the order of the letters is the order of the ranks.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What counts more viewers than are worth naming: a `HyperLogLog` of their pseudonyms, one register
/// per character. Two of them are merged register by register.
#[derive(Clone, PartialEq, Eq)]
pub struct Sketch(Vec<u8>);

impl Default for Sketch {
    fn default() -> Self {
        Self(vec![0; SKETCH_REGISTERS])
    }
}

impl Sketch {
    /// Counts a viewer, once.
    pub fn insert(&mut self, viewer: &ViewerRef) {
        let digest: [u8; 32] = Sha256::digest(viewer.as_str().as_bytes()).into();
        let (head, _) = digest.split_at(8);
        let hash = head.iter().fold(0_u64, |hash, byte| (hash << 8) | u64::from(*byte));
        let register = usize::try_from(hash >> (u64::BITS - REGISTER_BITS)).unwrap_or(0);
        // a bit below what is left ends the count
        let rest = (hash << REGISTER_BITS) | (1 << (REGISTER_BITS - 1));
        let rank = u8::try_from(rest.leading_zeros() + 1).unwrap_or(RANK_MAX);
        if let Some(known) = self.0.get_mut(register) {
            *known = rank.max(*known);
        }
    }

    /// Takes in what another one has counted.
    pub fn merge(&mut self, other: &Self) {
        for (known, rank) in self.0.iter_mut().zip(&other.0) {
            *known = (*rank).max(*known);
        }
    }

    /// The highest rank that each register has seen, of [`SKETCH_REGISTERS`]; 0 where none.
    pub fn registers(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit =
            |rank: &u8| DIGITS.get(usize::from(*rank)).map_or('0', |digit| char::from(*digit));
        f.write_str(&self.0.iter().map(digit).collect::<String>())
    }
}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.0.iter().filter(|rank| **rank > 0).count();
        write!(f, "Sketch({used} of {SKETCH_REGISTERS} registers)")
    }
}

/// A text that is no sketch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a sketch has {SKETCH_REGISTERS} digits of its registers")]
pub struct NoSketch;

impl std::str::FromStr for Sketch {
    type Err = NoSketch;

    fn from_str(text: &str) -> Result<Self, NoSketch> {
        let rank = |digit: u8| {
            let rank = DIGITS.iter().position(|known| *known == digit)?;
            u8::try_from(rank).ok().filter(|rank| *rank <= RANK_MAX)
        };
        let registers: Option<Vec<u8>> = text.bytes().map(rank).collect();
        let registers = registers.filter(|registers| registers.len() == SKETCH_REGISTERS);
        registers.map(Self).ok_or(NoSketch)
    }
}

impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Distinct viewers: by name up to [`DEMAND_VIEWERS_MAX`], beyond that all of them in a sketch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewers {
    /// Some of them; all of them where there is no sketch.
    pub viewers: BTreeSet<ViewerRef>,
    /// All of them, where they are more than are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sketch: Option<Box<Sketch>>,
}

impl Viewers {
    /// Counts a viewer, once.
    pub fn insert(&mut self, viewer: ViewerRef) {
        if self.viewers.len() < DEMAND_VIEWERS_MAX {
            if let Some(sketch) = &mut self.sketch {
                sketch.insert(&viewer);
            }
            self.viewers.insert(viewer);
        } else if !self.viewers.contains(&viewer) {
            self.sketched().insert(&viewer);
        }
    }

    /// Takes in what another one has counted.
    pub fn merge(&mut self, other: &Self) {
        if let Some(sketch) = &other.sketch {
            self.sketched().merge(sketch);
        }
        for viewer in &other.viewers {
            self.insert(viewer.clone());
        }
    }

    fn sketched(&mut self) -> &mut Sketch {
        let Self { viewers, sketch } = self;
        sketch.get_or_insert_with(|| {
            let mut sketch = Box::<Sketch>::default();
            for viewer in viewers.iter() {
                sketch.insert(viewer);
            }
            sketch
        })
    }

    /// Whether a viewer is among them for certain; `None` where it cannot be said.
    pub fn contains(&self, viewer: &ViewerRef) -> Option<bool> {
        if self.viewers.contains(viewer) {
            return Some(true);
        }
        let Some(sketch) = &self.sketch else { return Some(false) };
        let mut with = sketch.clone();
        with.insert(viewer);
        // one that would change it was not counted
        (with != *sketch).then_some(false)
    }
}

/// What of one SKU was asked for and refused in one second, by way of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Of which SKU.
    pub sku: Sku,
    /// How often.
    pub requests: u64,
    /// How many units.
    pub units: u64,
    /// By whom.
    #[serde(flatten)]
    pub viewers: Viewers,
}
