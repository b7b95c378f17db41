//! A spotlight as clients read it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::offer::{Offer, Product};
use domain::ports::{GateView, Page};
use domain::spotlight::Withdrawal;
use domain::views::{Inventory, SpotlightView};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::MoneyBody;
use super::order::name_of;

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Product)]
pub struct ProductBody {
    /// The shop's own id.
    pub id: String,
    /// What viewers read.
    pub name: String,
    /// A picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// The price outside the show.
    pub original_price: MoneyBody,
}

/// A price list; a price change is a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Offer)]
pub struct OfferBody {
    /// 1, 2, 3 …; orders name the version that the buyer saw.
    pub version: u32,
    /// The price of one unit.
    pub live_price: MoneyBody,
    /// SKUs with a price of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sku_prices: BTreeMap<String, MoneyBody>,
}

/// A SKU of a spotlight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Sku)]
pub struct SkuBody {
    /// The shop's own id.
    pub sku: String,
    /// What viewers read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The price of one unit now.
    pub live_price: MoneyBody,
}

/// The stock of a SKU: `limited_quantity = remaining + held + sold`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Inventory)]
pub struct InventoryBody {
    /// Units of the offer.
    pub limited_quantity: i64,
    /// Units that can be ordered now.
    pub remaining: i64,
    /// Units held for orders.
    pub held: i64,
    /// Units sold.
    pub sold: i64,
}

/// A withdrawn offer version and how far its orders are settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Withdrawal)]
pub struct WithdrawalBody {
    /// Which version.
    pub offer_version: u32,
    /// honour or cancel.
    pub settle: String,
    /// Orders of it that were not over when it was withdrawn.
    pub total: u64,
    /// Of these, settled.
    pub done: u64,
    /// Of these, waiting for somebody: their refund is parked.
    pub failed: u64,
}

impl From<Withdrawal> for WithdrawalBody {
    fn from(withdrawal: Withdrawal) -> Self {
        Self {
            offer_version: withdrawal.offer_version,
            settle: name_of(withdrawal.settle),
            total: withdrawal.total,
            done: withdrawal.done,
            failed: withdrawal.failed,
        }
    }
}

/// One offer inside a broadcast, with the live stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Spotlight)]
pub struct SpotlightBody {
    /// Which spotlight.
    pub id: Uuid,
    /// In which broadcast.
    pub broadcast_id: Uuid,
    /// scheduled, open, paused or closed.
    pub status: String,
    /// What is shown.
    pub product: ProductBody,
    /// What can be ordered.
    pub skus: Vec<SkuBody>,
    /// The offer that is sold now.
    pub offer: OfferBody,
    /// When it is to open.
    pub opens_at: Option<DateTime<Utc>>,
    /// When it is to close.
    pub closes_at: Option<DateTime<Utc>>,
    /// Units that one viewer may hold and buy; null where there is no limit.
    pub per_viewer_limit: Option<u32>,
    /// How long a reservation is held, in seconds.
    pub hold_seconds: u32,
    /// How long a reservation is held of a viewer who has abandoned two holds here, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abandoned_hold_seconds: Option<u32>,
    /// The stock of each SKU.
    pub inventory: BTreeMap<String, InventoryBody>,
    /// The last withdrawal of an offer version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<WithdrawalBody>,
    /// The shop's reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The shop's own fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// When it was prepared.
    pub created_at: DateTime<Utc>,
    /// When it opened.
    pub opened_at: Option<DateTime<Utc>>,
    /// When it closed.
    pub closed_at: Option<DateTime<Utc>>,
}

impl SpotlightBody {
    /// The spotlight with what the gate shows, which is ahead of the log.
    pub fn live(mut view: SpotlightView, gate: Option<GateView>) -> Self {
        if let Some(gate) = gate.filter(|gate| gate.applied >= view.position) {
            view.status = gate.status;
            view.inventory = gate.inventory;
            view.offer = gate.offer.offer;
        }
        Self::from(view)
    }
}

impl From<SpotlightView> for SpotlightBody {
    fn from(view: SpotlightView) -> Self {
        let skus = view.skus.iter().map(|terms| SkuBody {
            sku: terms.sku.to_string(),
            name: terms.name.clone(),
            live_price: view.offer.unit_price(&terms.sku).into(),
        });
        Self {
            id: view.id.0,
            broadcast_id: view.broadcast_id.0,
            status: name_of(view.status),
            skus: skus.collect(),
            product: view.product.into(),
            offer: view.offer.into(),
            opens_at: view.opens_at,
            closes_at: view.closes_at,
            per_viewer_limit: view.per_viewer_limit,
            hold_seconds: view.hold_seconds,
            abandoned_hold_seconds: view.abandoned_hold_seconds,
            withdrawal: view.withdrawal.map(Into::into),
            inventory: view
                .inventory
                .into_iter()
                .map(|(sku, stock)| (sku.into(), stock.into()))
                .collect(),
            reference: view.reference,
            metadata: view.metadata,
            created_at: view.created_at,
            opened_at: view.opened_at,
            closed_at: view.closed_at,
        }
    }
}

impl From<Product> for ProductBody {
    fn from(product: Product) -> Self {
        Self {
            id: product.id.into(),
            name: product.name,
            image_url: product.image_url,
            original_price: product.original_price.into(),
        }
    }
}

impl From<Offer> for OfferBody {
    fn from(offer: Offer) -> Self {
        let sku_prices = offer.sku_prices.into_iter();
        Self {
            version: offer.version,
            live_price: offer.live_price.into(),
            sku_prices: sku_prices.map(|(sku, price)| (sku.into(), price.into())).collect(),
        }
    }
}

impl From<Inventory> for InventoryBody {
    fn from(stock: Inventory) -> Self {
        let Inventory { limited_quantity, remaining, held, sold } = stock;
        Self { limited_quantity, remaining, held, sold }
    }
}

/// A page of spotlights, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpotlightList {
    /// The spotlights.
    pub items: Vec<SpotlightBody>,
    /// Where the next page starts; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<Page<SpotlightView>> for SpotlightList {
    fn from(page: Page<SpotlightView>) -> Self {
        let (items, next_cursor) = super::list(page);
        Self { items, next_cursor }
    }
}
