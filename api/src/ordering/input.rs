//! The body of an order, from JSON to domain types.

use std::num::NonZeroU32;

use domain::ids::{OrderId, Sku, SpotlightId};
use domain::limits::{ORDER_LINES_MAX, ORDER_UNITS_MAX, PAYMENT_METHOD_MAX_CHARS};
use domain::line::{Line, Lines};
use domain::order::{OrderCommand, PaymentChoice};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::extract::body::parse;
use crate::extract::{Errors, Form, values};
use crate::payments::Provider;
use crate::problem::Problem;

/// An order to be placed.
#[derive(Debug, PartialEq)]
pub struct NewOrder {
    pub(super) spotlight: SpotlightId,
    pub(super) offer_version: u32,
    pub(super) lines: Lines,
    pub(super) payment: Option<PaymentChoice>,
    pub(super) reference: Option<String>,
    pub(super) metadata: Option<Map<String, Value>>,
}

/// A good order without members that most do not have, as it is read in one go: a rush is made of
/// these. Whatever cannot be read so is read by its form, which knows every member and says what is
/// wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainOrder<'a> {
    spotlight_id: SpotlightId,
    offer_version: NonZeroU32,
    lines: Lines,
    payment_method: &'a str,
}

impl PlainOrder<'_> {
    fn of(text: &[u8], provider: Provider) -> Option<NewOrder> {
        let plain: PlainOrder<'_> = serde_json::from_slice(text).ok()?;
        let method = plain.payment_method;
        let is_plain = method.len() <= PAYMENT_METHOD_MAX_CHARS
            && method.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_plain || provider.check_method(method).is_err() {
            return None;
        }
        Some(NewOrder {
            spotlight: plain.spotlight_id,
            offer_version: plain.offer_version.get(),
            lines: plain.lines,
            payment: Some(choice(provider, method.to_owned())),
            reference: None,
            metadata: None,
        })
    }
}

/// Reads a new order.
///
/// # Errors
/// 400 `malformed_json`, or 422 naming every bad field.
pub fn new_order(text: &[u8], provider: Provider) -> Result<NewOrder, Problem> {
    match PlainOrder::of(text, provider) {
        Some(order) => Ok(order),
        None => new_order_by_form(&parse(text)?, provider),
    }
}

fn new_order_by_form(body: &Value, provider: Provider) -> Result<NewOrder, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let spotlight = form.required("spotlight_id", values::spotlight_id);
    let offer_version = form.required("offer_version", |value| values::count(value, 1, u32::MAX));
    let lines = lines(&mut form);
    let waits = form.is_null("payment_method");
    let method = form.optional("payment_method", |value| method(value, provider));
    let reference = form.optional("reference", values::reference);
    let metadata = form.optional("metadata", values::metadata);
    form.close();
    let read = || {
        let default = provider.default_method();
        let method = method?.or_else(|| (!waits).then(|| default.to_owned()));
        Some(NewOrder {
            spotlight: spotlight?,
            offer_version: offer_version?,
            lines: lines?,
            payment: method.map(|method| choice(provider, method)),
            reference: reference?,
            metadata: metadata?,
        })
    };
    let read = read();
    errors.finish(read)
}

/// Reads how an order is to be paid.
///
/// # Errors
/// 422 naming every bad field.
pub fn payment(body: &Value, provider: Provider) -> Result<PaymentChoice, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let method = form.required("method", |value| method(value, provider));
    form.close();
    errors.finish(method.map(|method| choice(provider, method)))
}

/// Reads what is waited for.
///
/// # Errors
/// 422 naming every bad field.
pub fn wait(body: &Value) -> Result<Lines, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let lines = lines(&mut form);
    form.close();
    errors.finish(lines)
}

/// Reads what is to be given back.
///
/// # Errors
/// 422 naming every bad field.
pub fn refund(order_id: OrderId, body: &Value) -> Result<OrderCommand, Problem> {
    let errors = Errors::default();
    let mut form = Form::root(body, &errors);
    let reason = form.required("reason", values::reason);
    let chosen = if form.has("lines") { lines(&mut form).map(Some) } else { form.skip("lines") };
    let restock = form.optional("restock", values::boolean);
    form.close();
    let read = || {
        let (lines, restock) = (chosen?, restock?.unwrap_or(false));
        Some(OrderCommand::RefundOrder { order_id, reason: Some(reason?), lines, restock })
    };
    let read = read();
    errors.finish(read)
}

fn method(value: &Value, provider: Provider) -> Result<String, String> {
    let method = values::text(value, PAYMENT_METHOD_MAX_CHARS)?;
    provider.check_method(&method).map(|()| method)
}

fn choice(provider: Provider, method: String) -> PaymentChoice {
    PaymentChoice { provider: provider.name().to_owned(), method }
}

fn lines(form: &mut Form<'_>) -> Option<Lines> {
    let mut known: Vec<Sku> = Vec::new();
    let mut units = 0_u32;
    let lines = form.list("lines", ORDER_LINES_MAX, |item| {
        let sku = item.required("sku", |value| {
            let sku = values::sku(value)?;
            if known.contains(&sku) {
                return Err("stands in another line already".to_owned());
            }
            known.push(sku.clone());
            Ok(sku)
        });
        let quantity = item.required("quantity", values::quantity);
        units = units.saturating_add(quantity.map_or(0, domain::quantity::Quantity::get));
        Some(Line { sku: sku?, quantity: quantity? })
    });
    if units > ORDER_UNITS_MAX {
        form.bad("lines", format!("have {units} units together, more than {ORDER_UNITS_MAX}"));
        return None;
    }
    Lines::try_new(lines?).map_err(|error| form.bad("lines", error.to_string())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SIM: Provider = Provider::Simulated;

    fn order(change: impl FnOnce(&mut Value)) -> Value {
        let mut body = json!({
            "spotlight_id": "0190b0a0-0000-7000-8000-000000000001", "offer_version": 1,
            "lines": [{"sku": "lamp", "quantity": 1}],
        });
        change(&mut body);
        body
    }

    fn read(body: &Value) -> Result<NewOrder, Problem> {
        new_order(body.to_string().as_bytes(), SIM)
    }

    fn pointers(body: &Value) -> Vec<String> {
        let problem = read(body).expect_err("bad");
        problem.errors().iter().map(|error| error.pointer.clone()).collect()
    }

    #[test]
    fn what_is_read_in_one_go_is_what_the_form_reads() {
        let plain = order(|body| body["payment_method"] = json!("sim_ok")).to_string();
        assert!(PlainOrder::of(plain.as_bytes(), SIM).is_some());
        let with = |from: &str, to: &str| {
            assert!(plain.contains(from), "{from}");
            plain.replace(from, to)
        };
        for text in [
            with("sim_ok", "gold"),
            with("sim_ok", ""),
            with("sim_ok", "s\\u0069m_ok"),
            with("\"lamp\"", "\" lamp\""),
            with("\"lamp\"", "\"lamp\",\"sku\":\"lamp\""),
            with("\"quantity\":1", "\"quantity\":0"),
            with("\"quantity\":1", "\"quantity\":1.0"),
            with("\"quantity\":1", "\"quantity\":-1"),
            with("\"quantity\":1", "\"quantity\":4294967296"),
            with("\"quantity\":1", "\"quantity\":100"),
            with("\"quantity\":1", "\"quantity\":50,\"sku\":\"b\"},{\"quantity\":50"),
            with("\"quantity\":1", "\"quantity\":1,\"sku\":\"lamp\"},{\"quantity\":1"),
            with("\"offer_version\":1", "\"offer_version\":1,\"offer_version\":2"),
            with("\"offer_version\":1", "\"offer_version\":1,\"reference\":\"r\""),
            with("0190b0a0-0000-7000-8000-000000000001", "0190b0a0000070008000000000000001"),
            with("0190b0a0-0000-7000-8000-000000000001", "x"),
            format!("{plain} "),
            format!("{plain}x"),
            plain.clone(),
        ] {
            let by_form = parse(text.as_bytes()).and_then(|body| new_order_by_form(&body, SIM));
            if let Some(order) = PlainOrder::of(text.as_bytes(), SIM) {
                assert_eq!(order, by_form.expect("good by its form too"), "{text}");
            } else {
                let read = new_order(text.as_bytes(), SIM);
                assert_eq!(read.map_err(|p| p.code()), by_form.map_err(|p| p.code()), "{text}");
            }
        }
    }

    #[test]
    fn a_method_is_chosen_defaulted_or_waited_for() {
        let method = |body: &Value| read(body).expect("good").payment.map(|p| p.method);
        assert_eq!(method(&order(|_| {})).as_deref(), Some("sim_ok"));
        let late = order(|body| body["payment_method"] = json!("sim_late"));
        assert_eq!(method(&late).as_deref(), Some("sim_late"));
        assert_eq!(method(&order(|body| body["payment_method"] = Value::Null)), None);
        assert_eq!(
            pointers(&order(|body| body["payment_method"] = json!("gold"))),
            ["/payment_method"]
        );
    }

    #[test]
    fn a_payment_names_a_known_method() {
        assert_eq!(payment(&json!({"method": "sim_late"}), SIM).expect("good").method, "sim_late");
        for bad in [json!({}), json!({"method": "gold"}), json!({"method": null})] {
            assert_eq!(payment(&bad, SIM).expect_err("bad").errors()[0].pointer, "/method");
        }
        assert_eq!(
            payment(&json!({"method": "sim_ok", "amount": 1}), SIM).expect_err("bad").errors()[0]
                .pointer,
            "/amount"
        );
    }

    #[test]
    fn a_refund_is_whole_or_by_line() {
        let id = OrderId(uuid::Uuid::nil());
        let read = |body: &Value| match refund(id, body) {
            Ok(OrderCommand::RefundOrder { lines, restock, .. }) => Ok((lines.is_some(), restock)),
            Ok(_) => panic!("another command"),
            Err(problem) => Err(problem.errors()[0].pointer.clone()),
        };
        assert_eq!(read(&json!({"reason": "r"})), Ok((false, false)));
        assert_eq!(
            read(&json!({"reason": "r", "lines": null, "restock": true})),
            Ok((false, true))
        );
        let one = json!([{"sku": "lamp", "quantity": 1}]);
        assert_eq!(read(&json!({"reason": "r", "lines": one})), Ok((true, false)));
        assert_eq!(read(&json!({"reason": "r", "lines": []})), Err("/lines".to_owned()));
        assert_eq!(read(&json!({"reason": "r", "restock": 1})), Err("/restock".to_owned()));
        assert_eq!(read(&json!({})), Err("/reason".to_owned()));
    }

    #[test]
    fn units_and_lines_are_bounded_at_the_limit() {
        let lines = |units: &[u32]| {
            let lines: Vec<Value> = (0..)
                .zip(units)
                .map(|(n, units): (usize, _)| json!({"sku": format!("s{n}"), "quantity": units}))
                .collect();
            order(|body| body["lines"] = json!(lines))
        };
        assert!(read(&lines(&[99])).is_ok());
        assert!(read(&lines(&[50, 49])).is_ok());
        assert_eq!(pointers(&lines(&[50, 50])), ["/lines"]);
        assert_eq!(pointers(&lines(&[100])), ["/lines/0/quantity"]);
        assert!(read(&lines(&[1; ORDER_LINES_MAX])).is_ok());
        assert_eq!(pointers(&lines(&[1; ORDER_LINES_MAX + 1])), ["/lines"]);
        assert_eq!(pointers(&lines(&[])), ["/lines"]);
    }

    #[test]
    fn every_bad_field_is_named() {
        let body = json!({
            "spotlight_id": "no", "offer_version": 0, "extra": 1, "metadata": [],
            "lines": [{"sku": "a", "quantity": 0}, {"sku": "a", "quantity": 1.5}, {"quantity": -1}],
        });
        let mut found = pointers(&body);
        found.sort();
        assert_eq!(
            found,
            [
                "/extra",
                "/lines/0/quantity",
                "/lines/1/quantity",
                "/lines/1/sku",
                "/lines/2/quantity",
                "/lines/2/sku",
                "/metadata",
                "/offer_version",
                "/spotlight_id",
            ]
        );
    }
}
