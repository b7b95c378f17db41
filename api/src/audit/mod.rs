//! What an auditor reads of the log: events, timelines, verdicts, seals, receipts. Every answer is
//! bounded, and nothing here writes.

mod events;
mod receipts;
mod seals;
mod timeline;
mod verify;

use std::sync::Arc;

use domain::ports::RowReader;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::App;

pub use events::EVENTS_SCANNED_MAX;
pub use verify::VERIFIED_EVENTS_MAX;

/// What the audit routes need beside the rest.
pub struct Audit {
    /// The log as its bytes, and the seals.
    pub rows: Arc<dyn RowReader>,
    /// The key that receipts of this installation are signed with, its public half.
    pub receipt_key: [u8; 32],
    /// Verifying is work: one at a time in this process.
    pub verifying: Semaphore,
}

impl Audit {
    /// What is read, and by which key receipts are judged.
    pub fn new(rows: Arc<dyn RowReader>, receipt_key: [u8; 32]) -> Self {
        Self { rows, receipt_key, verifying: Semaphore::new(1) }
    }
}

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(events::list))
        .routes(routes!(timeline::read))
        .routes(routes!(verify::read))
        .routes(routes!(seals::list))
        .routes(routes!(receipts::read))
}
