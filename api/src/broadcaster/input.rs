//! Bodies of broadcaster calls, from JSON to domain types.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::ids::{BroadcastId, Sku, SpotlightId};
use domain::limits::{
    HOLD_SECONDS_DEFAULT, HOLD_SECONDS_MAX, HOLD_SECONDS_MIN, SKU_UNITS_MAX, SPOTLIGHT_SKUS_MAX,
};
use domain::money::{Currency, Money};
use domain::offer::{Offer, Product, SkuTerms};
use domain::personal::Personal;
use domain::spotlight::{Settle, SpotlightTerms};
use domain::views::BroadcastView;
use serde_json::Value;

use crate::extract::values;
use crate::extract::{Errors, Form};
use crate::problem::Problem;

/// A broadcast to be announced.
#[derive(Debug)]
pub struct NewBroadcast {
    pub(super) title: String,
    pub(super) currency: Currency,
    pub(super) starts_at: Option<Timestamp>,
}

/// Reads a new broadcast.
///
/// # Errors
/// 422 naming every bad field.
pub fn new_broadcast(body: &Value, now: Timestamp) -> Result<NewBroadcast, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let title = form.required("title", values::title);
    let currency = form.required("currency", values::currency);
    let starts_at = form.optional("starts_at", |value| values::future_time(value, now));
    form.close();
    let read = || Some(NewBroadcast { title: title?, currency: currency?, starts_at: starts_at? });
    let read = read();
    errors.finish(read)
}

/// Reads `{reason?}`.
///
/// # Errors
/// 422 naming every bad field.
pub fn reason(body: &Value) -> Result<Option<String>, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let reason = form.optional("reason", values::reason);
    form.close();
    errors.finish(reason)
}

/// Reads a body that is nothing but a reason, which must be there.
///
/// # Errors
/// 422 naming every bad field.
pub fn needed_reason(body: &Value) -> Result<String, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let reason = form.required("reason", values::reason);
    form.close();
    errors.finish(reason)
}

/// Reads `{sku, delta, reason}`.
///
/// # Errors
/// 422 naming every bad field.
pub fn stock_change(body: &Value) -> Result<(Sku, i64, String), Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let most = i64::from(SKU_UNITS_MAX);
    let sku = form.required("sku", values::sku);
    let delta = form.required("delta", |value| match values::integer(value, -most, most)? {
        0 => Err("is 0".to_owned()),
        delta => Ok(delta),
    });
    let reason = form.required("reason", values::reason);
    form.close();
    let read = || Some((sku?, delta?, reason?));
    let read = read();
    errors.finish(read)
}

/// Reads `{live_price, reason}`.
///
/// # Errors
/// 422 naming every bad field.
pub fn offer_change(body: &Value, currency: Currency) -> Result<(Money, String), Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let price = form.required("live_price", |value| values::price(value, Some(currency)));
    let reason = form.required("reason", values::reason);
    form.close();
    let read = || Some((price?, reason?));
    let read = read();
    errors.finish(read)
}

/// Reads which version is withdrawn, what becomes of its orders, and why.
///
/// # Errors
/// 422 naming every bad field.
pub fn withdrawal(body: &Value) -> Result<(u32, Settle, String), Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let version = form.required("offer_version", |value| values::count(value, 1, u32::MAX));
    let settle = form.required("settle", |value| {
        serde_json::from_value(value.clone()).map_err(|_| "is neither honour nor cancel".to_owned())
    });
    let reason = form.required("reason", values::reason);
    form.close();
    let read = || Some((version?, settle?, reason?));
    let read = read();
    errors.finish(read)
}

/// Reads the spotlight command into the terms of a spotlight of `broadcast`.
///
/// # Errors
/// 422 naming every bad field.
pub fn new_spotlight(
    body: &Value,
    spotlight_id: SpotlightId,
    broadcast: &BroadcastView,
    now: Timestamp,
) -> Result<SpotlightTerms, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let price = |value: &Value| values::price(value, Some(broadcast.currency));
    let product = form.object("product", |product| {
        let id = product.required("id", values::product_id);
        let name = product.required("name", values::title);
        let image_url = product.optional("image_url", values::image_url);
        let original_price = product.required("original_price", price);
        Some(Product {
            id: id?,
            name: name?,
            image_url: image_url?,
            original_price: original_price?,
        })
    });
    let live_price = form.required("live_price", price);
    let skus = skus(&mut form, price);
    let per_viewer_limit =
        form.optional("per_viewer_limit", |value| values::count(value, 1, SKU_UNITS_MAX));
    let hold_seconds = form
        .optional("hold_seconds", |value| values::count(value, HOLD_SECONDS_MIN, HOLD_SECONDS_MAX));
    let abandoned_hold_seconds = form.optional("abandoned_hold_seconds", |value| {
        values::count(value, HOLD_SECONDS_MIN, HOLD_SECONDS_MAX)
    });
    if let (Some(Some(shorter)), Some(hold)) = (abandoned_hold_seconds, hold_seconds)
        && shorter > hold.unwrap_or(HOLD_SECONDS_DEFAULT)
    {
        form.bad("abandoned_hold_seconds", "is longer than hold_seconds");
    }
    let opens_at = form.optional("opens_at", |value| values::future_time(value, now));
    let closes_at = form.optional("closes_at", |value| {
        let time = values::future_time(value, now)?;
        if time > now { Ok(time) } else { Err("is in the past".to_owned()) }
    });
    if let (Some(Some(opens)), Some(Some(closes))) = (opens_at, closes_at)
        && closes <= opens
    {
        form.bad("closes_at", "is not after opens_at");
    }
    let reference = form.optional("reference", values::reference);
    let metadata = form.optional("metadata", values::metadata);
    form.close();
    let read = || {
        let (skus, sku_prices) = skus?;
        let personal =
            Personal { reference: reference?, metadata: metadata?, ..Personal::default() };
        Some(SpotlightTerms {
            spotlight_id,
            broadcast_id: BroadcastId(broadcast.id.0),
            seller: broadcast.seller.clone(),
            product: product?,
            skus,
            offer: Offer { version: 1, live_price: live_price?, sku_prices },
            per_viewer_limit: per_viewer_limit?,
            hold_seconds: hold_seconds?.unwrap_or(HOLD_SECONDS_DEFAULT),
            abandoned_hold_seconds: abandoned_hold_seconds?,
            opens_at: opens_at?,
            closes_at: closes_at?,
            personal,
        })
    };
    let read = read();
    errors.finish(read)
}

type Skus = (Vec<SkuTerms>, BTreeMap<Sku, Money>);

fn skus(form: &mut Form<'_>, price: impl Fn(&Value) -> Result<Money, String>) -> Option<Skus> {
    let mut prices = BTreeMap::new();
    let mut known: Vec<Sku> = Vec::new();
    let skus = form.list("skus", SPOTLIGHT_SKUS_MAX, |item| {
        let sku = item.required("sku", |value| {
            let sku = values::sku(value)?;
            if known.contains(&sku) {
                return Err("stands in the list already".to_owned());
            }
            known.push(sku.clone());
            Ok(sku)
        });
        let name = item.optional("name", values::title);
        let units =
            item.required("limited_quantity", |value| values::count(value, 1, SKU_UNITS_MAX));
        let own = item.optional("live_price", &price);
        let sku = sku?;
        if let Some(own) = own? {
            prices.insert(sku.clone(), own);
        }
        Some(SkuTerms { sku, name: name?, limited_quantity: units? })
    });
    skus.map(|skus| (skus, prices))
}
