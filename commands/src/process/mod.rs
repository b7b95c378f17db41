//! What acts on events by sending commands: payment, hold expiry, schedules, re-drive.
