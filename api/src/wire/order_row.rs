//! An order as the lines of a CSV.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::order::OrderReason;
use domain::views::OrderView;

use super::chat::cell;
use super::order::name_of;

/// The rows of the CSV.
#[derive(Debug)]
pub struct OrderRow;

impl OrderRow {
    /// The first line.
    pub const HEAD: &'static str = "id,spotlight_id,broadcast_id,viewer,status,reason,sku,quantity,\
        unit_price,total,refunded,currency,offer_version,payment_status,payment_provider,\
        payment_attempts,reference,accepted_at,updated_at\r\n";

    /// One line (RFC 4180) for each line of the order.
    pub fn lines(order: &OrderView) -> String {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let text = |text: Option<&str>| text.map(cell).unwrap_or_default();
        let rows = order.lines.iter().map(|line| {
            let fields = [
                order.id.to_string(),
                order.spotlight_id.to_string(),
                order.broadcast_id.to_string(),
                text(order.viewer.as_ref().map(domain::ids::ViewerId::as_str)),
                order.status.as_str().to_owned(),
                order.reason.map(OrderReason::as_str).unwrap_or_default().to_owned(),
                cell(line.sku.as_str()),
                line.quantity.get().to_string(),
                line.unit_price.minor.to_string(),
                order.total.minor.to_string(),
                order.refunded.map_or(0, |refunded| refunded.minor).to_string(),
                order.total.currency.code().to_owned(),
                order.offer_version.to_string(),
                name_of(order.payment.status),
                text(order.payment.provider.as_deref()),
                order.payment.attempts.to_string(),
                text(order.reference.as_deref()),
                time(order.accepted_at),
                time(order.updated_at),
            ];
            format!("{}\r\n", fields.join(","))
        });
        rows.collect()
    }
}
