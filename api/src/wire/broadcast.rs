//! A broadcast as clients read it.

use chrono::{DateTime, Utc};
use domain::ports::{Page, RoomTotals, SalesTotals};
use domain::views::{BroadcastView, Inventory};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::MoneyBody;
use super::demand::UnmetDemandBody;
use super::order::name_of;

/// One live show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Broadcast)]
pub struct BroadcastBody {
    /// Which broadcast.
    pub id: Uuid,
    /// Whose it is.
    pub seller: String,
    /// What viewers read.
    pub title: String,
    /// The currency of every offer in it.
    pub currency: String,
    /// scheduled, live or ended.
    pub status: String,
    /// When it is to start.
    pub starts_at: Option<DateTime<Utc>>,
    /// When it went live.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// When it was announced.
    pub created_at: DateTime<Utc>,
}

impl From<BroadcastView> for BroadcastBody {
    fn from(view: BroadcastView) -> Self {
        Self {
            id: view.id.0,
            seller: view.seller.into(),
            title: view.title,
            currency: view.currency.to_string(),
            status: name_of(view.status),
            starts_at: view.starts_at,
            started_at: view.started_at,
            ended_at: view.ended_at,
            created_at: view.created_at,
        }
    }
}

/// A page of broadcasts, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BroadcastList {
    /// The broadcasts.
    pub items: Vec<BroadcastBody>,
    /// Where the next page starts; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<Page<BroadcastView>> for BroadcastList {
    fn from(page: Page<BroadcastView>) -> Self {
        let (items, next_cursor) = super::list(page);
        Self { items, next_cursor }
    }
}

/// What a viewer page needs to connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Join)]
pub struct JoinBody {
    /// The address of the socket (Centrifuge client protocol v2).
    pub url: String,
    /// The token of the connect command: the caller's own, or an anonymous one.
    pub token: String,
    /// The channels that the server subscribes to at a connect with
    /// `data: {"broadcast": id}`.
    pub channels: Vec<String>,
}

/// What a broadcast has sold so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = BroadcastMetrics)]
pub struct MetricsBody {
    /// Which broadcast.
    pub broadcast_id: Uuid,
    /// Orders accepted.
    pub orders: u64,
    /// Orders accepted per second of being live.
    pub orders_per_second: f64,
    /// Orders confirmed.
    pub confirmed: u64,
    /// Orders failed.
    pub failed: u64,
    /// Orders called off.
    pub cancelled: u64,
    /// Units sold.
    pub units_sold: u64,
    /// Units of all offers.
    pub units_limited: i64,
    /// Units held for orders.
    pub units_held: i64,
    /// Units sold per 100 units of all offers; null where there is none.
    pub sell_through_percent: Option<f64>,
    /// Accepted orders that were not failed for stock, per 100; null before the first order.
    pub reservation_success_percent: Option<f64>,
    /// Confirmed orders per 100 that have ended; null before the first has.
    pub payment_completion_percent: Option<f64>,
    /// Money captured and not given back.
    pub revenue: MoneyBody,
    /// Revenue per confirmed order, rounded down; null before the first.
    pub average_order: Option<MoneyBody>,
    /// Orders accepted and then failed for stock; 0 unless Redis lost data.
    pub guard_failures: u64,
    /// What was asked for and refused because it was sold out.
    pub unmet_demand: UnmetDemandBody,
    /// Likes so far.
    pub like_count: u64,
    /// The most viewers that watched at once.
    pub viewers_peak: u32,
    /// Viewers that watched at all, each counted once; within 1 % where a cluster counts.
    pub viewers_distinct: u64,
}

impl MetricsBody {
    /// From the totals of a broadcast, the stock of its spotlights and what its room came to.
    pub fn new(
        view: &BroadcastView,
        (totals, stock, room): (&SalesTotals, &Inventory, RoomTotals),
        unmet_demand: UnmetDemandBody,
        now: DateTime<Utc>,
    ) -> Self {
        let ended = totals.confirmed + totals.failed + totals.cancelled;
        let guarded = totals.orders.saturating_sub(totals.failed_for_stock);
        let sold = u64::try_from(stock.sold).unwrap_or(0);
        let limited = u64::try_from(stock.limited_quantity).unwrap_or(0);
        let until = view.ended_at.unwrap_or(now);
        let seconds = view.started_at.map_or(0, |from| (until - from).num_seconds().max(1));
        let average = i64::try_from(totals.confirmed)
            .ok()
            .and_then(|confirmed| totals.revenue.minor.checked_div(confirmed));
        Self {
            broadcast_id: view.id.0,
            orders: totals.orders,
            orders_per_second: ratio(totals.orders, u64::try_from(seconds).unwrap_or(0))
                .unwrap_or(0.0),
            confirmed: totals.confirmed,
            failed: totals.failed,
            cancelled: totals.cancelled,
            units_sold: totals.units_sold,
            units_limited: stock.limited_quantity,
            units_held: stock.held,
            sell_through_percent: percent(sold, limited),
            reservation_success_percent: percent(guarded, totals.orders),
            payment_completion_percent: percent(totals.confirmed, ended),
            revenue: totals.revenue.into(),
            average_order: average
                .map(|minor| MoneyBody { minor, currency: totals.revenue.currency.to_string() }),
            guard_failures: totals.failed_for_stock,
            like_count: room.likes,
            viewers_peak: room.viewers_peak,
            viewers_distinct: room.viewers_distinct,
            unmet_demand,
        }
    }
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    ratio(part.saturating_mul(100), whole)
}

/// A ratio to three decimals; counts stay exact far beyond any show.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    let thousandths = u128::from(part).saturating_mul(1_000).checked_div(u128::from(whole))?;
    u32::try_from(thousandths).ok().map(|thousandths| f64::from(thousandths) / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_do_not_divide_by_nothing() {
        assert_eq!(percent(1, 3), Some(33.333));
        assert_eq!(percent(3, 3), Some(100.0));
        assert_eq!(percent(0, 0), None);
    }
}
