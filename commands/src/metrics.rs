//! Metrics of this crate, each declared once with its unit and meaning.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Commands that the log acknowledged.
pub const COMMANDS_APPENDED_TOTAL: &str = "onair_commands_appended_total";
/// Commands that were refused before they were queued.
pub const COMMANDS_REFUSED_TOTAL: &str = "onair_commands_refused_total";
/// Commands that were queued and not acknowledged in time.
pub const COMMANDS_UNACKNOWLEDGED_TOTAL: &str = "onair_commands_unacknowledged_total";
/// From the append to its acknowledgement.
pub const COMMAND_APPEND_SECONDS: &str = "onair_command_append_seconds";
/// 1 while the command log is known to be down.
pub const COMMAND_LOG_DOWN: &str = "onair_command_log_down";
/// Commands that the writer has not got yet, by partition.
pub const COMMAND_LAG_RECORDS: &str = "onair_command_lag_records";
/// Times that the command consumer got nothing although something was there.
pub const COMMAND_CONSUMER_STALLS_TOTAL: &str = "onair_command_consumer_stalls_total";
/// Events that the relay has not published yet.
pub const RELAY_LAG_EVENTS: &str = "onair_relay_lag_events";
/// The last position that the relay has published.
pub const RELAY_POSITION: &str = "onair_relay_position";
/// Events that the relay has published.
pub const RELAY_PUBLISHED_TOTAL: &str = "onair_relay_published_total";
/// Times that the relay started again from its checkpoint after an error.
pub const RELAY_RESTARTS_TOTAL: &str = "onair_relay_restarts_total";

/// Describes the metrics of the command log and the relay to the recorder.
pub fn describe_log() {
    let appended = "Commands that the log acknowledged";
    describe_counter!(COMMANDS_APPENDED_TOTAL, Unit::Count, appended);
    let refused = "Commands that were refused before they were queued";
    describe_counter!(COMMANDS_REFUSED_TOTAL, Unit::Count, refused);
    let unacknowledged = "Commands that were queued and not acknowledged in time";
    describe_counter!(COMMANDS_UNACKNOWLEDGED_TOTAL, Unit::Count, unacknowledged);
    let append = "From the append to its acknowledgement";
    describe_histogram!(COMMAND_APPEND_SECONDS, Unit::Seconds, append);
    describe_gauge!(COMMAND_LOG_DOWN, Unit::Count, "1 while the command log is known to be down");
    let lag = "Commands that the writer has not got yet, by partition";
    describe_gauge!(COMMAND_LAG_RECORDS, Unit::Count, lag);
    let stalls = "Times that the command consumer got nothing although something was there";
    describe_counter!(COMMAND_CONSUMER_STALLS_TOTAL, Unit::Count, stalls);
    let relay_lag = "Events that the relay has not published yet";
    describe_gauge!(RELAY_LAG_EVENTS, Unit::Count, relay_lag);
    let position = "The last position that the relay has published";
    describe_gauge!(RELAY_POSITION, Unit::Count, position);
    let published = "Events that the relay has published";
    describe_counter!(RELAY_PUBLISHED_TOTAL, Unit::Count, published);
    let restarts = "Times that the relay started again from its checkpoint after an error";
    describe_counter!(RELAY_RESTARTS_TOTAL, Unit::Count, restarts);
}
