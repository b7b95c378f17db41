//! Stripe: payment intents, captured by hand, and refunds.
//!
//! An intent is created before it is confirmed. Creating one moves nothing, and the same key gives
//! the same intent, so its id can always be learnt again; only the confirmation charges, once.

mod event;
mod signature;
mod wire;

use async_trait::async_trait;
use domain::payment::PaymentResult;
use domain::ports::{PaymentCall, PaymentGateway, PortError};
use http::StatusCode;
use reqwest::Method;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

pub use event::{StripeEvent, Told};
pub use signature::{is_signed, sign};

use super::client::{Ask, ProviderClient, unusable};
use super::provider::Provider;
use wire::{ATTEMPT, Intent, METHOD, ORDER, Refund, Refunds, Refusal, SPOTLIGHT, home};

/// Where Stripe answers.
pub const STRIPE_URL: &str = "https://api.stripe.com";
/// The method of an order that its buyer pays in Stripe's own form.
pub const CLIENT_METHOD: &str = "client_secret";
/// The version of Stripe's API that this client is written for.
const API_VERSION: (&str, &str) = ("stripe-version", "2024-06-20");
const FORM: &str = "application/x-www-form-urlencoded";
/// What Stripe says to an operation that comes too late or too early.
const UNEXPECTED_STATE: &str = "payment_intent_unexpected_state";

/// Asks Stripe.
#[derive(Debug)]
pub struct StripeGateway {
    client: ProviderClient,
    return_url: Option<String>,
}

type Fields<'a> = Vec<(&'a str, String)>;

impl StripeGateway {
    /// A gateway to Stripe; buyers that are sent elsewhere come back to `return_url`.
    pub const fn new(client: ProviderClient, return_url: Option<String>) -> Self {
        Self { client, return_url }
    }

    /// One request: what Stripe made of it, or why it refused.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        fields: &Fields<'_>,
        key: Option<String>,
    ) -> Result<Result<T, Refusal>, PortError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let ask = Ask { method, path, content_type: FORM, body, key };
        let answer = self.client.ask(ask, &[API_VERSION]).await?;
        match answer.status {
            StatusCode::OK => serde_json::from_slice(&answer.body).map(Ok).map_err(unusable),
            StatusCode::BAD_REQUEST | StatusCode::PAYMENT_REQUIRED | StatusCode::NOT_FOUND => {
                #[derive(serde::Deserialize)]
                struct Refused {
                    error: Refusal,
                }
                let refused: Refused = serde_json::from_slice(&answer.body).map_err(unusable)?;
                Ok(Err(refused.error))
            }
            // a wrong key, a key in use, too many requests, Stripe's own trouble
            status => Err(unusable(format!("answered {status}"))),
        }
    }

    /// The attempt's intent as it stands now; created where it is not known. A repeated creation
    /// answers with the intent as it was then, so it is read.
    async fn intent(&self, call: &PaymentCall) -> Result<Result<Intent, Refusal>, PortError> {
        match &call.reference {
            Some(id) => self.read(id).await,
            None => match self.created(call).await? {
                Ok(intent) => self.read(&intent.id).await,
                Err(refusal) => Ok(Err(refusal)),
            },
        }
    }

    /// The attempt's intent as it was created.
    async fn created(&self, call: &PaymentCall) -> Result<Result<Intent, Refusal>, PortError> {
        let Some(amount) = wire::amount(call.amount) else {
            return Err(unusable("the amount cannot be said in Stripe's units"));
        };
        let redirects = if self.return_url.is_some() { "always" } else { "never" };
        let fields = vec![
            ("amount", amount.to_string()),
            ("currency", call.amount.currency.code().to_ascii_lowercase()),
            ("capture_method", "manual".to_owned()),
            ("automatic_payment_methods[enabled]", "true".to_owned()),
            ("automatic_payment_methods[allow_redirects]", redirects.to_owned()),
            (&*format!("metadata[{ORDER}]"), call.order.to_string()),
            (&*format!("metadata[{SPOTLIGHT}]"), call.spotlight.to_string()),
            (&*format!("metadata[{ATTEMPT}]"), call.payment.to_string()),
            (&*format!("metadata[{METHOD}]"), call.method.clone()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect::<Vec<_>>();
        let fields = fields.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        // of the payment, also where its refund asks for it
        let key = PaymentCall { attempt: call.payment, ..call.clone() }.key("create");
        self.ask(Method::POST, "/v1/payment_intents", &fields, Some(key)).await
    }

    async fn read(&self, id: &str) -> Result<Result<Intent, Refusal>, PortError> {
        self.ask(Method::GET, &format!("/v1/payment_intents/{}", segment(id)), &vec![], None).await
    }

    /// Something is done to an intent. Where its state forbids that, the state is the answer.
    async fn act(
        &self,
        call: &PaymentCall,
        (path, operation): (&str, &str),
        intent: &Intent,
        fields: &Fields<'_>,
    ) -> Result<Result<Intent, Refusal>, PortError> {
        let path = format!("/v1/payment_intents/{}/{path}", segment(&intent.id));
        let done = self.ask(Method::POST, &path, fields, Some(call.key(operation))).await?;
        match done {
            Err(refusal) if refusal.code() == UNEXPECTED_STATE => match refusal.payment_intent {
                Some(intent) => Ok(Ok(*intent)),
                None => self.read(&intent.id).await,
            },
            done => Ok(done),
        }
    }
}

/// An id as a part of a path.
fn segment(id: &str) -> String {
    form_urlencoded::byte_serialize(id.as_bytes()).collect()
}

/// An answer that is none yet.
fn or_unknown(result: Option<PaymentResult>) -> PaymentResult {
    result.unwrap_or(PaymentResult::Unknown)
}

#[async_trait]
impl PaymentGateway for StripeGateway {
    fn name(&self) -> &'static str {
        Provider::Stripe.name()
    }

    async fn authorize(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        if call.method == CLIENT_METHOD {
            return Ok(match self.intent(call).await? {
                Ok(intent) => or_unknown(intent.result()),
                Err(refusal) => refusal.declined(),
            });
        }
        let intent = match self.created(call).await? {
            Ok(intent) => intent,
            Err(refusal) => return Ok(refusal.declined()),
        };
        let mut fields = vec![("payment_method", call.method.clone())];
        fields.extend(self.return_url.clone().map(|url| ("return_url", url)));
        match self.act(call, ("confirm", "authorize"), &intent, &fields).await? {
            Ok(intent) => Ok(or_unknown(intent.result())),
            Err(refusal) => Ok(refusal.declined()),
        }
    }

    async fn capture(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        let failed = |code| PaymentResult::CaptureFailed { code };
        let intent = match self.intent(call).await? {
            Ok(intent) => intent,
            Err(refusal) => return Ok(failed(refusal.code())),
        };
        let done = match intent.status.as_str() {
            "succeeded" | "canceled" => Ok(intent),
            _ => self.act(call, ("capture", "capture"), &intent, &vec![]).await?,
        };
        Ok(match done {
            Ok(intent) => match intent.result() {
                Some(PaymentResult::Captured { amount }) => PaymentResult::Captured { amount },
                Some(PaymentResult::Voided) => failed("canceled".to_owned()),
                _ => PaymentResult::Unknown,
            },
            Err(refusal) => failed(refusal.code()),
        })
    }

    async fn void(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        let Ok(intent) = self.intent(call).await? else {
            // what was never there is not to be given back
            return Ok(PaymentResult::Voided);
        };
        let done = match intent.status.as_str() {
            "succeeded" | "canceled" => Ok(intent),
            _ => self.act(call, ("cancel", "void"), &intent, &vec![]).await?,
        };
        match done {
            Ok(intent) => Ok(match intent.result() {
                Some(result @ (PaymentResult::Captured { .. } | PaymentResult::Voided)) => result,
                _ => PaymentResult::Unknown,
            }),
            Err(refusal) => Err(unusable(refusal.code())),
        }
    }

    async fn refund(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        let failed = |refusal: Refusal| PaymentResult::RefundFailed { code: refusal.code() };
        // the amount of the intent is the payment's, which a partial refund does not name
        let id = match &call.reference {
            Some(id) => id.clone(),
            None => match self.intent(call).await? {
                Ok(intent) => intent.id,
                Err(refusal) => return Ok(failed(refusal)),
            },
        };
        let path = format!("/v1/refunds?limit=100&payment_intent={}", segment(&id));
        let known = match self.ask::<Refunds>(Method::GET, &path, &vec![], None).await? {
            Ok(known) => known.data,
            Err(refusal) => return Ok(failed(refusal)),
        };
        let wanted = (call.order, call.attempt);
        let same = |refund: &&Refund| {
            refund.metadata.as_ref().and_then(home).is_some_and(|home| home == wanted)
        };
        if let Some(refund) = known.iter().find(same) {
            return Ok(or_unknown(refund.result()));
        }
        let Some(amount) = wire::amount(call.amount) else {
            return Err(unusable("the amount cannot be said in Stripe's units"));
        };
        let (order, attempt) = (format!("metadata[{ORDER}]"), format!("metadata[{ATTEMPT}]"));
        let fields = vec![
            ("payment_intent", id),
            ("amount", amount.to_string()),
            (order.as_str(), call.order.to_string()),
            (attempt.as_str(), call.attempt.to_string()),
        ];
        let key = Some(call.key("refund"));
        match self.ask::<Refund>(Method::POST, "/v1/refunds", &fields, key).await? {
            Ok(refund) => Ok(or_unknown(refund.result())),
            Err(refusal) => Ok(failed(refusal)),
        }
    }

    async fn query(&self, call: &PaymentCall) -> Result<Option<PaymentResult>, PortError> {
        Ok(match self.intent(call).await? {
            Ok(intent) => intent.result(),
            Err(refusal) => Some(refusal.declined()),
        })
    }
}
