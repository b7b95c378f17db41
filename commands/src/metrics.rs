//! Metrics of this crate, each declared once with its unit and meaning.

use metrics::{Unit, describe_counter, describe_histogram};

/// Time of one append of the event store, from the start of its transaction to the answer.
pub const STORE_APPEND_SECONDS: &str = "onair_store_append_seconds";
/// Appends of the event store by `result`: committed, fenced, conflict, unavailable, ambiguous.
pub const STORE_APPENDS_TOTAL: &str = "onair_store_appends_total";
/// Events that the event store has taken.
pub const STORE_EVENTS_TOTAL: &str = "onair_store_events_total";

/// Names the event store's metrics to the recorder.
pub fn describe_store() {
    describe_histogram!(
        STORE_APPEND_SECONDS,
        Unit::Seconds,
        "Time of one append of the event store, from the start of its transaction to the answer"
    );
    describe_counter!(STORE_APPENDS_TOTAL, "Appends of the event store by result");
    describe_counter!(STORE_EVENTS_TOTAL, "Events that the event store has taken");
}
