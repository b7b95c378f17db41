//! A place in line as clients read it.

use chrono::{DateTime, Utc};
use projections::waitlist::WaitRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::order::name_of;
use super::requests::NewLine;

/// Where a viewer stands who waits for what is sold out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Waitlist)]
pub struct WaitBody {
    /// Which spotlight.
    pub spotlight_id: Uuid,
    /// What is waited for.
    pub lines: Vec<NewLine>,
    /// The place in line, counted from 1; null unless `status` is `waiting`.
    pub place: Option<u64>,
    /// waiting, offered, accepted, declined, expired or ended.
    pub status: String,
    /// The order of the offer, which waits for its payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
    /// Until when the offer can be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer_expires_at: Option<DateTime<Utc>>,
}

impl WaitBody {
    /// From its row and its place.
    pub fn new(row: &WaitRow, place: Option<u64>) -> Self {
        let line = |line: &domain::line::Line| NewLine {
            sku: line.sku.to_string(),
            quantity: line.quantity.get(),
        };
        Self {
            spotlight_id: row.spotlight_id.0,
            lines: row.lines.iter().map(line).collect(),
            place,
            status: name_of(row.status),
            order_id: row.order_id.map(|order| order.0),
            offer_expires_at: row.offer_expires_at,
        }
    }
}
