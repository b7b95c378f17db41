//! Metrics of this crate, each declared once with its unit and meaning.

use metrics::{Unit, describe_counter};

/// Gates found to have lost what they answered.
pub const GATE_LOST: &str = "onair_gate_losses_total";

/// Describes the stock gate's metrics to the recorder.
pub fn describe_gate() {
    describe_counter!(
        GATE_LOST,
        Unit::Count,
        "Stock gates found lost: Redis restarted, failed over or was emptied"
    );
}
