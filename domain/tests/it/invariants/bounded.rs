//! Memory does not grow with the length of the log.

use domain::envelope::{Position, Recorded};
use domain::event::{Event, StreamId};
use domain::ids::StreamKey;
use domain::invariants::{Finding, Invariants, LogEnd};
use domain::order::{Accepted, OrderEvent};
use domain::spotlight::SpotlightEvent;
use uuid::Uuid;

use super::show;
use crate::support::{Log, refund_requested};
use domain::order::OrderReason;

const GRACE: u64 = 100;

/// The show again and again, each in a spotlight of its own.
fn shows(number: u64) -> Vec<Recorded> {
    let one = Log::of(show());
    (0..number)
        .flat_map(|index| one.events.iter().map(move |event| shifted(event, index)))
        .collect()
}

fn shifted(event: &Recorded, index: u64) -> Recorded {
    let length = u64::try_from(Log::of(show()).events.len()).unwrap();
    let shift = |id: Uuid| Uuid::from_u128(id.as_u128() + (u128::from(index) << 64));
    let mut event = event.clone();
    event.position = Position(event.position.0 + index * length);
    if event.prev != Position::START {
        event.prev = Position(event.prev.0 + index * length);
    }
    event.key = StreamKey(shift(event.key.0));
    event.metadata.source.offset += i64::try_from(index * length).unwrap();
    match &mut event.event {
        Event::Order(OrderEvent::OrderAccepted { accepted }) => {
            let Accepted { order_id, spotlight_id, .. } = &mut **accepted;
            (order_id.0, spotlight_id.0) = (shift(order_id.0), shift(spotlight_id.0));
        }
        Event::Spotlight(SpotlightEvent::SpotlightScheduled { terms }) => {
            terms.spotlight_id.0 = shift(terms.spotlight_id.0);
        }
        other => {
            // every other event names its ids in fields of these names
            let kind = event.stream.kind;
            let mut json: serde_json::Value =
                serde_json::from_str(&other.to_payload().unwrap()).unwrap();
            for fields in json.as_object_mut().unwrap().values_mut() {
                for name in ["order_id", "spotlight_id"] {
                    if let Some(id) = fields.get_mut(name) {
                        let parsed = Uuid::parse_str(id.as_str().unwrap()).unwrap();
                        *id = serde_json::json!(shift(parsed));
                    }
                }
            }
            *other = Event::from_payload(kind, &json.to_string()).unwrap();
        }
    }
    event.stream = match &event.event {
        Event::Broadcast(_) => event.stream,
        Event::Spotlight(fact) => StreamId::spotlight(fact.spotlight_id()),
        Event::Reservation(fact) => StreamId::reservation(fact.order_id()),
        Event::Order(fact) => StreamId::order(fact.order_id()),
    };
    event
}

fn drive(events: &[Recorded]) -> (Invariants, Vec<Finding>, usize) {
    let mut invariants = Invariants::with_grace(Position::START, GRACE);
    let mut most = 0;
    let mut found = Vec::new();
    for event in events {
        found.extend(invariants.check(event));
        most = most.max(invariants.open_keys());
    }
    (invariants, found, most)
}

#[test]
fn closed_spotlights_are_forgotten() {
    let (mut invariants, found, most) = drive(&shows(200));
    assert_eq!(found, vec![]);
    assert_eq!(invariants.finish(&LogEnd { settled: true }), vec![]);
    assert!(most <= 6, "{most} spotlights were kept");
    for (id, checked) in invariants.counts() {
        assert!(checked >= 200, "{id} judged {checked} events");
    }
}

#[test]
fn an_open_spotlight_is_never_forgotten() {
    let mut events = shows(50);
    let mut oversold = Log::of([crate::support::on_air()]);
    (1..=3).for_each(|n| oversold.decide(super::taking(n)));
    let open = oversold.events.len();
    oversold.decide(super::taking(4));
    let first = oversold.events;
    let shift = u64::try_from(open).unwrap();
    for event in &mut events {
        event.position.0 += shift;
        event.prev.0 += if event.prev == Position::START { 0 } else { shift };
        event.metadata.source.partition = 1;
        event.key.0 = Uuid::from_u128(event.key.0.as_u128() + (1 << 127));
    }
    let last = events.last().unwrap().position.0;
    let mut log: Vec<Recorded> = first[..open].to_vec();
    log.extend(events);
    for (index, mut event) in first[open..].iter().cloned().enumerate() {
        event.position = Position(last + 1 + u64::try_from(index).unwrap());
        event.prev = Position(if index == 0 { shift } else { event.position.0 - 1 });
        log.push(event);
    }
    let (_, found, _) = drive(&log);
    let found: Vec<_> =
        found.iter().filter(|finding| finding.violation.position.0 > last).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].invariant, "I1");
}

#[test]
fn a_late_refund_on_a_forgotten_spotlight_is_no_fault() {
    let mut events = shows(20);
    let mut late = Log::of(show());
    late.decide(vec![refund_requested(1, OrderReason::LatePayment)]);
    let mut late = late.events.last().unwrap().clone();
    late.position = Position(u64::try_from(events.len()).unwrap() + 1);
    late.metadata.source.offset = events.last().unwrap().metadata.source.offset + 1;
    events.push(late.clone());
    let (_, found, _) = drive(&events);
    assert_eq!(found, vec![]);
    // but a link into what is still known is one
    late.key = StreamKey(Uuid::from_u128(77));
    late.prev = Position(late.position.0 - 1);
    events.pop();
    events.push(late);
    let (_, found, _) = drive(&events);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].invariant, "I5");
}
