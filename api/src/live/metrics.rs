//! Metrics of the sockets.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Open connections.
pub const CONNECTIONS: &str = "onair_live_connections";
/// Connections that were refused before the upgrade, by reason.
pub const REFUSED: &str = "onair_live_refused_connections_total";
/// Rooms that this node follows.
pub const ROOMS: &str = "onair_live_rooms";
/// Frames written.
pub const FRAMES: &str = "onair_live_frames_total";
/// Time to write a change to all watchers of one shard.
pub const SWEEP: &str = "onair_live_sweep_seconds";
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

/// Chat messages that were taken.
pub const CHAT_MESSAGES: &str = "onair_live_chat_messages_total";
/// Chat messages that a viewer was not shown, for each viewer.
pub const CHAT_SKIPPED: &str = "onair_live_chat_skipped_messages_total";
/// Chat messages that could not be kept.
pub const CHAT_LOG_LOST: &str = "onair_live_chat_log_lost_messages_total";
/// Likes that were told.
pub const LIKES: &str = "onair_live_likes_total";
/// Calls that were refused, by code.
pub const CALLS_REFUSED: &str = "onair_live_refused_calls_total";

/// Describes the metrics to the recorder.
pub fn describe() {
    describe_gauge!(CONNECTIONS, "Open connections");
    describe_counter!(REFUSED, "Connections refused before the upgrade, by reason");
    describe_gauge!(ROOMS, "Rooms that this node follows");
    describe_counter!(FRAMES, "Frames written");
    describe_histogram!(SWEEP, "Time to write a change to all watchers of one shard");
    describe_counter!(CONFLATED, "Patches that went out as part of a later frame");
    describe_counter!(CLOSED, "Connections closed by this node, by code");
    describe_counter!(SLOW_CLOSED, "Connections closed because they read too slowly");
    describe_counter!(RECOVERIES, "Recoveries of personal streams, by outcome");
    describe_counter!(CHAT_MESSAGES, "Chat messages taken");
    describe_counter!(CHAT_SKIPPED, "Chat messages that a viewer was not shown, for each viewer");
    describe_counter!(CHAT_LOG_LOST, "Chat messages that could not be kept; alarm on any");
    describe_counter!(LIKES, "Likes told");
    describe_counter!(CALLS_REFUSED, "Calls refused, by code");
    describe_counter!(ROOM_RELOADS, "Rooms loaded again after their subscription had failed");
}

pub(super) fn connected() {
    gauge!(CONNECTIONS).increment(1);
}

pub(super) fn disconnected() {
    gauge!(CONNECTIONS).decrement(1);
}

pub(super) fn refused(reason: &'static str) {
    counter!(REFUSED, "reason" => reason).increment(1);
}

pub(super) fn room_opened() {
    gauge!(ROOMS).increment(1);
}

pub(super) fn room_closed() {
    gauge!(ROOMS).decrement(1);
}

pub(super) fn frames(count: u64) {
    counter!(FRAMES).increment(count);
}

pub(super) fn swept(took: Duration, written: u64) {
    histogram!(SWEEP).record(took.as_secs_f64());
    frames(written);
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

pub(super) fn chat_message() {
    counter!(CHAT_MESSAGES).increment(1);
}

pub(super) fn chat_skipped(messages: u64) {
    counter!(CHAT_SKIPPED).increment(messages);
}

pub(super) fn likes(count: u64) {
    counter!(LIKES).increment(count);
}

pub(super) fn call_refused(code: &'static str) {
    counter!(CALLS_REFUSED, "code" => code).increment(1);
}

pub(super) fn chat_log_lost(messages: u64) {
    counter!(CHAT_LOG_LOST).increment(messages);
}
