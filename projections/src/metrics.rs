//! Metrics of this crate, each declared once with its unit and meaning.

use metrics::{Unit, describe_counter, describe_gauge};

/// Events that were missing in the log and read from the store, by `consumer`: alarm on any.
pub const CONSUMER_GAPS_TOTAL: &str = "onair_consumer_gaps_total";
/// Events that were applied before, by `consumer`.
pub const CONSUMER_DUPLICATES_TOTAL: &str = "onair_consumer_duplicates_total";
/// Errors after which a consumer tried again, by `consumer`.
pub const CONSUMER_ERRORS_TOTAL: &str = "onair_consumer_errors_total";
/// From the store's time of the last event to its application, by `consumer`.
pub const CONSUMER_LAG_SECONDS: &str = "onair_consumer_lag_seconds";

/// Describes the metrics of the consumers to the recorder.
pub fn describe_consumer() {
    let gaps = "Gaps in the log of events that were filled from the store; alarm on any";
    describe_counter!(CONSUMER_GAPS_TOTAL, Unit::Count, gaps);
    let duplicates = "Events that were applied before";
    describe_counter!(CONSUMER_DUPLICATES_TOTAL, Unit::Count, duplicates);
    let errors = "Errors after which a consumer tried again";
    describe_counter!(CONSUMER_ERRORS_TOTAL, Unit::Count, errors);
    let lag = "From the store's time of the last event to its application";
    describe_gauge!(CONSUMER_LAG_SECONDS, Unit::Seconds, lag);
}

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

/// Gates found to have lost what they answered.
pub const GATE_LOSSES_TOTAL: &str = "onair_gate_losses_total";
/// Gates rebuilt from the log under a new epoch.
pub const GATE_REBUILDS_TOTAL: &str = "onair_gate_rebuilds_total";
/// Orders that the log reserved and the gate did not hold.
pub const GATE_UNKNOWN_ORDERS_TOTAL: &str = "onair_gate_unknown_orders_total";

/// Describes the stock gate's metrics to the recorder.
pub fn describe_gate() {
    let losses = "Stock gates found lost: Redis restarted, failed over or was emptied";
    describe_counter!(GATE_LOSSES_TOTAL, Unit::Count, losses);
    let rebuilds = "Stock gates rebuilt from the log under a new epoch";
    describe_counter!(GATE_REBUILDS_TOTAL, Unit::Count, rebuilds);
    let unknown = "Batches after which a stock gate lacked an order of its epoch; alarm on any";
    describe_counter!(GATE_UNKNOWN_ORDERS_TOTAL, Unit::Count, unknown);
}

/// Events that the log left out and the viewer feed read from the store.
pub const FEED_GAP_EVENTS: &str = "onair_feed_gap_events_total";
/// Parts of rooms that the bus had lost and the viewer feed published again.
pub const FEED_RESTORED_PARTS: &str = "onair_feed_restored_parts_total";

/// Describes the viewer feed's metrics to the recorder.
pub fn describe_feed() {
    describe_counter!(FEED_GAP_EVENTS, "Events the log left out, read from the store");
    describe_counter!(FEED_RESTORED_PARTS, "Parts of rooms that the bus had lost");
}

/// Counts events that the log left out.
pub fn feed_gap(events: usize) {
    let events = u64::try_from(events).unwrap_or(u64::MAX);
    ::metrics::counter!(FEED_GAP_EVENTS).increment(events);
}

/// Counts a part of a room that was published again.
pub fn feed_restored() {
    ::metrics::counter!(FEED_RESTORED_PARTS).increment(1);
}
