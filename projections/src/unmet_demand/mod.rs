//! The read model of units that were asked for and refused.

mod estimate;
mod fold;

use std::sync::Arc;

pub use estimate::viewers;
pub use fold::{DemandFold, DemandRow};

use crate::key_table::KeyTable;

/// The read model's name in errors, checkpoints and metrics.
pub const NAME: &str = "unmet_demand";

/// What was refused, by spotlight and SKU.
pub type UnmetDemand = Arc<dyn KeyTable<DemandFold>>;
