//! What `onair replay verify` says of sound logs and of broken ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    dead_code,
    unused_imports,
    missing_docs,
    reason = "tests panic, and share their words with the domain's"
)]

mod reader;
#[path = "../../../domain/tests/it/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use domain::envelope::Position;
use domain::event::Event;
use domain::order::{OrderEvent, OrderReason};
use domain::ports::{Clock, OrderBook, StockGate};
use domain::reservation::ReleaseReason;
use projections::order_book::MemoryOrderBook;
use projections::replay::{
    Report, VIOLATIONS_KEPT_MAX, Verdict, VerifyOptions, render_human, verify,
};
use projections::stock_counter::MemoryGate;
use reader::LogReader;
use support::{
    Log, accepted, at, captured, closed, confirmed, failed, on_air, released, requested, reserved,
    sold, spotlight,
};

struct Frozen;

#[async_trait]
impl Clock for Frozen {
    fn now(&self) -> Timestamp {
        at(20)
    }
    async fn sleep(&self, _: Duration) {}
}

fn taking(n: u64) -> Vec<Event> {
    vec![accepted(n), reserved(n), requested(n)]
}

fn selling(n: u64) -> Vec<Event> {
    vec![captured(n), confirmed(n), sold(n)]
}

/// One sold, one given back.
fn show() -> Log {
    Log::of([
        on_air(),
        taking(1),
        taking(2),
        selling(1),
        vec![failed(2, OrderReason::HoldExpired), released(2, ReleaseReason::HoldExpired)],
    ])
}

async fn report(log: &Log, options: VerifyOptions<'_>) -> Report {
    verify(&LogReader::of(log), options, &mut |_| {}).await.unwrap()
}

fn broken(report: &Report) -> Vec<(&str, u64)> {
    report
        .invariants
        .iter()
        .flat_map(|it| it.violations.iter().map(|found| (it.id.as_str(), found.position.0)))
        .collect()
}

#[tokio::test]
async fn a_sound_log_is_good_in_pages_of_any_size() {
    let log = show();
    for page in [1, 2, 3, 7, 2_000] {
        let options = VerifyOptions { settled: true, page: Some(page), ..VerifyOptions::default() };
        let mut seen = vec![];
        let report = verify(&LogReader::of(&log), options, &mut |it| seen.push(it)).await.unwrap();
        assert_eq!(report.verdict, Verdict::Good, "{report:?}");
        assert_eq!(report.events, 13);
        assert_eq!((report.first_position, report.last_position), (Position(1), Position(13)));
        assert_eq!(report.head.position, Position(13));
        assert_eq!(seen.len(), 13_usize.div_ceil(page));
        assert_eq!(seen.last().unwrap().position, Position(13));
    }
}

#[tokio::test]
async fn the_json_is_what_was_promised() {
    let json = serde_json::to_value(report(&show(), VerifyOptions::default()).await).unwrap();
    assert_eq!(json["verdict"], "good");
    assert_eq!(json["head"], serde_json::json!({ "position": 13 }));
    for name in ["events", "first_position", "last_position", "duration_ms", "events_per_second"] {
        assert!(json[name].is_number(), "{name}");
    }
    let ids: Vec<_> = json["invariants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    let all: Vec<_> = (1..=13).map(|number| format!("I{number}")).collect();
    assert_eq!(ids, all);
    for it in json["invariants"].as_array().unwrap() {
        let skipped = ["I7", "I8", "I11", "I12"].contains(&it["id"].as_str().unwrap());
        assert_eq!(it["skipped"].is_string(), skipped, "{it}");
        assert_eq!(it["checked"].as_u64().unwrap() == 0, skipped, "{it}");
        assert_eq!(it["violations"], serde_json::json!([]));
    }
    let mut log = show();
    log.decide(vec![failed(1, OrderReason::HoldExpired)]);
    let bad = serde_json::to_value(report(&log, VerifyOptions::default()).await).unwrap();
    assert_eq!(bad["verdict"], "bad");
    let violation = &bad["invariants"][1]["violations"][0];
    assert_eq!(violation["position"], 14);
    assert_eq!(violation["event_id"], log.events[13].event_id.to_string());
    assert!(violation["detail"].as_str().unwrap().contains("confirmed and then failed"));
}

#[tokio::test]
async fn a_log_that_lost_its_end_is_behind_its_order_book() {
    let mut log = show();
    let book = MemoryOrderBook::default();
    book.apply(&log.events).await.unwrap();
    let options = || VerifyOptions { orders: Some(&book), ..VerifyOptions::default() };
    assert_eq!(report(&log, options()).await.verdict, Verdict::Good);
    log.events.pop();
    let report = report(&log, options()).await;
    assert_eq!(report.verdict, Verdict::Bad);
    assert!(broken(&report).contains(&("I8", 13)), "{report:?}");
}

#[tokio::test]
async fn the_first_break_is_named() {
    let mut log = Log::of([on_air(), taking(1), taking(2), taking(3), taking(4)]);
    log.decide(selling(4));
    log.decide(vec![failed(4, OrderReason::HoldExpired)]);
    let report = report(&log, VerifyOptions::default()).await;
    assert_eq!(report.verdict, Verdict::Bad);
    let (id, violation) = report.first_violation().unwrap();
    assert_eq!((id, violation.position), ("I1", Position(13)));
    let text = render_human(&report);
    assert!(text.contains("BAD: first broken at position 13 (I1)"), "{text}");
    assert!(text.contains("I7   skipped"), "{text}");
    assert!(
        render_human(&self::report(&show(), VerifyOptions::default()).await).ends_with("GOOD\n")
    );
}

#[tokio::test]
async fn an_event_that_does_not_decode_is_a_break() {
    let log = show();
    for position in 1..=13 {
        let reader = LogReader { unreadable: Some(Position(position)), ..LogReader::of(&log) };
        let options = VerifyOptions { page: Some(5), ..VerifyOptions::default() };
        let report = verify(&reader, options, &mut |_| {}).await.unwrap();
        assert_eq!(report.verdict, Verdict::Bad);
        let chain = &report.invariants[4];
        assert!(
            chain
                .violations
                .iter()
                .any(|it| it.position == Position(position) && it.detail.contains("not JSON"))
        );
        assert_eq!(report.events, 12);
    }
}

#[tokio::test]
async fn a_part_is_verified_by_itself() {
    let mut log = show();
    log.decide(vec![failed(1, OrderReason::HoldExpired)]);
    let up_to = VerifyOptions { up_to: Some(Position(13)), ..VerifyOptions::default() };
    let first = report(&log, up_to).await;
    assert_eq!((first.verdict, first.events), (Verdict::Good, 13));
    assert_eq!(first.head.position, Position(14));
    let after = VerifyOptions { after: Position(13), ..VerifyOptions::default() };
    let last = report(&log, after).await;
    assert_eq!((last.events, last.first_position), (1, Position(14)));
    let none = VerifyOptions { after: Position(14), ..VerifyOptions::default() };
    let none = report(&log, none).await;
    assert_eq!((none.verdict, none.events), (Verdict::Good, 0));
}

#[tokio::test]
async fn an_empty_log_is_good() {
    let report = report(&Log::default(), VerifyOptions::default()).await;
    assert_eq!((report.verdict, report.events), (Verdict::Good, 0));
    assert_eq!(report.first_position, Position::START);
}

#[tokio::test]
async fn violations_are_counted_and_a_hundred_are_kept() {
    let mut log = show();
    let more = VIOLATIONS_KEPT_MAX + 5;
    for _ in 0..more {
        log.decide(vec![failed(1, OrderReason::HoldExpired)]);
    }
    let report = report(&log, VerifyOptions::default()).await;
    assert_eq!(report.invariants[1].violations_total, u64::try_from(more).unwrap());
    assert_eq!(report.invariants[1].violations.len(), VIOLATIONS_KEPT_MAX);
}

#[tokio::test]
async fn a_settled_log_has_no_open_order() {
    let mut log = show();
    log.decide(taking(3));
    let open = VerifyOptions::default();
    assert_eq!(report(&log, open).await.verdict, Verdict::Good);
    let settled = report(&log, VerifyOptions { settled: true, ..open }).await;
    assert_eq!(broken(&settled), [("I2", 14), ("I3", 15)]);
}

#[tokio::test]
async fn i7_compares_the_gate_with_the_log() {
    let log = show();
    let right = MemoryGate::new(Arc::new(Frozen));
    right.apply(spotlight(), &log.events).await.unwrap();
    let options = VerifyOptions { gate: Some(&right), settled: true, ..VerifyOptions::default() };
    let good = report(&log, options).await;
    assert_eq!(good.verdict, Verdict::Good);
    assert_eq!((good.invariants[6].checked, &good.invariants[6].skipped), (1, &None));

    // it is compared as of what it has applied
    let behind = MemoryGate::new(Arc::new(Frozen));
    behind.apply(spotlight(), &log.events[..8]).await.unwrap();
    let options = VerifyOptions { gate: Some(&behind), ..VerifyOptions::default() };
    assert_eq!(report(&log, options).await.verdict, Verdict::Good);

    // it gave the sold unit back as well
    let mut told = show();
    told.events[9].event = released(1, ReleaseReason::HoldExpired);
    told.events[10].event = released(2, ReleaseReason::HoldExpired);
    let wrong = MemoryGate::new(Arc::new(Frozen));
    wrong.apply(spotlight(), &told.events).await.unwrap();
    let options = VerifyOptions { gate: Some(&wrong), ..VerifyOptions::default() };
    let bad = report(&log, options).await;
    assert_eq!(broken(&bad), [("I7", 13)]);

    // it has applied what the log does not hold
    let ahead = MemoryGate::new(Arc::new(Frozen));
    let mut more = show();
    more.decide(vec![closed()]);
    ahead.apply(spotlight(), &more.events).await.unwrap();
    let options = VerifyOptions { gate: Some(&ahead), ..VerifyOptions::default() };
    assert_eq!(broken(&report(&log, options).await), [("I7", 14)]);
}

#[tokio::test]
async fn i8_compares_the_order_book_with_the_log() {
    let log = show();
    let right = MemoryOrderBook::default();
    right.apply(&log.events).await.unwrap();
    let options = VerifyOptions { orders: Some(&right), ..VerifyOptions::default() };
    let good = report(&log, options).await;
    assert_eq!((good.verdict, good.invariants[7].checked), (Verdict::Good, 2));

    let behind = MemoryOrderBook::default();
    behind.apply(&log.events[..8]).await.unwrap();
    let options = VerifyOptions { orders: Some(&behind), ..VerifyOptions::default() };
    let good = report(&log, options).await;
    assert_eq!((good.verdict, good.invariants[7].checked), (Verdict::Good, 2));

    let mut told = show();
    if let Event::Order(OrderEvent::OrderFailed { reason, .. }) = &mut told.events[11].event {
        *reason = OrderReason::Parked;
    } else {
        panic!("another event than the failure");
    }
    let wrong = MemoryOrderBook::default();
    wrong.apply(&told.events).await.unwrap();
    let options = VerifyOptions { orders: Some(&wrong), ..VerifyOptions::default() };
    assert_eq!(broken(&report(&log, options).await), [("I8", 13)]);

    let missing = MemoryOrderBook::default();
    let mut told = show();
    told.events[2].event = accepted(9);
    missing.apply(&told.events).await.unwrap();
    let options = VerifyOptions { orders: Some(&missing), ..VerifyOptions::default() };
    assert_eq!(broken(&report(&log, options).await), [("I8", 11)]);
}
