//! The stock gate as a pure state machine, and its fold from the log.
