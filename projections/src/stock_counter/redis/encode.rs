//! Events, lines and orders as the scripts read them: fields joined by 31, lines by 30. No name of
//! the domain holds a control character, and JSON escapes them.

use chrono::DateTime;
use domain::Timestamp;
use domain::envelope::Recorded;
use domain::event::Event;
use domain::ids::{BroadcastId, SellerId, Sku, ViewerRef};
use domain::line::{Line, Lines};
use domain::order::{Accepted, OrderEvent};
use domain::ports::{EntryState, PortError, SnapshotOrder};
use domain::reservation::ReservationEvent;
use domain::spotlight::{SpotlightEvent, SpotlightTerms};

use super::reply::corrupt;

const FIELD: &str = "\u{1f}";
const LINE: char = '\u{1e}';

pub(super) fn time(at: Timestamp) -> String {
    at.timestamp_micros().to_string()
}

pub(super) fn optional_time(at: Option<Timestamp>) -> String {
    at.as_ref().map(DateTime::timestamp_micros).map_or_else(String::new, |at| at.to_string())
}

fn push_line(text: &mut String, sku: &Sku, units: impl std::fmt::Display) {
    use std::fmt::Write;
    // writing into a String cannot fail
    let _ = write!(text, "{sku}{LINE}{units}{LINE}");
}

pub(super) fn units_by_sku<'a, N: std::fmt::Display>(
    units: impl IntoIterator<Item = (&'a Sku, N)>,
) -> String {
    let mut text = String::with_capacity(64);
    for (sku, units) in units {
        push_line(&mut text, sku, units);
    }
    text
}

pub(super) fn units_by_viewer<'a>(
    units: impl IntoIterator<Item = (&'a ViewerRef, &'a u32)>,
) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for (viewer, units) in units {
        // writing into a String cannot fail
        let _ = write!(text, "{viewer}{LINE}{units}{LINE}");
    }
    text
}

pub(super) fn lines(lines: &Lines) -> String {
    units_by_sku(lines.iter().map(|Line { sku, quantity }| (sku, quantity.get())))
}

/// An offer in JSON, in the two parts that stay the same when its price list changes.
pub(super) fn around(
    broadcast: BroadcastId,
    seller: &SellerId,
    hold_seconds: u32,
) -> Result<(String, String), PortError> {
    let (broadcast, seller) = (json(&broadcast)?, json(seller)?);
    let before = format!(r#"{{"broadcast":{broadcast},"seller":{seller},"offer":"#);
    Ok((before, format!(r#","hold_seconds":{hold_seconds}}}"#)))
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String, PortError> {
    serde_json::to_string(value).map_err(corrupt)
}

/// One event; one that the gate ignores keeps its place in the chain.
pub(super) fn event(recorded: &Recorded) -> Result<Vec<u8>, PortError> {
    let mut fields = match &recorded.event {
        Event::Spotlight(event) => spotlight(event, recorded)?,
        Event::Reservation(event) => reservation(event, recorded),
        Event::Order(OrderEvent::OrderAccepted { accepted }) => accepted_fields(accepted),
        Event::Order(OrderEvent::RefundRequested { order_id, returned: Some(back), .. }) => vec![
            "u".to_owned(),
            order_id.to_string(),
            back.viewer_ref.to_string(),
            back.lines.units().to_string(),
        ],
        Event::Order(_) | Event::Broadcast(_) => vec!["-".to_owned()],
    };
    fields.insert(1, recorded.position.to_string());
    fields.insert(2, recorded.prev.to_string());
    Ok(fields.join(FIELD).into_bytes())
}

fn spotlight(event: &SpotlightEvent, recorded: &Recorded) -> Result<Vec<String>, PortError> {
    let command = || recorded.metadata.command_id.to_string();
    Ok(match event {
        SpotlightEvent::SpotlightScheduled { terms } => scheduled(terms)?,
        SpotlightEvent::SpotlightOpened { .. } | SpotlightEvent::SpotlightResumed { .. } => {
            vec!["O".to_owned()]
        }
        SpotlightEvent::SpotlightPaused { .. } => vec!["P".to_owned(), command()],
        SpotlightEvent::SpotlightClosed { .. } => vec!["C".to_owned(), command()],
        SpotlightEvent::OfferChanged { offer, .. } => {
            vec!["V".to_owned(), command(), offer.version.to_string(), json(offer)?]
        }
        SpotlightEvent::StockAdjusted { sku, delta, gate_entry, kept, .. } => {
            let entry = gate_entry.map_or_else(String::new, |entry| entry.to_string());
            vec!["J".to_owned(), sku.to_string(), delta.to_string(), entry, units_by_sku(kept)]
        }
        SpotlightEvent::OfferWithdrawn { .. }
        | SpotlightEvent::WithdrawalProgressed { .. }
        | SpotlightEvent::DemandObserved { .. }
        | SpotlightEvent::UnitsCarried { .. }
        | SpotlightEvent::HoldAbandoned { .. }
        | SpotlightEvent::WaitlistEnded { order_id: Some(_), .. } => vec!["-".to_owned()],
        SpotlightEvent::UnitsFreed { units, .. } => vec!["F".to_owned(), units_by_sku(units)],
        SpotlightEvent::WaitlistJoined { entry, wait, .. } => vec![
            "W".to_owned(),
            entry.to_string(),
            wait.viewer_ref.to_string(),
            wait.lines.units().to_string(),
        ],
        SpotlightEvent::WaitlistOffered { viewer_ref, .. }
        | SpotlightEvent::WaitlistEnded { viewer_ref, .. } => {
            vec!["w".to_owned(), viewer_ref.to_string()]
        }
        SpotlightEvent::GateReopened { epoch, .. } => vec!["G".to_owned(), epoch.to_string()],
        SpotlightEvent::AdmissionVoided { entry, epoch, admission_no, kept, .. } => vec![
            "A".to_owned(),
            entry.to_string(),
            epoch.to_string(),
            admission_no.to_string(),
            units_by_sku(kept),
        ],
    })
}

fn scheduled(terms: &SpotlightTerms) -> Result<Vec<String>, PortError> {
    let (before, after) = around(terms.broadcast_id, &terms.seller, terms.hold_seconds)?;
    Ok(vec![
        "S".to_owned(),
        optional_time(terms.opens_at),
        optional_time(terms.closes_at),
        terms.per_viewer_limit.map_or_else(String::new, |limit| limit.to_string()),
        terms.seller.to_string(),
        terms.offer.version.to_string(),
        units_by_sku(terms.skus.iter().map(|sku| (&sku.sku, sku.limited_quantity))),
        before,
        json(&terms.offer)?,
        after,
    ])
}

fn accepted_fields(accepted: &Accepted) -> Vec<String> {
    let admission = &accepted.admission;
    vec![
        "a".to_owned(),
        accepted.order_id.to_string(),
        admission.epoch.to_string(),
        admission.number.to_string(),
        time(admission.at),
        admission.offer_version.to_string(),
        accepted.body_fingerprint.to_string(),
        accepted.viewer_ref.to_string(),
        units_by_sku(accepted.lines.iter().map(|line| (&line.sku, line.quantity.get()))),
    ]
}

fn reservation(event: &ReservationEvent, recorded: &Recorded) -> Vec<String> {
    let order = event.order_id().to_string();
    match event {
        ReservationEvent::StockReserved { epoch, admission_no, deadline, .. } => vec![
            "R".to_owned(),
            order,
            epoch.to_string(),
            admission_no.to_string(),
            time(recorded.metadata.decided_at),
            event.viewer_ref().to_string(),
            lines(event.lines()),
            time(*deadline),
        ],
        ReservationEvent::ReservationConfirmed { .. } => vec!["c".to_owned(), order],
        ReservationEvent::ReservationReleased { kept, .. } => {
            vec!["r".to_owned(), order, units_by_sku(kept)]
        }
    }
}

/// An order of a snapshot as its entry.
pub(super) fn entry(order: &SnapshotOrder) -> Vec<u8> {
    let held = order.state == EntryState::Held;
    let deadline =
        if held { time(order.deadline.unwrap_or(order.admission.at)) } else { String::new() };
    let state = match order.state {
        EntryState::Held => "H",
        EntryState::Sold => "S",
        EntryState::Ended | EntryState::Pending => "E",
    };
    [
        state,
        "o",
        &order.admission.epoch.to_string(),
        &order.admission.number.to_string(),
        &time(order.admission.at),
        &order.admission.offer_version.to_string(),
        "0",
        &deadline,
        order.fingerprint.as_str(),
        order.viewer.as_str(),
        &lines(&order.lines),
    ]
    .join(FIELD)
    .into_bytes()
}
