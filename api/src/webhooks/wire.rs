//! The shapes of endpoints and deliveries.

use chrono::{DateTime, Utc};
use domain::ports::{Page, WebhookDelivery, WebhookEndpoint};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// An endpoint to be registered.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct NewWebhookEndpoint {
    /// An https address on the public internet.
    #[schema(example = "https://shop.example/onair")]
    pub url: String,
    /// Names such as `order.confirmed`, or `*` for all.
    #[schema(example = json!(["order.confirmed", "order.failed"]), min_items = 1, max_items = 64)]
    pub events: Vec<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// An endpoint.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub struct EndpointBody {
    /// Its id.
    pub id: Uuid,
    /// The address that is posted to.
    pub url: String,
    /// Names of events, or `*`.
    pub events: Vec<String>,
    /// For people.
    pub description: Option<String>,
    /// `enabled`, or `disabled` after it failed for days or answered 410.
    #[schema(value_type = String, example = "enabled")]
    pub status: domain::ports::EndpointStatus,
    /// Why it is disabled.
    pub disabled_reason: Option<String>,
    /// Since when nothing was delivered, where the last attempt failed.
    pub failing_since: Option<DateTime<Utc>>,
    /// Until when messages are signed with the secret before, too.
    pub previous_secret_until: Option<DateTime<Utc>>,
    /// When it was registered; older events are not sent.
    pub created_at: DateTime<Utc>,
    /// What messages are signed with; shown when it is made, and never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A seller's endpoints.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = WebhookEndpointList)]
pub struct EndpointList {
    /// All of them, oldest first.
    pub items: Vec<EndpointBody>,
    /// Always absent: there are at most 20.
    pub next_cursor: Option<String>,
}

/// A message to an endpoint and what came of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct DeliveryBody {
    /// The `webhook-id` of every attempt.
    pub id: Uuid,
    /// The event's name.
    #[serde(rename = "type")]
    pub event: String,
    /// The body as it is sent: `{type, timestamp, data}`.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// `pending`, `delivered` or `failed`.
    #[schema(value_type = String, example = "delivered")]
    pub status: domain::ports::DeliveryStatus,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it was tried last.
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// The HTTP status of the last answer.
    pub response_status: Option<u16>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// When it was taken.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When the event was recorded.
    pub created_at: DateTime<Utc>,
}

/// A page of deliveries, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = WebhookDeliveryList)]
pub struct DeliveryList {
    /// The items.
    pub items: Vec<DeliveryBody>,
    /// Where the next page starts; absent on the last one.
    pub next_cursor: Option<String>,
}

impl EndpointBody {
    /// An endpoint with the secret that was made for it just now.
    pub fn with_secret(endpoint: WebhookEndpoint, secret: String) -> Self {
        Self { secret: Some(secret), ..endpoint.into() }
    }
}

impl From<WebhookEndpoint> for EndpointBody {
    fn from(endpoint: WebhookEndpoint) -> Self {
        Self {
            id: endpoint.id,
            url: endpoint.url,
            events: endpoint.events,
            description: endpoint.description,
            status: endpoint.status,
            disabled_reason: endpoint.disabled_reason,
            failing_since: endpoint.failing_since,
            previous_secret_until: endpoint.previous_until,
            created_at: endpoint.created_at,
            secret: None,
        }
    }
}

impl From<WebhookDelivery> for DeliveryBody {
    fn from(delivery: WebhookDelivery) -> Self {
        let message = delivery.message;
        Self {
            id: message.id,
            event: message.event,
            payload: serde_json::from_str(&message.body).unwrap_or_default(),
            status: delivery.status,
            attempts: delivery.attempts,
            next_attempt_at: delivery.next_attempt_at,
            last_attempt_at: delivery.last_attempt_at,
            response_status: delivery.response_status,
            error: delivery.error,
            delivered_at: delivery.delivered_at,
            created_at: message.created_at,
        }
    }
}

impl From<Page<WebhookDelivery>> for DeliveryList {
    fn from(page: Page<WebhookDelivery>) -> Self {
        let items = page.items.into_iter().map(DeliveryBody::from).collect();
        Self { items, next_cursor: page.next_cursor }
    }
}
