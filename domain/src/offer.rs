//! What is sold, and for how much.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ProductId, Sku};
use crate::line::{Lines, PricedLine, total};
use crate::money::{Money, MoneyError};

/// The product of a spotlight, as the host showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The shop's own id.
    pub id: ProductId,
    /// What viewers read.
    pub name: String,
    /// A picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// The price outside the show.
    pub original_price: Money,
}

/// One SKU of a spotlight as it was scheduled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkuTerms {
    /// The SKU.
    pub sku: Sku,
    /// What viewers read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Units at the start.
    pub limited_quantity: u32,
}

/// A price list; a price change is a new version, nothing is overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// 1, 2, 3 …
    pub version: u32,
    /// The price of one unit.
    pub live_price: Money,
    /// SKUs with a price of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sku_prices: BTreeMap<Sku, Money>,
}

impl Offer {
    /// The price of one unit of `sku`.
    pub fn unit_price(&self, sku: &Sku) -> Money {
        self.sku_prices.get(sku).copied().unwrap_or(self.live_price)
    }

    /// The lines with their prices.
    pub fn price(&self, lines: &Lines) -> Vec<PricedLine> {
        lines
            .iter()
            .map(|line| PricedLine {
                sku: line.sku.clone(),
                quantity: line.quantity,
                unit_price: self.unit_price(&line.sku),
            })
            .collect()
    }

    /// What the lines cost.
    ///
    /// # Errors
    /// A sum that does not fit.
    pub fn total(&self, lines: &Lines) -> Result<Money, MoneyError> {
        total(&self.price(lines))
    }
}
