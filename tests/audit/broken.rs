//! Each invariant is broken in a copy of a store, underneath the code, and found where it is broken:
//! on both stores and on their exports.

use domain::actor::Role;
use domain::envelope::Position;
use domain::ids::ViewerId;
use domain::line::Lines;
use domain::payment::{DeclineKind, PaymentResult};
use domain::personal::Personal;
use domain::row::StoredRow;
use domain::spotlight::{SpotlightCommand, Wait};
use serde_json::{Value, json};

use super::program::{Said, replay};
use super::show::{Rows, everywhere};
use crate::support::events::{Story, line};

/// Three cups, two to a viewer at most: ana buys two, one by one, bora's card is declined, chun
/// holds the last one and gives it up, and dana, who waits for it, is made an offer.
fn sale() -> Rows {
    let mut story = Story::new();
    let broadcast = story.live("Friday night");
    let mut terms = story.terms(broadcast, &[("CUP", 3)]);
    terms.per_viewer_limit = Some(2);
    let spotlight = story.schedule(terms, true);
    for viewer in ["ana", "ana", "bora", "chun"] {
        story.pass(1);
        let order = story.place(spotlight, viewer, &[("CUP", 1)]);
        story.pass(1);
        match viewer {
            "ana" => story.capture(order),
            "bora" => {
                let code = "do_not_honor".to_owned();
                story.answer(order, PaymentResult::Declined { kind: DeclineKind::Hard, code });
            }
            _ => {
                let wait = Box::new(Wait {
                    viewer_ref: story.viewer_ref("dana"),
                    lines: Lines::try_new(vec![line("CUP", 1)]).expect("lines"),
                    received_at: story.now,
                    node: "n1".to_owned(),
                    personal: Personal {
                        viewer: Some(ViewerId::try_new("dana").expect("a name")),
                        ..Personal::default()
                    },
                });
                let join = SpotlightCommand::JoinWaitlist { wait, admission: None };
                story.spotlight_does(spotlight, join);
                story.pass(1);
                story.cancel(order, Role::Viewer).expect("may be called off");
            }
        }
    }
    Rows::of(story.log())
}

/// Where the n-th event of a type is, from 0.
fn nth(rows: &Rows, event_type: &str, n: usize) -> usize {
    let of_type = |row: &StoredRow| row.event_type == event_type.as_bytes();
    let all = rows.0.iter().enumerate().filter(|(_, row)| of_type(row));
    all.map(|(at, _)| at).nth(n).unwrap_or_else(|| panic!("{event_type} {n}"))
}

/// Writes another value into an event's JSON; there must be one.
fn write_into(json: &mut Vec<u8>, pointer: &str, value: Value) {
    let mut all: Value = serde_json::from_slice(json).expect("is JSON");
    *all.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = value;
    *json = serde_json::to_vec(&all).expect("serialises");
}

/// One more event: that of a place, again, at the end.
fn again(rows: &mut Rows, at: usize) {
    let mut copy = rows.0[at].clone();
    let last = rows.0.last().expect("is there").position;
    let of_key = |row: &&StoredRow| row.stream_key == copy.stream_key;
    let prev = rows.0.iter().rfind(of_key).expect("is there").position;
    let of_stream = |row: &&StoredRow| {
        (&row.aggregate_type, &row.aggregate_id) == (&copy.aggregate_type, &copy.aggregate_id)
    };
    let sequence = rows.0.iter().rfind(of_stream).expect("is there").sequence;
    (copy.position, copy.prev, copy.sequence) = (Position(last.0 + 1), prev, sequence + 1);
    copy.event_id = uuid::Uuid::from_u128(7);
    rows.0.push(copy);
}

/// An edit, and the position where the invariant must be found broken.
type Edit = fn(&mut Rows) -> Position;

/// Writes into the n-th event of a type; it is to be found at that of another.
fn edit(rows: &mut Rows, of: (&str, usize), (pointer, value): (&str, Value)) -> Position {
    let at = nth(rows, of.0, of.1);
    let row = &mut rows.0[at];
    write_into(&mut row.payload, &format!("/{}{pointer}", of.0), value);
    row.position
}

const EDITS: [(&str, &str, Edit); 12] = [
    ("I1", "a limit that is lower than what was sold", |rows| {
        edit(rows, ("SpotlightScheduled", 0), ("/skus/0/limited_quantity", json!(2)));
        rows.0[nth(rows, "StockReserved", 2)].position
    }),
    ("I2", "a second end", |rows| {
        again(rows, nth(rows, "OrderConfirmed", 0));
        rows.0[rows.0.len() - 1].position
    }),
    ("I3", "a second release", |rows| {
        again(rows, nth(rows, "ReservationReleased", 0));
        rows.0[rows.0.len() - 1].position
    }),
    ("I3", "a release of more than was held", |rows| {
        edit(rows, ("ReservationReleased", 0), ("/lines/0/quantity", json!(2)))
    }),
    ("I4", "a viewer over the limit", |rows| {
        edit(rows, ("SpotlightScheduled", 0), ("/per_viewer_limit", json!(1)));
        rows.0[nth(rows, "StockReserved", 1)].position
    }),
    ("I5", "a lost event", |rows| {
        let lost = nth(rows, "OrderConfirmed", 0);
        rows.0.remove(lost);
        rows.0[lost].position
    }),
    ("I5", "a hole in a stream", |rows| {
        let at = nth(rows, "OrderConfirmed", 0);
        rows.0[at].sequence += 1;
        rows.0[at].position
    }),
    ("I6", "a command that comes before the one before it", |rows| {
        let at = nth(rows, "PaymentCaptured", 1);
        let command: Value = serde_json::from_slice(&rows.0[at].metadata).expect("is JSON");
        for row in &mut rows.0 {
            let metadata: Value = serde_json::from_slice(&row.metadata).expect("is JSON");
            if metadata["command_id"] == command["command_id"] {
                write_into(&mut row.metadata, "/offset", json!("0"));
            }
        }
        rows.0[at].position
    }),
    ("I9", "another amount than the total", |rows| {
        edit(rows, ("PaymentCaptured", 0), ("/amount/minor", json!(1)))
    }),
    ("I10", "an input that is gone", |rows| {
        edit(rows, ("OrderAccepted", 0), ("/key_fingerprint", json!("")))
    }),
    ("I10", "a price that was not promised", |rows| {
        edit(rows, ("SpotlightScheduled", 0), ("/offer/live_price/minor", json!(9_900)));
        rows.0[nth(rows, "OrderAccepted", 0)].position
    }),
    ("I13", "an offer to who does not wait", |rows| {
        let other: Value = serde_json::from_slice(&rows.0[nth(rows, "OrderAccepted", 0)].payload)
            .expect("is JSON");
        let other = other["OrderAccepted"]["viewer_ref"].clone();
        edit(rows, ("WaitlistOffered", 0), ("/viewer_ref", other))
    }),
];

/// The invariants that a report finds broken, each with its first position. The first of all is told
/// with what led there.
fn broken(said: &Said) -> Vec<(String, u64)> {
    let report = said.json("verify");
    let found = broken_in(&report);
    let first = &report["first_break"];
    assert_eq!(first["position"].as_u64(), found.iter().map(|(_, at)| *at).min(), "{first}");
    let chain = first["chain"].as_array().into_iter().flatten();
    let chain: Vec<_> = chain.filter_map(|link| link["position"].as_u64()).collect();
    assert_eq!(chain.last().copied(), first["position"].as_u64(), "{first}");
    assert!(chain.is_sorted(), "{first}");
    found
}

fn broken_in(report: &Value) -> Vec<(String, u64)> {
    let invariants = report["invariants"].as_array().expect("a list");
    let first = |invariant: &Value| {
        let at = invariant["violations"][0]["position"].as_u64()?;
        Some((invariant["id"].as_str()?.to_owned(), at))
    };
    invariants.iter().filter_map(first).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sale_is_sound_before_it_is_edited() {
    for (base, place) in everywhere(&sale()).await {
        let said = replay(base.dir.path(), &base.url, &["verify", "--json"]).ended(0);
        assert_eq!(broken(&said), [], "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_invariant_that_is_broken_in_a_store_is_found_where_it_is_broken() {
    for (id, what, edit) in EDITS {
        let mut rows = sale();
        let position = edit(&mut rows);
        let mut answers = vec![];
        for (base, place) in everywhere(&rows).await {
            let dir = base.dir.path();
            let found = broken(&replay(dir, &base.url, &["verify", "--json"]).ended(1));
            let expected = (id.to_owned(), position.0);
            assert!(found.contains(&expected), "{id}, {what}, {place}: {found:?}");
            let said = replay(dir, &base.url, &["verify", "--jobs", "2"]).ended(1);
            assert!(said.out.contains("BAD") && said.out.contains(id), "{}", said.out);
            assert!(said.out.contains("led there"), "{}", said.out);
            answers.push(found);
        }
        assert!(answers.iter().all(|found| *found == answers[0]), "{id}, {what}: {answers:?}");
    }
}
