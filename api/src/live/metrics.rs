//! Metrics of the sockets.

use metrics::{counter, describe_counter, describe_gauge, gauge};

/// Open connections.
pub const CONNECTIONS: &str = "onair_live_connections";
/// Rooms that this node follows.
pub const ROOMS: &str = "onair_live_rooms";
/// Frames written.
pub const FRAMES: &str = "onair_live_frames_total";
/// Patches that went out as part of a later frame.
pub const CONFLATED: &str = "onair_live_conflated_patches_total";
/// Connections closed, by code.
pub const CLOSED: &str = "onair_live_closed_connections_total";
/// Connections closed because they read too slowly.
pub const SLOW_CLOSED: &str = "onair_live_slow_closed_connections_total";
/// Recoveries of personal streams, by outcome.
pub const RECOVERIES: &str = "onair_live_recoveries_total";
/// Rooms that were loaded again because their subscription had failed.
pub const ROOM_RELOADS: &str = "onair_live_room_reloads_total";

/// Describes the metrics to the recorder.
pub fn describe() {
    describe_gauge!(CONNECTIONS, "Open connections");
    describe_gauge!(ROOMS, "Rooms that this node follows");
    describe_counter!(FRAMES, "Frames written");
    describe_counter!(CONFLATED, "Patches that went out as part of a later frame");
    describe_counter!(CLOSED, "Connections closed by this node, by code");
    describe_counter!(SLOW_CLOSED, "Connections closed because they read too slowly");
    describe_counter!(RECOVERIES, "Recoveries of personal streams, by outcome");
    describe_counter!(ROOM_RELOADS, "Rooms loaded again after their subscription had failed");
}

pub(super) fn connected() {
    gauge!(CONNECTIONS).increment(1);
}

pub(super) fn disconnected() {
    gauge!(CONNECTIONS).decrement(1);
}

pub(super) fn room_opened() {
    gauge!(ROOMS).increment(1);
}

pub(super) fn room_closed() {
    gauge!(ROOMS).decrement(1);
}

pub(super) fn frame() {
    counter!(FRAMES).increment(1);
}

pub(super) fn conflated(patches: usize) {
    counter!(CONFLATED).increment(u64::try_from(patches).unwrap_or(u64::MAX));
}

pub(super) fn closed(close: super::codes::Close) {
    if close == super::codes::Close::Slow {
        counter!(SLOW_CLOSED).increment(1);
    }
    counter!(CLOSED, "code" => close.parts().0.to_string()).increment(1);
}

pub(super) fn recovered(yes: bool) {
    counter!(RECOVERIES, "recovered" => if yes { "true" } else { "false" }).increment(1);
}

pub(super) fn room_reloaded() {
    counter!(ROOM_RELOADS).increment(1);
}
