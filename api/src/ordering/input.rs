//! The body of an order, from JSON to domain types.

use domain::ids::{OrderId, Sku, SpotlightId};
use domain::limits::{ORDER_LINES_MAX, ORDER_UNITS_MAX, PAYMENT_METHOD_MAX_CHARS};
use domain::line::{Line, Lines};
use domain::order::{OrderCommand, PaymentChoice};
use serde_json::{Map, Value};

use crate::extract::values;
use crate::extract::{Errors, Form};
use crate::payments::Provider;
use crate::problem::Problem;

/// An order to be placed.
#[derive(Debug)]
pub struct NewOrder {
    pub(super) spotlight: SpotlightId,
    pub(super) offer_version: u32,
    pub(super) lines: Lines,
    pub(super) payment: Option<PaymentChoice>,
    pub(super) reference: Option<String>,
    pub(super) metadata: Option<Map<String, Value>>,
}

/// Reads a new order.
///
/// # Errors
/// 422 naming every bad field.
pub fn new_order(body: &Value, provider: Provider) -> Result<NewOrder, Problem> {
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

    fn pointers(body: &Value) -> Vec<String> {
        let problem = new_order(body, SIM).expect_err("bad");
        problem.errors().iter().map(|error| error.pointer.clone()).collect()
    }

    #[test]
    fn a_method_is_chosen_defaulted_or_waited_for() {
        let method = |body: &Value| new_order(body, SIM).expect("good").payment.map(|p| p.method);
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
        assert!(new_order(&lines(&[99]), SIM).is_ok());
        assert!(new_order(&lines(&[50, 49]), SIM).is_ok());
        assert_eq!(pointers(&lines(&[50, 50])), ["/lines"]);
        assert_eq!(pointers(&lines(&[100])), ["/lines/0/quantity"]);
        assert!(new_order(&lines(&[1; ORDER_LINES_MAX]), SIM).is_ok());
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
