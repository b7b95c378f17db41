//! One order on one page: every hop with the time since the one before.

use std::fmt::Write;

use domain::Timestamp;
use domain::envelope::{Position, Recorded, Source};
use domain::event::Event;
use domain::ids::{EventId, OrderId, SpotlightId};
use domain::order::OrderEvent;
use domain::ports::EventReader;
use domain::reservation::ReservationEvent;
use domain::views::OrderStatus;
use serde::Serialize;

use super::order_log::{AskError, accepted_in, events_of};
use crate::order_book::fold;

/// What the log does not hold, so that nobody looks for it here.
const NOT_IN_THE_LOG: [&str; 3] = [
    "when a push reached the viewer's socket",
    "the offset of an event on onair.events.v1: the relay derives it from the position",
    "the provider's own reference of a call: ask the provider by order and attempt",
];

/// A step of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// When.
    pub at: Timestamp,
    /// Microseconds since the hop before; negative where two clocks disagree.
    pub after_us: i64,
    /// Which: `received`, `admitted`, or the event's type.
    pub hop: String,
    /// In words.
    pub detail: String,
    /// The event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The event's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// When the store took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Timestamp>,
    /// The command that led to it, as the command log holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Source>,
    /// What the stock gate makes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<&'static str>,
    /// What the payment provider is asked, or answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The version of the order that the viewer is pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_version: Option<u64>,
}

/// An order on one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Which order.
    pub order_id: OrderId,
    /// In which spotlight.
    pub spotlight_id: SpotlightId,
    /// Where it stands.
    pub status: OrderStatus,
    /// Microseconds from the request to the last event.
    pub took_us: i64,
    /// Step by step.
    pub hops: Vec<Hop>,
    /// What cannot be told from the log.
    pub not_in_the_log: [&'static str; 3],
}

/// The timeline of an order.
///
/// # Errors
/// [`AskError`].
pub async fn timeline(reader: &dyn EventReader, order: OrderId) -> Result<Timeline, AskError> {
    let events = events_of(reader, order).await?;
    let accepted = accepted_in(&events, order)?;
    let mut hops = vec![
        plain(
            accepted.received_at,
            "received",
            format!("the request reached node {}", accepted.node),
        ),
        Hop {
            gate: Some("the units are taken, pending"),
            ..plain(
                accepted.admission.at,
                "admitted",
                format!(
                    "the gate says yes: admission {} of epoch {}, offer version {}",
                    accepted.admission.number,
                    accepted.admission.epoch,
                    accepted.admission.offer_version
                ),
            )
        },
    ];
    let mut view = None;
    for event in &events {
        view = fold(view, event);
        hops.push(hop_of(event, view.as_ref().map(|view| view.version)));
    }
    let mut before = accepted.received_at;
    for hop in &mut hops {
        hop.after_us = micros(before, hop.at);
        before = hop.at;
    }
    Ok(Timeline {
        order_id: order,
        spotlight_id: accepted.spotlight_id,
        status: view.map(|view| view.status).unwrap_or_default(),
        took_us: micros(accepted.received_at, before),
        hops,
        not_in_the_log: NOT_IN_THE_LOG,
    })
}

fn micros(from: Timestamp, to: Timestamp) -> i64 {
    (to - from).num_microseconds().unwrap_or(i64::MAX)
}

fn plain(at: Timestamp, hop: &str, detail: String) -> Hop {
    Hop {
        at,
        after_us: 0,
        hop: hop.to_owned(),
        detail,
        position: None,
        event_id: None,
        recorded_at: None,
        command: None,
        gate: None,
        provider: None,
        push_version: None,
    }
}

fn hop_of(event: &Recorded, version: Option<u64>) -> Hop {
    Hop {
        position: Some(event.position),
        event_id: Some(event.event_id),
        recorded_at: Some(event.recorded_at),
        command: Some(event.metadata.source.clone()),
        gate: gate_of(&event.event),
        provider: provider_of(&event.event),
        push_version: version,
        ..plain(event.metadata.decided_at, &event.event.event_type(), said(&event.event))
    }
}

fn gate_of(event: &Event) -> Option<&'static str> {
    let Event::Reservation(event) = event else { return None };
    Some(match event {
        ReservationEvent::StockReserved { .. } => "the pending units become a hold",
        ReservationEvent::ReservationConfirmed { .. } => "the hold becomes a sale",
        ReservationEvent::ReservationReleased { .. } => "the hold gives its units back",
    })
}

fn provider_of(event: &Event) -> Option<String> {
    let Event::Order(event) = event else { return None };
    Some(match event {
        OrderEvent::PaymentRequested { provider, attempt, .. } => {
            format!("{provider} is asked to authorise attempt {attempt}")
        }
        OrderEvent::PaymentAuthorized { attempt, .. } => {
            format!("authorised attempt {attempt}; the capture is asked for")
        }
        OrderEvent::PaymentCaptured { attempt, .. } => format!("captured attempt {attempt}"),
        OrderEvent::PaymentDeclined { attempt, code, .. } => {
            format!("declined attempt {attempt}: {code}")
        }
        OrderEvent::PaymentActionRequired { attempt, .. } => {
            format!("waits for the buyer to act on attempt {attempt}")
        }
        OrderEvent::PaymentUnknown { attempt, .. } => {
            format!("the answer to attempt {attempt} was lost; it is queried")
        }
        OrderEvent::CaptureFailed { attempt, code, .. } => {
            format!("could not capture attempt {attempt}: {code}")
        }
        OrderEvent::PaymentVoided { attempt, .. } => format!("gave attempt {attempt} back"),
        OrderEvent::RefundRequested { attempt, .. } => format!("is asked for refund {attempt}"),
        OrderEvent::OrderRefunded { attempt, .. } => format!("paid refund {attempt} back"),
        _ => return None,
    })
}

fn said(event: &Event) -> String {
    match event {
        Event::Order(OrderEvent::OrderAccepted { accepted }) => {
            let units: u32 = accepted.lines.iter().map(|line| line.quantity.get()).sum();
            let total = accepted.total;
            format!("{} for {} {}", units_in_words(units), total.minor, total.currency.code())
        }
        Event::Order(
            OrderEvent::OrderFailed { reason, .. } | OrderEvent::OrderCancelled { reason, .. },
        ) => reason.as_str().to_owned(),
        Event::Order(OrderEvent::RefundRequested { reason, amount, .. }) => {
            format!("{} {}: {}", amount.minor, amount.currency.code(), reason.as_str())
        }
        Event::Reservation(ReservationEvent::StockReserved { deadline, .. }) => {
            format!("held until {}", clock(*deadline))
        }
        _ => String::new(),
    }
}

/// A number of units.
pub(super) fn units_in_words(units: u32) -> String {
    if units == 1 { "1 unit".to_owned() } else { format!("{units} units") }
}

/// A time as people read it.
pub(super) fn clock(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// A time difference in seconds, with its sign.
pub(super) fn seconds(micros: i64) -> String {
    let sign = if micros < 0 { '-' } else { '+' };
    let micros = micros.unsigned_abs();
    format!("{sign}{}.{:03} s", micros / 1_000_000, micros / 1_000 % 1_000)
}

/// The timeline as lines of text.
pub fn render_timeline(timeline: &Timeline) -> String {
    let mut text = String::new();
    // writing to a String cannot fail
    let _ = writeln!(
        text,
        "order {} in spotlight {}: {}, {} in all",
        timeline.order_id,
        timeline.spotlight_id,
        timeline.status.as_str(),
        seconds(timeline.took_us)
    );
    for hop in &timeline.hops {
        let at = hop.position.map(|at| format!("at {at}")).unwrap_or_default();
        let (time, after) = (clock(hop.at), seconds(hop.after_us));
        let line = format!("{time}  {after:>12}  {at:<8} {:<22} {}", hop.hop, hop.detail);
        let _ = writeln!(text, "{}", line.trim_end());
        let mut more = |what: &str, detail: &str| {
            let _ = writeln!(text, "{:>48} {what:<9} {detail}", "");
        };
        if let Some(source) = &hop.command {
            let Source { topic, partition, offset } = source;
            more("command", &format!("{topic} partition {partition} offset {offset}"));
        }
        if let Some(gate) = hop.gate {
            more("gate", gate);
        }
        if let Some(provider) = &hop.provider {
            more("provider", provider);
        }
        if let Some(version) = hop.push_version {
            more("push", &format!("user# gets version {version}"));
        }
    }
    for missing in timeline.not_in_the_log {
        let _ = writeln!(text, "not in the log: {missing}");
    }
    text
}
