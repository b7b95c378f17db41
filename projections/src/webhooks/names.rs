//! What sellers call the events.

use domain::cloudevents::type_of;
use domain::envelope::Recorded;

const PREFIX: &str = "onair.";

/// Every name that an endpoint may ask for: those of the log, with the words of an order's life
/// for its reservation. What only repairs a gate is nobody's news.
pub const EVENTS: &[&str] = &[
    "broadcast.scheduled",
    "broadcast.started",
    "broadcast.ended",
    "spotlight.scheduled",
    "spotlight.opened",
    "spotlight.paused",
    "spotlight.resumed",
    "spotlight.closed",
    "spotlight.offer_changed",
    "spotlight.stock_adjusted",
    "order.accepted",
    "order.reserved",
    "order.released",
    "order.payment_requested",
    "order.payment_authorized",
    "order.payment_captured",
    "order.payment_declined",
    "order.payment_unknown",
    "order.payment_voided",
    "order.capture_failed",
    "order.confirmed",
    "order.failed",
    "order.cancelled",
    "order.refund_requested",
    "order.refunded",
];

/// The name of an event; none where it is not told.
pub fn event_name(recorded: &Recorded) -> Option<&'static str> {
    let kind = type_of(recorded);
    let versioned = kind.strip_prefix(PREFIX)?;
    let (name, _version) = versioned.rsplit_once('.')?;
    let name = match name {
        "reservation.stock_reserved" => "order.reserved",
        "reservation.released" => "order.released",
        other => other,
    };
    EVENTS.iter().find(|known| **known == name).copied()
}
