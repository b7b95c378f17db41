//! Unmet demand as hosts read it.

use chrono::{DateTime, Utc};
use domain::demand::Viewers;
use projections::unmet_demand::{DemandRow, viewers};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What was asked for and refused because it was sold out; told once a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = UnmetDemand)]
pub struct UnmetDemandBody {
    /// Refused requests, by SKU that was short; the repeats of a viewer count.
    pub requests: u64,
    /// Units of them.
    pub units: u64,
    /// Distinct viewers; exact up to 64, off by 3 % on average beyond.
    pub viewers: u64,
    /// The same by spotlight and SKU.
    pub skus: Vec<RefusedBody>,
}

/// What of one SKU of a spotlight was asked for and refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RefusedSku)]
pub struct RefusedBody {
    /// Which spotlight.
    pub spotlight_id: Uuid,
    /// Which SKU.
    pub sku: String,
    /// Refused requests.
    pub requests: u64,
    /// Units of them.
    pub units: u64,
    /// Distinct viewers.
    pub viewers: u64,
    /// In which second it was refused first.
    pub first_at: DateTime<Utc>,
    /// And last.
    pub last_at: DateTime<Utc>,
}

impl UnmetDemandBody {
    /// The sum over rows.
    pub fn of(rows: &[DemandRow]) -> Self {
        let mut all = Viewers::default();
        let mut skus: Vec<RefusedBody> = rows
            .iter()
            .map(|row| {
                let observed = &row.observed;
                all.merge(&observed.viewers);
                RefusedBody {
                    spotlight_id: row.spotlight_id.0,
                    sku: observed.sku.to_string(),
                    requests: observed.requests,
                    units: observed.units,
                    viewers: viewers(&observed.viewers),
                    first_at: row.first_second,
                    last_at: row.last_second,
                }
            })
            .collect();
        skus.sort_by(|one, other| {
            (one.spotlight_id, &one.sku).cmp(&(other.spotlight_id, &other.sku))
        });
        let requests = skus.iter().fold(0, |sum: u64, sku| sum.saturating_add(sku.requests));
        let units = skus.iter().fold(0, |sum: u64, sku| sum.saturating_add(sku.units));
        Self { requests, units, viewers: viewers(&all), skus }
    }
}
