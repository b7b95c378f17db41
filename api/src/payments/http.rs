//! A shop's own payment service, by the small protocol of docs/PAYMENTS.md.

use async_trait::async_trait;
use domain::Timestamp;
use domain::ids::{OrderId, SpotlightId};
use domain::money::Money;
use domain::payment::PaymentResult;
use domain::ports::{PaymentCall, PaymentGateway, PortError};
use http::StatusCode;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::client::{Ask, ProviderClient, unusable};
use super::provider::Provider;

/// Asks a shop's own payment service.
#[derive(Debug)]
pub struct HttpGateway {
    client: ProviderClient,
    return_url: Option<String>,
}

/// What is sent, the same for every operation.
#[derive(Debug, Serialize)]
struct Body<'a> {
    order_id: OrderId,
    spotlight_id: SpotlightId,
    attempt: u32,
    payment_attempt: u32,
    method: &'a str,
    amount: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
}

/// What is answered.
#[derive(Debug, Deserialize)]
struct Answered {
    result: Said,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Said {
    Pending { outcome: Pending },
    Result(PaymentResult),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Pending {
    Pending,
}

impl HttpGateway {
    /// A gateway to the service; buyers that it sends elsewhere come back to `return_url`.
    pub const fn new(client: ProviderClient, return_url: Option<String>) -> Self {
        Self { client, return_url }
    }

    /// One operation; nothing where the service has no final answer.
    async fn ask(
        &self,
        operation: &'static str,
        call: &PaymentCall,
    ) -> Result<Option<PaymentResult>, PortError> {
        let body = Body {
            order_id: call.order,
            spotlight_id: call.spotlight,
            attempt: call.attempt,
            payment_attempt: call.payment,
            method: &call.method,
            amount: call.amount,
            held_until: call.held_until,
            return_url: self.return_url.as_deref(),
            reference: call.reference.as_deref(),
        };
        let ask = Ask {
            method: Method::POST,
            path: &format!("/{operation}"),
            content_type: "application/json",
            body: serde_json::to_string(&body).map_err(unusable)?,
            key: Some(call.key(operation)),
        };
        let answer = self.client.ask(ask, &[]).await?;
        if answer.status != StatusCode::OK {
            return Err(unusable(format!("answered {}", answer.status)));
        }
        let answered: Answered = serde_json::from_slice(&answer.body).map_err(unusable)?;
        match answered.result {
            Said::Pending { outcome: Pending::Pending } | Said::Result(PaymentResult::Unknown) => {
                Ok(None)
            }
            Said::Result(result) if fits(operation, &result) => Ok(Some(result)),
            Said::Result(_) => Err(unusable(format!("that is no answer to {operation}"))),
        }
    }

    async fn answer(
        &self,
        operation: &'static str,
        call: &PaymentCall,
    ) -> Result<PaymentResult, PortError> {
        Ok(self.ask(operation, call).await?.unwrap_or(PaymentResult::Unknown))
    }
}

/// Which outcomes answer which operation.
const fn fits(operation: &str, result: &PaymentResult) -> bool {
    let refund =
        matches!(result, PaymentResult::Refunded { .. } | PaymentResult::RefundFailed { .. });
    match operation.as_bytes() {
        b"refund" => refund,
        b"capture" => {
            matches!(result, PaymentResult::Captured { .. } | PaymentResult::CaptureFailed { .. })
        }
        b"void" => matches!(
            result,
            PaymentResult::Voided | PaymentResult::Captured { .. } | PaymentResult::Declined { .. }
        ),
        _ => !refund,
    }
}

#[async_trait]
impl PaymentGateway for HttpGateway {
    fn name(&self) -> &'static str {
        Provider::Http.name()
    }

    async fn authorize(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.answer("authorize", call).await
    }

    async fn capture(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.answer("capture", call).await
    }

    async fn void(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.answer("void", call).await
    }

    async fn refund(&self, call: &PaymentCall) -> Result<PaymentResult, PortError> {
        self.answer("refund", call).await
    }

    async fn query(&self, call: &PaymentCall) -> Result<Option<PaymentResult>, PortError> {
        self.ask("query", call).await
    }
}
