//! What Stripe says, as far as we need it, and what it means.

use std::collections::BTreeMap;

use domain::ids::OrderId;
use domain::money::{Currency, Money};
use domain::payment::{DeclineKind, NextAction, PaymentResult};
use serde::Deserialize;

use super::CLIENT_METHOD;

/// What stands in the metadata of all that we create.
pub(super) const ORDER: &str = "onair_order";
pub(super) const SPOTLIGHT: &str = "onair_spotlight";
pub(super) const ATTEMPT: &str = "onair_attempt";
pub(super) const METHOD: &str = "onair_method";

/// Currencies that Stripe counts in hundredths, though their minor unit is the whole one.
const HUNDREDTHS: [&str; 2] = ["ISK", "UGX"];
/// Currencies that Stripe counts whole, though they have a minor unit.
const WHOLE: &str = "MGA";
/// Refusals that no second try helps against.
const HARD: [&str; 13] = [
    "fraudulent",
    "lost_card",
    "stolen_card",
    "pickup_card",
    "restricted_card",
    "merchant_blacklist",
    "security_violation",
    "transaction_not_allowed",
    "revocation_of_all_authorizations",
    "revocation_of_authorization",
    "stop_payment_order",
    "invalid_account",
    "new_account_information_available",
];

/// A payment intent.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) currency: String,
    #[serde(default)]
    amount_capturable: i64,
    #[serde(default)]
    amount_received: i64,
    client_secret: Option<String>,
    next_action: Option<Action>,
    last_payment_error: Option<Refusal>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Action {
    redirect_to_url: Option<RedirectTo>,
}

#[derive(Debug, Clone, Deserialize)]
struct RedirectTo {
    url: Option<String>,
}

/// An error, in an answer or in an intent.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Refusal {
    #[serde(rename = "type")]
    pub(super) kind: String,
    code: Option<String>,
    decline_code: Option<String>,
    pub(super) payment_intent: Option<Box<Intent>>,
}

/// A refund.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Refund {
    amount: i64,
    currency: String,
    status: Option<String>,
    failure_reason: Option<String>,
    #[serde(default)]
    pub(super) metadata: Option<BTreeMap<String, String>>,
}

/// A page of refunds.
#[derive(Debug, Deserialize)]
pub(super) struct Refunds {
    pub(super) data: Vec<Refund>,
}

impl Refusal {
    pub(super) fn code(&self) -> String {
        let code = self.decline_code.as_ref().or(self.code.as_ref());
        code.unwrap_or(&self.kind).clone()
    }

    pub(super) fn declined(&self) -> PaymentResult {
        let code = self.code();
        // a request that Stripe does not accept is not accepted a second time either
        let hard = self.kind != "card_error" || HARD.contains(&code.as_str());
        let kind = if hard { DeclineKind::Hard } else { DeclineKind::Soft };
        PaymentResult::Declined { kind, code }
    }
}

impl Intent {
    /// What it means; nothing while there is no answer. Where the buyer pays in Stripe's own form,
    /// that form tries again by itself: a refusal is no answer of ours.
    pub(super) fn result(&self) -> Option<PaymentResult> {
        let by_buyer = self.metadata.get(METHOD).is_some_and(|method| method == CLIENT_METHOD);
        match (self.status.as_str(), &self.last_payment_error) {
            ("requires_capture", _) => Some(PaymentResult::Authorized {
                amount: money(self.amount_capturable, &self.currency)?,
                reference: Some(self.id.clone()),
            }),
            ("succeeded", _) => {
                let amount = money(self.amount_received, &self.currency)?;
                Some(PaymentResult::Captured { amount })
            }
            ("canceled", _) => Some(PaymentResult::Voided),
            ("requires_action", _) => self.action(),
            ("requires_payment_method" | "requires_confirmation", _) if by_buyer => self.action(),
            ("requires_payment_method", Some(refusal)) => Some(refusal.declined()),
            _ => None,
        }
    }

    fn action(&self) -> Option<PaymentResult> {
        let page = self.next_action.as_ref().and_then(|action| action.redirect_to_url.as_ref());
        let action = match page.and_then(|page| page.url.clone()) {
            Some(url) => NextAction::Redirect { url },
            None => NextAction::ClientSecret { client_secret: self.client_secret.clone()? },
        };
        Some(PaymentResult::RequiresAction { action, reference: Some(self.id.clone()) })
    }
}

impl Refund {
    /// What it means; nothing while it is on its way.
    pub(super) fn result(&self) -> Option<PaymentResult> {
        match self.status.as_deref() {
            Some("succeeded") => {
                Some(PaymentResult::Refunded { amount: money(self.amount, &self.currency)? })
            }
            Some("failed" | "canceled") => {
                let code =
                    self.failure_reason.clone().unwrap_or_else(|| "refund_failed".to_owned());
                Some(PaymentResult::RefundFailed { code })
            }
            _ => None,
        }
    }
}

/// Of which order and attempt something is that we created.
pub(super) fn home(metadata: &BTreeMap<String, String>) -> Option<(OrderId, u32)> {
    let order = metadata.get(ORDER)?.parse().ok()?;
    Some((OrderId(order), metadata.get(ATTEMPT)?.parse().ok()?))
}

/// An amount as Stripe counts it; none where it cannot be said.
pub(super) fn amount(money: Money) -> Option<i64> {
    let code = money.currency.code();
    if HUNDREDTHS.contains(&code) {
        return money.minor.checked_mul(100);
    }
    if code == WHOLE {
        return (money.minor % 100 == 0).then_some(money.minor / 100);
    }
    Some(money.minor)
}

/// An amount as we count it; none where it cannot be said.
fn money(amount: i64, currency: &str) -> Option<Money> {
    let currency = Currency::try_new(&currency.to_ascii_uppercase()).ok()?;
    let code = currency.code();
    let minor = if HUNDREDTHS.contains(&code) {
        (amount % 100 == 0).then_some(amount / 100)?
    } else if code == WHOLE {
        amount.checked_mul(100)?
    } else {
        amount
    };
    Some(Money::new(minor, currency))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn intent(change: &serde_json::Value) -> Intent {
        let mut body = json!({"id": "pi_1", "status": "processing", "currency": "krw",
            "amount_capturable": 0, "amount_received": 0, "client_secret": "pi_1_secret",
            "next_action": null, "last_payment_error": null, "metadata": {}});
        for (name, value) in change.as_object().expect("an object") {
            body[name] = value.clone();
        }
        serde_json::from_value(body).expect("an intent")
    }

    #[test]
    fn each_status_means_one_thing() {
        let won = |minor| Money::new(minor, Currency::try_new("KRW").expect("known"));
        let told = |change| intent(&change).result();
        assert_eq!(told(json!({})), None);
        assert_eq!(
            told(json!({"status": "requires_capture", "amount_capturable": 5})),
            Some(PaymentResult::Authorized { amount: won(5), reference: Some("pi_1".to_owned()) })
        );
        assert_eq!(
            told(json!({"status": "succeeded", "amount_received": 5})),
            Some(PaymentResult::Captured { amount: won(5) })
        );
        assert_eq!(told(json!({"status": "canceled"})), Some(PaymentResult::Voided));
        assert_eq!(told(json!({"status": "requires_payment_method"})), None);
        let page =
            json!({"type": "redirect_to_url", "redirect_to_url": {"url": "https://a.example"}});
        for (change, action) in [
            (
                json!({"status": "requires_action", "next_action": page}),
                NextAction::Redirect { url: "https://a.example".to_owned() },
            ),
            (
                json!({"status": "requires_action", "next_action": {"type": "use_stripe_sdk"}}),
                NextAction::ClientSecret { client_secret: "pi_1_secret".to_owned() },
            ),
            (
                json!({"status": "requires_payment_method", "metadata": {METHOD: CLIENT_METHOD},
                    "last_payment_error": {"type": "card_error", "code": "card_declined"}}),
                NextAction::ClientSecret { client_secret: "pi_1_secret".to_owned() },
            ),
        ] {
            let reference = Some("pi_1".to_owned());
            assert_eq!(told(change), Some(PaymentResult::RequiresAction { action, reference }));
        }
    }

    #[test]
    fn a_refusal_is_soft_or_hard() {
        let refused = |error: serde_json::Value| match intent(
            &json!({"status": "requires_payment_method", "last_payment_error": error}),
        )
        .result()
        {
            Some(PaymentResult::Declined { kind, code }) => (kind, code),
            other => panic!("{other:?}"),
        };
        let card =
            |code| json!({"type": "card_error", "code": "card_declined", "decline_code": code});
        assert_eq!(
            refused(card("insufficient_funds")),
            (DeclineKind::Soft, "insufficient_funds".to_owned())
        );
        assert_eq!(refused(card("stolen_card")), (DeclineKind::Hard, "stolen_card".to_owned()));
        let bad = json!({"type": "invalid_request_error", "code": "amount_too_small"});
        assert_eq!(refused(bad), (DeclineKind::Hard, "amount_too_small".to_owned()));
    }

    #[test]
    fn amounts_are_counted_as_stripe_does() {
        let money_of = |minor, code| Money::new(minor, Currency::try_new(code).expect("known"));
        for (minor, code, counted) in
            [(19_900, "KRW", 19_900), (1_999, "USD", 1_999), (500, "ISK", 50_000), (500, "MGA", 5)]
        {
            assert_eq!(amount(money_of(minor, code)), Some(counted), "{code}");
            assert_eq!(money(counted, &code.to_lowercase()), Some(money_of(minor, code)), "{code}");
        }
        assert_eq!(amount(money_of(501, "MGA")), None);
        assert_eq!(money(501, "isk"), None);
    }
}
