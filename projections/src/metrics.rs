//! Metrics of this crate, each declared once with its unit and meaning.

/// Events that the log left out and the viewer feed read from the store.
pub const FEED_GAP_EVENTS: &str = "onair_feed_gap_events_total";
/// Parts of rooms that the bus had lost and the viewer feed published again.
pub const FEED_RESTORED_PARTS: &str = "onair_feed_restored_parts_total";

/// Describes the viewer feed's metrics to the recorder.
pub fn describe_feed() {
    ::metrics::describe_counter!(FEED_GAP_EVENTS, "Events the log left out, read from the store");
    ::metrics::describe_counter!(FEED_RESTORED_PARTS, "Parts of rooms that the bus had lost");
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
