//! What the log says, read as an auditor reads it, and what it comes to.

use std::collections::{BTreeMap, BTreeSet};

use domain::Timestamp;
use domain::event::{Event, StreamKind};
use domain::ids::{OrderId, Sku, SpotlightId, ViewerRef};
use domain::order::OrderEvent;
use domain::reservation::ReservationEvent;
use domain::spotlight::{SpotlightEvent, UnitsBySku, WaitOutcome, units_of};
use domain::upcast;
use domain::waitlist::OFFER_ADMISSION;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::support::shop::Shop;

/// Events of one page.
const PAGE: usize = 200;

#[derive(Deserialize)]
struct Page {
    items: Vec<Line>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    position: u64,
    aggregate_type: StreamKind,
    aggregate_id: String,
    event_type: String,
    event_version: String,
    payload: Box<RawValue>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    decided_at: Timestamp,
}

/// The money and the end of an order.
#[derive(Debug, Default, Clone)]
pub struct Order {
    pub spotlight: Option<SpotlightId>,
    /// Made to somebody who waited.
    pub offer: bool,
    /// How it ended; once, when it is over.
    pub ends: Vec<String>,
    pub total: i64,
    pub captured: i64,
    pub refund_asked: i64,
    pub refunded: i64,
}

impl Order {
    pub const fn kept(&self) -> i64 {
        self.captured - self.refunded
    }
}

/// A reservation that ran until now, or has ended.
#[derive(Debug, Clone)]
pub struct Hold {
    pub deadline: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// All that was read so far.
#[derive(Default)]
pub struct Ledger {
    after: u64,
    pub events: u64,
    pub types: BTreeMap<String, u64>,
    pub orders: BTreeMap<OrderId, Order>,
    pub holds: BTreeMap<String, Hold>,
    pub sold: BTreeMap<(SpotlightId, Sku), i64>,
    lines: BTreeMap<SpotlightId, Vec<(ViewerRef, UnitsBySku)>>,
    /// Offers that passed somebody by.
    pub passed: Vec<String>,
    pub offers: u64,
}

impl Ledger {
    /// Reads on, to the head of the log.
    pub async fn read_on(&mut self, shop: &Shop, base: &str) {
        let token = shop.token("auditor", "ada");
        let mut path = format!("/v1/audit/events?limit={PAGE}&after={}", self.after);
        loop {
            let url = format!("{base}{path}");
            let answer = shop.call(reqwest::Method::GET, &url, &token, None, None).await;
            let body = answer.expect("answers").expect(200).body;
            let page: Page = serde_json::from_value(body).expect("a page");
            for line in page.items {
                self.take(&line);
            }
            let Some(cursor) = page.next_cursor else { return };
            path = format!("/v1/audit/events?limit={PAGE}&cursor={cursor}");
        }
    }

    fn take(&mut self, line: &Line) {
        assert!(line.position > self.after, "read twice");
        self.after = line.position;
        self.events += 1;
        *self.types.entry(line.event_type.clone()).or_default() += 1;
        let Line { aggregate_type, event_type, event_version, payload, .. } = line;
        let event = upcast::decode(*aggregate_type, event_type, event_version, payload.get());
        let at = line.metadata.decided_at;
        match event.expect("a known event") {
            Event::Order(event) => self.take_order(&event),
            Event::Reservation(event) => self.take_reservation(&line.aggregate_id, &event, at),
            Event::Spotlight(event) => self.take_spotlight(event),
            Event::Broadcast(_) => {}
        }
    }

    fn take_order(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::OrderAccepted { accepted } => {
                let order = self.orders.entry(accepted.order_id).or_default();
                assert!(order.spotlight.is_none(), "accepted twice: {}", accepted.order_id);
                order.spotlight = Some(accepted.spotlight_id);
                order.offer = accepted.admission.number == OFFER_ADMISSION;
                order.total = accepted.total.minor;
            }
            OrderEvent::PaymentCaptured { order_id, amount, .. } => {
                self.orders.entry(*order_id).or_default().captured += amount.minor;
            }
            OrderEvent::RefundRequested { order_id, amount, .. } => {
                self.orders.entry(*order_id).or_default().refund_asked += amount.minor;
            }
            OrderEvent::OrderRefunded { order_id, amount, .. } => {
                self.orders.entry(*order_id).or_default().refunded += amount.minor;
            }
            OrderEvent::OrderConfirmed { order_id } => self.end(order_id, "confirmed"),
            OrderEvent::OrderFailed { order_id, reason } => {
                self.end(order_id, &format!("failed {reason}"));
            }
            OrderEvent::OrderCancelled { order_id, reason, .. } => {
                self.end(order_id, &format!("cancelled {reason}"));
            }
            _ => {}
        }
    }

    fn end(&mut self, order: &OrderId, how: &str) {
        self.orders.entry(*order).or_default().ends.push(how.to_owned());
    }

    fn take_reservation(&mut self, stream: &str, event: &ReservationEvent, at: Timestamp) {
        match event {
            ReservationEvent::StockReserved { deadline, .. } => {
                let hold = Hold { deadline: *deadline, ended_at: None };
                assert!(self.holds.insert(stream.to_owned(), hold).is_none(), "held twice");
            }
            ReservationEvent::ReservationConfirmed { .. }
            | ReservationEvent::ReservationReleased { .. } => {
                let hold = self.holds.get_mut(stream).expect("it was held");
                assert!(hold.ended_at.replace(at).is_none(), "ended twice: {stream}");
            }
        }
        if let ReservationEvent::ReservationConfirmed { spotlight_id, lines, .. } = event {
            for line in lines {
                let sold = self.sold.entry((*spotlight_id, line.sku.clone())).or_default();
                *sold += i64::from(line.quantity.get());
            }
        }
    }

    /// The line of a spotlight, first come first served: nobody is made an offer of a SKU that
    /// somebody waits for who came before.
    fn take_spotlight(&mut self, event: SpotlightEvent) {
        match event {
            SpotlightEvent::WaitlistJoined { spotlight_id, wait, .. } => {
                let line = self.lines.entry(spotlight_id).or_default();
                line.push((wait.viewer_ref, units_of(&wait.lines)));
            }
            SpotlightEvent::WaitlistOffered {
                spotlight_id, viewer_ref, order_id, lines, ..
            } => {
                self.offers += 1;
                let wanted: BTreeSet<Sku> = units_of(&lines).into_keys().collect();
                let line = self.lines.entry(spotlight_id).or_default();
                let place = line.iter().position(|(viewer, _)| *viewer == viewer_ref);
                let place = place.expect("who is made an offer has waited");
                if line[..place].iter().any(|(_, units)| units.keys().any(|it| wanted.contains(it)))
                {
                    self.passed.push(format!("{order_id} to {viewer_ref} at {place}"));
                }
                line.remove(place);
            }
            SpotlightEvent::WaitlistEnded { spotlight_id, viewer_ref, order_id: None, outcome } => {
                assert!(
                    matches!(outcome, WaitOutcome::Ended | WaitOutcome::Declined),
                    "{outcome:?}"
                );
                let line = self.lines.entry(spotlight_id).or_default();
                line.retain(|(viewer, _)| *viewer != viewer_ref);
            }
            _ => {}
        }
    }

    /// What is not over yet, in a few words.
    pub fn open(&self) -> Option<String> {
        let order = self
            .orders
            .iter()
            .find(|(_, order)| order.ends.is_empty() || order.refund_asked != order.refunded);
        let hold = self.holds.iter().find(|(_, hold)| hold.ended_at.is_none());
        let line = self.lines.iter().find(|(_, line)| !line.is_empty());
        order
            .map(|(id, order)| format!("order {id}: {order:?}"))
            .or_else(|| hold.map(|(stream, hold)| format!("hold {stream}: {hold:?}")))
            .or_else(|| line.map(|(id, line)| format!("the line of {id}: {line:?}")))
    }
}
