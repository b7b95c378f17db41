//! The read model of who waits for what is sold out.

mod fold;
mod places;

use std::sync::Arc;

pub use fold::{WaitRow, WaitStatus, WaitlistFold};
pub use places::{PLACES_TOLD_FIRST, PLACES_TOLD_STEP, Places};

use crate::key_table::KeyTable;

/// The read model's name in errors, checkpoints and metrics.
pub const NAME: &str = "waitlist";

/// Who waits, by spotlight and viewer.
pub type WaitlistBook = Arc<dyn KeyTable<WaitlistFold>>;
