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

/// Blocks that the sealer has sealed.
pub const SEALS_TOTAL: &str = "onair_seals_total";
/// Events that no seal covers yet.
pub const UNSEALED_EVENTS: &str = "onair_unsealed_events";
/// Times that the sealer could not seal, or tell a witness, and tried again.
pub const SEALER_RESTARTS_TOTAL: &str = "onair_sealer_restarts_total";

/// Describes the metrics of the sealer to the recorder.
pub fn describe_sealer() {
    describe_counter!(SEALS_TOTAL, Unit::Count, "Blocks that the sealer has sealed");
    describe_gauge!(UNSEALED_EVENTS, Unit::Count, "Events that no seal covers yet");
    let restarts = "Times that the sealer could not seal, or tell a witness, and tried again";
    describe_counter!(SEALER_RESTARTS_TOTAL, Unit::Count, restarts);
}

/// Commands of one batch of the writer.
pub const WRITER_BATCH_COMMANDS: &str = "onair_writer_batch_commands";
/// Commands that the writer decided.
pub const WRITER_COMMANDS_TOTAL: &str = "onair_writer_commands_total";
/// Time to load, decide and check one batch.
pub const WRITER_DECIDE_SECONDS: &str = "onair_writer_decide_seconds";
/// Time to commit one batch.
pub const WRITER_APPEND_SECONDS: &str = "onair_writer_append_seconds";
/// Time between the issue of the last decided command and its decision.
pub const WRITER_LAG_SECONDS: &str = "onair_writer_lag_seconds";
/// Batches that were fenced.
pub const WRITER_FENCED_TOTAL: &str = "onair_writer_fenced_total";
/// Attempts to load or commit a batch that failed and were tried again.
pub const WRITER_RETRIES_TOTAL: &str = "onair_writer_retries_total";
/// Commands that were repeats.
pub const WRITER_REPEATS_TOTAL: &str = "onair_writer_repeats_total";
/// Commands that were put aside.
pub const COMMANDS_PARKED_TOTAL: &str = "onair_commands_parked_total";
/// Accepted orders that failed for stock or for the viewer's limit.
pub const ORDERS_FAILED_FOR_STOCK_TOTAL: &str = "onair_orders_failed_for_stock_total";
/// How long after its deadline the end of a hold was decided.
pub const HOLD_LATE_SECONDS: &str = "onair_hold_late_seconds";
/// Orders asked of the intake, by outcome.
pub const INTAKE_ORDERS_TOTAL: &str = "onair_intake_orders_total";
/// Orders refused from the node's own sold-out verdict.
pub const INTAKE_CACHED_REFUSALS_TOTAL: &str = "onair_intake_cached_refusals_total";
/// Refusals, or records of them, that were not written down as unmet demand.
pub const INTAKE_DEMAND_LOST_TOTAL: &str = "onair_intake_demand_lost_total";
/// Orders of one signed batch of receipts.
pub const RECEIPTS_BATCH_ORDERS: &str = "onair_receipts_batch_orders";
/// Commands that the process role proposed, by purpose.
pub const PROCESS_PROPOSALS_TOTAL: &str = "onair_process_proposals_total";
/// Calls to payment providers, by operation.
pub const PAYMENT_CALLS_TOTAL: &str = "onair_payment_calls_total";
/// Tries of calls to a provider, by provider, operation and outcome.
pub const PAYMENT_ATTEMPTS_TOTAL: &str = "onair_payment_attempts_total";
/// Time of one try of a call to a provider.
pub const PAYMENT_CALL_SECONDS: &str = "onair_payment_call_seconds";
/// Calls to a provider that run.
pub const PAYMENT_CALLS_RUNNING: &str = "onair_payment_calls_running";
/// 1 while a provider is left alone, because it did not answer.
pub const PAYMENT_PROVIDER_DOWN: &str = "onair_payment_provider_down";
/// Steps of the process role that failed and are tried again.
pub const PROCESS_ERRORS_TOTAL: &str = "onair_process_errors_total";
/// Payments that the process role has in hand.
pub const PAYMENTS_OPEN_ORDERS: &str = "onair_payments_open_orders";

/// Describes the metrics of intake, writer and process to the recorder.
pub fn describe_core() {
    describe_histogram!(WRITER_BATCH_COMMANDS, Unit::Count, "Commands of one batch");
    describe_counter!(WRITER_COMMANDS_TOTAL, Unit::Count, "Commands decided");
    describe_histogram!(WRITER_DECIDE_SECONDS, Unit::Seconds, "Load, decide and check a batch");
    describe_histogram!(WRITER_APPEND_SECONDS, Unit::Seconds, "Commit a batch");
    describe_gauge!(
        WRITER_LAG_SECONDS,
        Unit::Seconds,
        "From the issue of a command to its decision"
    );
    describe_counter!(WRITER_FENCED_TOTAL, Unit::Count, "Batches fenced by another writer");
    describe_counter!(WRITER_RETRIES_TOTAL, Unit::Count, "Loads and commits tried again");
    describe_counter!(WRITER_REPEATS_TOTAL, Unit::Count, "Commands that were repeats");
    describe_counter!(COMMANDS_PARKED_TOTAL, Unit::Count, "Commands put aside");
    let late = "From the deadline of a hold to the decision that ends it";
    describe_histogram!(HOLD_LATE_SECONDS, Unit::Seconds, late);
    describe_counter!(
        ORDERS_FAILED_FOR_STOCK_TOTAL,
        Unit::Count,
        "Accepted orders that failed for stock or the viewer's limit; 0 unless Redis lost data"
    );
    describe_counter!(INTAKE_ORDERS_TOTAL, Unit::Count, "Orders asked for, by outcome");
    describe_counter!(
        INTAKE_CACHED_REFUSALS_TOTAL,
        Unit::Count,
        "Sold out, said by the node itself"
    );
    let lost = "Refusals, or records of them, that were not written down as unmet demand";
    describe_counter!(INTAKE_DEMAND_LOST_TOTAL, Unit::Count, lost);
    describe_histogram!(RECEIPTS_BATCH_ORDERS, Unit::Count, "Orders signed together");
    describe_counter!(PROCESS_PROPOSALS_TOTAL, Unit::Count, "Commands proposed, by purpose");
    describe_counter!(PAYMENT_CALLS_TOTAL, Unit::Count, "Calls to providers, by operation");
    let tries = "Tries of calls to a provider, by outcome";
    describe_counter!(PAYMENT_ATTEMPTS_TOTAL, Unit::Count, tries);
    describe_histogram!(PAYMENT_CALL_SECONDS, Unit::Seconds, "One try of a call to a provider");
    describe_gauge!(PAYMENT_CALLS_RUNNING, Unit::Count, "Calls to a provider that run");
    describe_gauge!(PAYMENT_PROVIDER_DOWN, Unit::Count, "1 while a provider is left alone");
    describe_counter!(PROCESS_ERRORS_TOTAL, Unit::Count, "Steps that failed and are tried again");
    describe_gauge!(PAYMENTS_OPEN_ORDERS, Unit::Count, "Payments in hand");
}

/// Time of one append of the event store, from the start of its transaction to the answer.
pub const STORE_APPEND_SECONDS: &str = "onair_store_append_seconds";
/// Appends of the event store by `result`: committed, fenced, conflict, unavailable, ambiguous.
pub const STORE_APPENDS_TOTAL: &str = "onair_store_appends_total";
/// Events that the event store has taken.
pub const STORE_EVENTS_TOTAL: &str = "onair_store_events_total";

/// Describes the metrics of the event store to the recorder.
pub fn describe_store() {
    describe_histogram!(
        STORE_APPEND_SECONDS,
        Unit::Seconds,
        "One append, as its connection saw it"
    );
    describe_counter!(STORE_APPENDS_TOTAL, Unit::Count, "Appends of the event store, by result");
    describe_counter!(STORE_EVENTS_TOTAL, Unit::Count, "Events that the event store has taken");
}
