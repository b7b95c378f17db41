//! Words of the tests: one seller, one broadcast, one spotlight with 3 units of A and 5 of B, and
//! orders that are told apart by a number.

mod events;
mod log;
mod scene;
pub mod waitlist;

use chrono::{TimeDelta, TimeZone, Utc};
use domain::Timestamp;
use domain::admission::Admission;
use domain::fingerprint::Fingerprint;
use domain::ids::{
    BroadcastId, OrderId, ProductId, SellerId, Sku, SpotlightId, ViewerId, ViewerRef,
};
use domain::line::{Line, Lines};
use domain::money::{Currency, Money};
use domain::offer::{Offer, Product, SkuTerms};
use domain::order::{PaymentChoice, PlaceOrder};
use domain::personal::Personal;
use domain::quantity::Quantity;
use domain::spotlight::{SpotlightTerms, Wait};
use uuid::Uuid;

pub use events::*;
pub use log::Log;
pub use scene::*;

/// When every command is decided, unless a test says otherwise, in seconds.
pub const NOW: i64 = 10;
/// How long a reservation is held, in seconds.
pub const HOLD: i64 = 600;
pub const PRICE: i64 = 19_900;

pub fn at(seconds: i64) -> Timestamp {
    Utc.timestamp_opt(1_767_225_600, 0).unwrap() + TimeDelta::seconds(seconds)
}

pub fn seller() -> SellerId {
    SellerId::try_new("acme").unwrap()
}

pub fn broadcast() -> BroadcastId {
    BroadcastId(Uuid::from_u128(0xb))
}

pub fn spotlight() -> SpotlightId {
    SpotlightId(Uuid::from_u128(0x5))
}

pub fn order(n: u64) -> OrderId {
    OrderId(Uuid::from_u128(0x1000 + u128::from(n)))
}

pub fn viewer(n: u64) -> ViewerRef {
    ViewerRef::try_new(format!("viewer-{n}")).unwrap()
}

pub fn sku(name: &str) -> Sku {
    Sku::try_new(name).unwrap()
}

pub fn krw(minor: i64) -> Money {
    Money { minor, currency: Currency::try_new("KRW").unwrap() }
}

pub fn lines(of: &[(&str, u32)]) -> Lines {
    let line = |(name, units): &(&str, u32)| Line {
        sku: sku(name),
        quantity: Quantity::try_new(*units).unwrap(),
    };
    Lines::try_new(of.iter().map(line).collect()).unwrap()
}

pub fn offer(version: u32, price: i64) -> Offer {
    Offer { version, live_price: krw(price), sku_prices: [(sku("B"), krw(price * 2))].into() }
}

pub fn terms() -> SpotlightTerms {
    let unit =
        |name: &str, limited_quantity| SkuTerms { sku: sku(name), name: None, limited_quantity };
    SpotlightTerms {
        spotlight_id: spotlight(),
        broadcast_id: broadcast(),
        seller: seller(),
        product: Product {
            id: ProductId::try_new("p-1").unwrap(),
            name: "Lamp".to_owned(),
            image_url: None,
            original_price: krw(39_900),
        },
        skus: vec![unit("A", 3), unit("B", 5)],
        offer: offer(1, PRICE),
        per_viewer_limit: Some(4),
        hold_seconds: u32::try_from(HOLD).unwrap(),
        abandoned_hold_seconds: None,
        opens_at: None,
        closes_at: None,
        personal: Personal::default(),
    }
}

pub fn admission(number: u64) -> Admission {
    Admission { epoch: 1, number, at: at(NOW - 1), offer_version: 1 }
}

/// Viewer `n`, who waits for these lines.
pub fn waits(n: u64, lines: Lines) -> Wait {
    Wait {
        viewer_ref: viewer(n),
        lines,
        received_at: at(NOW - 1),
        node: "node-1".to_owned(),
        personal: Personal {
            viewer: Some(ViewerId::try_new(format!("ana-{n}")).unwrap()),
            ..Personal::default()
        },
    }
}

/// One unit of A, by viewer `n`, under admission `n`, paid by the default method.
pub fn placed(n: u64) -> PlaceOrder {
    PlaceOrder {
        order_id: order(n),
        spotlight_id: spotlight(),
        viewer_ref: viewer(n),
        lines: lines(&[("A", 1)]),
        offer_version: 1,
        admission: Some(admission(n)),
        payment: Some(PaymentChoice {
            provider: "simulated".to_owned(),
            method: "sim_ok".to_owned(),
        }),
        key_fingerprint: Fingerprint::of(format!("key-{n}").as_bytes()),
        body_fingerprint: Fingerprint::of(b"body"),
        received_at: at(NOW - 1),
        node: "node-1".to_owned(),
        void_after: None,
        personal: Personal {
            viewer: Some(ViewerId::try_new(format!("ana-{n}")).unwrap()),
            ..Personal::default()
        },
    }
}
