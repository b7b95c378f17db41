//! Parsers of single values, from JSON to domain types.

use chrono::{DateTime, TimeDelta, Utc};
use domain::Timestamp;
use domain::ids::{ProductId, Sku, SpotlightId};
use domain::limits::{
    METADATA_MAX_BYTES, PRICE_MINOR_MAX, REASON_MAX_CHARS, REFERENCE_MAX_CHARS, SCHEDULE_DAYS_MAX,
    TITLE_MAX_CHARS, URL_MAX_CHARS,
};
use domain::money::{Currency, Money};
use domain::quantity::Quantity;
use serde_json::{Map, Value};

/// How deep a `metadata` object may nest.
pub const METADATA_DEPTH_MAX: usize = 5;
/// How far in the past a time may be that is meant as *now*, in seconds: clocks differ.
pub const PAST_TOLERANCE_SECONDS: i64 = 60;

/// What a parser answers.
pub type Parsed<T> = Result<T, String>;

fn str_of(value: &Value) -> Parsed<&str> {
    value.as_str().ok_or_else(|| "is not a text".to_owned())
}

/// A text of 1 to `max` characters without control characters.
///
/// # Errors
/// Says what is wrong.
pub fn text(value: &Value, max: usize) -> Parsed<String> {
    let text = str_of(value)?;
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if text.chars().count() > max {
        return Err(format!("is longer than {max} characters"));
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err("has a control character".to_owned());
    }
    Ok(text.to_owned())
}

/// A title or a name.
///
/// # Errors
/// Says what is wrong.
pub fn title(value: &Value) -> Parsed<String> {
    text(value, TITLE_MAX_CHARS)
}

/// A `reason`.
///
/// # Errors
/// Says what is wrong.
pub fn reason(value: &Value) -> Parsed<String> {
    text(value, REASON_MAX_CHARS)
}

/// A `reference`.
///
/// # Errors
/// Says what is wrong.
pub fn reference(value: &Value) -> Parsed<String> {
    text(value, REFERENCE_MAX_CHARS)
}

/// A picture's address: http or https.
///
/// # Errors
/// Says what is wrong.
pub fn image_url(value: &Value) -> Parsed<String> {
    let text = text(value, URL_MAX_CHARS)?;
    match url::Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => Ok(text),
        _ => Err("is not an http or https address".to_owned()),
    }
}

/// Yes or no.
///
/// # Errors
/// Says what is wrong.
pub fn boolean(value: &Value) -> Parsed<bool> {
    value.as_bool().ok_or_else(|| "is not true or false".to_owned())
}

/// A whole number between bounds.
///
/// # Errors
/// Says what is wrong.
pub fn integer(value: &Value, min: i64, max: i64) -> Parsed<i64> {
    let Some(number) = value.as_number() else { return Err("is not a number".to_owned()) };
    match number.as_i64() {
        Some(number) if (min..=max).contains(&number) => Ok(number),
        None if number.is_f64() => Err("is not a whole number".to_owned()),
        _ => Err(format!("is not between {min} and {max}")),
    }
}

/// A whole number that counts.
///
/// # Errors
/// Says what is wrong.
pub fn count(value: &Value, min: u32, max: u32) -> Parsed<u32> {
    let number = integer(value, i64::from(min), i64::from(max))?;
    u32::try_from(number).map_err(|_| format!("is not between {min} and {max}"))
}

/// Units of one line.
///
/// # Errors
/// Says what is wrong.
pub fn quantity(value: &Value) -> Parsed<Quantity> {
    let units = count(value, 1, domain::limits::ORDER_UNITS_MAX)?;
    Quantity::try_new(units).map_err(|error| error.to_string())
}

/// A SKU.
///
/// # Errors
/// Says what is wrong.
pub fn sku(value: &Value) -> Parsed<Sku> {
    Sku::try_new(str_of(value)?).map_err(|error| error.to_string())
}

/// A product's id.
///
/// # Errors
/// Says what is wrong.
pub fn product_id(value: &Value) -> Parsed<ProductId> {
    ProductId::try_new(str_of(value)?).map_err(|error| error.to_string())
}

/// A spotlight's id.
///
/// # Errors
/// Says what is wrong.
pub fn spotlight_id(value: &Value) -> Parsed<SpotlightId> {
    str_of(value)?.parse().map_err(|error: domain::ids::IdError| error.to_string())
}

/// A currency.
///
/// # Errors
/// Says what is wrong.
pub fn currency(value: &Value) -> Parsed<Currency> {
    Currency::try_new(str_of(value)?).map_err(|error| error.to_string())
}

/// A price of one unit: `{minor, currency}`, at least 1, in `expected` where that is known.
///
/// # Errors
/// Says what is wrong, naming the member.
pub fn price(value: &Value, expected: Option<Currency>) -> Parsed<Money> {
    let Some(map) = value.as_object() else {
        return Err("is not an object {minor, currency}".to_owned());
    };
    if let Some(name) = map.keys().find(|name| !matches!(name.as_str(), "minor" | "currency")) {
        let short: String = name.chars().take(64).collect();
        return Err(format!("has the unknown field {short:?}"));
    }
    let minor = map.get("minor").ok_or("has no minor")?;
    let code = map.get("currency").ok_or("has no currency")?;
    let minor =
        integer(minor, 1, PRICE_MINOR_MAX).map_err(|why| format!("has a minor that {why}"))?;
    let got = currency(code).map_err(|why| format!("has a currency that {why}"))?;
    match expected {
        Some(expected) if expected != got => {
            Err(format!("has another currency ({got}) than the broadcast ({expected})"))
        }
        _ => Ok(Money::new(minor, got)),
    }
}

/// A point in time, RFC 3339.
///
/// # Errors
/// Says what is wrong.
pub fn time(value: &Value) -> Parsed<Timestamp> {
    time_text(str_of(value)?)
}

/// A point in time from text, RFC 3339.
///
/// # Errors
/// Says what is wrong.
pub fn time_text(text: &str) -> Parsed<Timestamp> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|_| "is not an RFC 3339 time".to_owned())
}

/// A time that is yet to come and not further than [`SCHEDULE_DAYS_MAX`].
///
/// # Errors
/// Says what is wrong.
pub fn future_time(value: &Value, now: Timestamp) -> Parsed<Timestamp> {
    let time = time(value)?;
    if time < now - TimeDelta::seconds(PAST_TOLERANCE_SECONDS) {
        return Err("is in the past".to_owned());
    }
    if time > now + TimeDelta::days(SCHEDULE_DAYS_MAX) {
        return Err(format!("is more than {SCHEDULE_DAYS_MAX} days ahead"));
    }
    Ok(time)
}

/// A `metadata` object: bounded in bytes and depth.
///
/// # Errors
/// Says what is wrong.
pub fn metadata(value: &Value) -> Parsed<Map<String, Value>> {
    let map = value.as_object().ok_or("is not an object")?;
    if depth(value) > METADATA_DEPTH_MAX {
        return Err(format!("nests deeper than {METADATA_DEPTH_MAX}"));
    }
    let bytes = serde_json::to_vec(value).map_or(usize::MAX, |json| json.len());
    if bytes > METADATA_MAX_BYTES {
        return Err(format!("has {bytes} bytes as compact JSON, more than {METADATA_MAX_BYTES}"));
    }
    Ok(map.clone())
}

/// The parser refuses bodies nested deeper than 128, so this recursion is bounded.
fn depth(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_numbers_only() {
        assert_eq!(integer(&json!(3), 1, 5), Ok(3));
        for (bad, why) in [
            (json!(0), "between"),
            (json!(6), "between"),
            (json!(-1), "between"),
            (json!(1.5), "whole"),
            (json!(1e300), "whole"),
            (json!(u64::MAX), "between"),
            (json!("3"), "not a number"),
            (json!(true), "not a number"),
        ] {
            let detail = integer(&bad, 1, 5).expect_err("bad");
            assert!(detail.contains(why), "{bad}: {detail}");
        }
    }

    #[test]
    fn metadata_is_bounded_at_the_limit() {
        let of = |bytes: usize| json!({"k": "x".repeat(bytes - r#"{"k":""}"#.len())});
        assert!(metadata(&of(METADATA_MAX_BYTES)).is_ok());
        assert!(metadata(&of(METADATA_MAX_BYTES + 1)).is_err());
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!({"d": inner}));
        assert!(metadata(&nested(METADATA_DEPTH_MAX)).is_ok());
        assert!(metadata(&nested(METADATA_DEPTH_MAX + 1)).is_err());
    }

    #[test]
    fn a_price_names_what_is_wrong() {
        let won = Currency::try_new("KRW").expect("known");
        assert!(price(&json!({"minor": 1, "currency": "KRW"}), Some(won)).is_ok());
        assert!(price(&json!({"minor": PRICE_MINOR_MAX, "currency": "KRW"}), None).is_ok());
        for bad in [
            json!({"minor": 0, "currency": "KRW"}),
            json!({"minor": PRICE_MINOR_MAX + 1, "currency": "KRW"}),
            json!({"minor": 1, "currency": "USD"}),
            json!({"minor": 1, "currency": "XXX"}),
            json!({"minor": 1}),
            json!({"minor": 1, "currency": "KRW", "x": 1}),
            json!(19_900),
        ] {
            assert!(price(&bad, Some(won)).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_lie_ahead_and_not_too_far() {
        let now = time_text("2026-11-22T10:00:00Z").expect("a time");
        assert!(future_time(&json!("2026-11-22T19:00:00+09:00"), now).is_ok());
        assert!(future_time(&json!("2026-11-22T09:59:00Z"), now).is_ok(), "clocks differ");
        assert!(future_time(&json!("2026-11-22T09:58:59Z"), now).is_err());
        assert!(future_time(&json!("2027-11-23T10:00:00Z"), now).is_ok());
        assert!(future_time(&json!("2027-11-23T10:00:01Z"), now).is_err());
        assert!(future_time(&json!("tomorrow"), now).is_err());
    }

    #[test]
    fn texts_are_bounded() {
        assert!(title(&json!("x".repeat(TITLE_MAX_CHARS))).is_ok());
        assert!(title(&json!("x".repeat(TITLE_MAX_CHARS + 1))).is_err());
        assert!(title(&json!("  ")).is_err());
        assert!(title(&json!("a\u{0}b")).is_err());
        assert!(image_url(&json!("javascript:alert(1)")).is_err());
        assert!(image_url(&json!("https://cdn.example/a.png")).is_ok());
    }
}
