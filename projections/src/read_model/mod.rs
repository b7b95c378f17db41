//! What the read models share: which events are new, and pages of a list.

mod batch;
mod paging;

pub use batch::after_checkpoint;
pub use paging::{Cursor, DUE_ITEMS_MAX, PAGE_ITEMS_MAX, due_limit, micros, page_limit, page_of};
