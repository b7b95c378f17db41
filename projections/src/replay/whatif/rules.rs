//! The rules that are changed.

use std::collections::BTreeMap;
use std::str::FromStr;

use domain::ids::{OrderId, Sku};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Units of a limit at most.
pub const LIMIT_MAX: u32 = 100_000_000;
/// Seconds of a hold at most.
pub const HOLD_SECONDS_MAX: u32 = 86_400;
/// Of a hundred payments, how many the drawn provider approves.
pub const APPROVED_PERCENT: u64 = 90;

/// One `--set`: `limit:SKU=UNITS`, `hold_seconds=N` or `per_viewer_limit=N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// The units of a SKU at the start, in every spotlight that has it.
    Limit(Sku, u32),
    /// How long a reservation is held.
    HoldSeconds(u32),
    /// Units that one viewer may hold and buy; 0 for no limit.
    PerViewerLimit(u32),
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = "one of limit:SKU=UNITS, hold_seconds=N and per_viewer_limit=N";
        let (name, value) = text.split_once('=').ok_or_else(|| format!("is not {known}"))?;
        let number: u32 = value.parse().map_err(|_| format!("{value:?} is no whole number"))?;
        let most = |max: u32| {
            if number <= max { Ok(number) } else { Err(format!("{number} is more than {max}")) }
        };
        if let Some(sku) = name.strip_prefix("limit:") {
            let sku = Sku::try_new(sku).map_err(|error| error.to_string())?;
            return Ok(Self::Limit(sku, most(LIMIT_MAX)?));
        }
        match name {
            "hold_seconds" if number > 0 => Ok(Self::HoldSeconds(most(HOLD_SECONDS_MAX)?)),
            "hold_seconds" => Err("a hold lasts at least a second".to_owned()),
            "per_viewer_limit" => Ok(Self::PerViewerLimit(number)),
            _ => Err(format!("{name:?} is not {known}")),
        }
    }
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// Units at the start, by SKU.
    pub limits: BTreeMap<Sku, u32>,
    /// How long a reservation is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_seconds: Option<u32>,
    /// Units per viewer; 0 for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_viewer_limit: Option<u32>,
    /// What payments are drawn by, in the place of what the provider said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_seed: Option<u64>,
}

impl Rules {
    /// The rules of some settings; of two of a kind the last one holds.
    pub fn of(settings: &[Setting], payment_seed: Option<u64>) -> Self {
        let mut rules = Self { payment_seed, ..Self::default() };
        for setting in settings {
            match setting {
                Setting::Limit(sku, units) => {
                    rules.limits.insert(sku.clone(), *units);
                }
                Setting::HoldSeconds(seconds) => rules.hold_seconds = Some(*seconds),
                Setting::PerViewerLimit(units) => rules.per_viewer_limit = Some(*units),
            }
        }
        rules
    }

    /// Whether the drawn provider approves a payment; `None` where the real one's word counts.
    pub(super) fn draw(&self, order: OrderId) -> Option<bool> {
        let seed = self.payment_seed?;
        let digest =
            Sha256::new().chain_update(seed.to_be_bytes()).chain_update(order.0).finalize();
        let number = digest.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Some(number % 100 < APPROVED_PERCENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_bad_ones_refused() {
        let sku = Sku::try_new("CUP").expect("a SKU");
        assert_eq!("limit:CUP=120".parse(), Ok(Setting::Limit(sku, 120)));
        assert_eq!("hold_seconds=300".parse(), Ok(Setting::HoldSeconds(300)));
        assert_eq!("per_viewer_limit=0".parse(), Ok(Setting::PerViewerLimit(0)));
        assert!(format!("limit:CUP={LIMIT_MAX}").parse::<Setting>().is_ok());
        assert!(format!("limit:CUP={}", LIMIT_MAX + 1).parse::<Setting>().is_err());
        assert!(format!("hold_seconds={HOLD_SECONDS_MAX}").parse::<Setting>().is_ok());
        assert!(format!("hold_seconds={}", HOLD_SECONDS_MAX + 1).parse::<Setting>().is_err());
        for bad in ["", "limit", "limit:=1", "limit:CUP=-1", "hold_seconds=0", "price=3"] {
            assert!(bad.parse::<Setting>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_seed_draws_the_same_for_the_same_order_and_about_nine_of_ten() {
        let rules = Rules::of(&[], Some(7));
        let draw = |number| rules.draw(OrderId(uuid::Uuid::from_u128(number)));
        assert_eq!(draw(1), draw(1));
        let approved = (0..1_000).filter(|number| draw(*number) == Some(true)).count();
        assert!((850..950).contains(&approved), "{approved}");
        assert_eq!(Rules::default().draw(OrderId(uuid::Uuid::nil())), None);
    }
}
