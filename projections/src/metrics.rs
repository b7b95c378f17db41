//! Metrics of this crate, each declared once with its unit and meaning.

use metrics::{describe_counter, describe_gauge};

/// Events between the head of the log and a read model's checkpoint, by `projection`.
pub const PROJECTION_LAG_EVENTS: &str = "onair_projection_lag_events";
/// Events that this process handed to a read model, by `projection`.
pub const PROJECTION_EVENTS_TOTAL: &str = "onair_projection_events_total";
/// Steps of a read model that failed and are tried again, by `projection`.
pub const PROJECTION_FAILURES_TOTAL: &str = "onair_projection_failures_total";

/// Names the read models' metrics to the recorder.
pub fn describe_read_models() {
    describe_gauge!(
        PROJECTION_LAG_EVENTS,
        "Events between the head of the log and a read model's checkpoint"
    );
    describe_counter!(PROJECTION_EVENTS_TOTAL, "Events that this process handed to a read model");
    describe_counter!(
        PROJECTION_FAILURES_TOTAL,
        "Steps of a read model that failed and are tried again"
    );
}
