//! Rows of the webhook tables, the same on both databases: texts and microseconds.

use chrono::DateTime;
use domain::Timestamp;
use domain::ids::SellerId;
use domain::ports::{
    DeliveryStatus, EndpointStatus, PortError, WebhookDelivery, WebhookEndpoint, WebhookMessage,
};
use uuid::Uuid;

use super::NAME;
use crate::read_model::{Cursor, decode};

/// The columns of an endpoint, in the order of [`EndpointRow`].
pub const ENDPOINT: &str = "id, seller, url, events, description, status, disabled_reason, \
     generation, previous_until_us, failing_since_us, created_us";

/// The columns of a delivery, in the order of [`DeliveryRow`].
pub const DELIVERY: &str = "id, endpoint, event, body, status, attempts, next_us, last_us, \
     response_status, error, delivered_us, created_us";

#[derive(sqlx::FromRow)]
pub struct EndpointRow {
    id: String,
    seller: String,
    url: String,
    events: String,
    description: Option<String>,
    status: String,
    disabled_reason: Option<String>,
    generation: i64,
    previous_until_us: Option<i64>,
    failing_since_us: Option<i64>,
    created_us: i64,
}

#[derive(sqlx::FromRow)]
pub struct DeliveryRow {
    id: String,
    endpoint: String,
    event: String,
    body: String,
    status: String,
    attempts: i64,
    next_us: Option<i64>,
    last_us: Option<i64>,
    response_status: Option<i64>,
    error: Option<String>,
    delivered_us: Option<i64>,
    created_us: i64,
}

fn time(micros: i64) -> Result<Timestamp, PortError> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| PortError::corrupt(NAME, format_args!("a time of {micros} µs")))
}

fn optional_time(micros: Option<i64>) -> Result<Option<Timestamp>, PortError> {
    micros.map(time).transpose()
}

fn id(text: &str) -> Result<Uuid, PortError> {
    text.parse().map_err(|error| PortError::corrupt(NAME, error))
}

fn number<T: TryFrom<i64>>(value: i64) -> Result<T, PortError> {
    T::try_from(value).map_err(|_| PortError::corrupt(NAME, format_args!("the number {value}")))
}

impl TryFrom<EndpointRow> for WebhookEndpoint {
    type Error = PortError;

    fn try_from(row: EndpointRow) -> Result<Self, PortError> {
        Ok(Self {
            id: id(&row.id)?,
            seller: SellerId::try_new(row.seller).map_err(|e| PortError::corrupt(NAME, e))?,
            url: row.url,
            events: decode(NAME, &row.events)?,
            description: row.description,
            status: endpoint_status(&row.status)?,
            disabled_reason: row.disabled_reason,
            generation: number(row.generation)?,
            previous_until: optional_time(row.previous_until_us)?,
            failing_since: optional_time(row.failing_since_us)?,
            created_at: time(row.created_us)?,
        })
    }
}

impl TryFrom<DeliveryRow> for WebhookDelivery {
    type Error = PortError;

    fn try_from(row: DeliveryRow) -> Result<Self, PortError> {
        Ok(Self {
            message: WebhookMessage {
                id: id(&row.id)?,
                endpoint: id(&row.endpoint)?,
                event: row.event,
                body: row.body,
                created_at: time(row.created_us)?,
            },
            status: delivery_status(&row.status)?,
            attempts: number(row.attempts)?,
            next_attempt_at: optional_time(row.next_us)?,
            last_attempt_at: optional_time(row.last_us)?,
            response_status: row.response_status.map(number).transpose()?,
            error: row.error,
            delivered_at: optional_time(row.delivered_us)?,
        })
    }
}

/// The text of the column.
pub const fn endpoint_text(status: EndpointStatus) -> &'static str {
    match status {
        EndpointStatus::Enabled => "enabled",
        EndpointStatus::Disabled => "disabled",
    }
}

fn endpoint_status(text: &str) -> Result<EndpointStatus, PortError> {
    match text {
        "enabled" => Ok(EndpointStatus::Enabled),
        "disabled" => Ok(EndpointStatus::Disabled),
        other => Err(PortError::corrupt(NAME, format_args!("the status {other:?}"))),
    }
}

fn delivery_status(text: &str) -> Result<DeliveryStatus, PortError> {
    match text {
        "pending" => Ok(DeliveryStatus::Pending),
        "delivered" => Ok(DeliveryStatus::Delivered),
        "failed" => Ok(DeliveryStatus::Failed),
        other => Err(PortError::corrupt(NAME, format_args!("the status {other:?}"))),
    }
}

/// What a list of deliveries is ordered by.
pub fn key(delivery: &WebhookDelivery) -> Cursor {
    Cursor::new(delivery.message.created_at, delivery.message.id)
}
