//! What the log tells every gate.

use std::sync::Arc;
use std::time::Duration;

use domain::admission::Admission;
use domain::gate::SnapshotFold;
use domain::ids::OrderId;
use domain::ports::{Applied, EntryState, GateSnapshot, Loaded, Take, TakeOutcome};
use domain::spotlight::{SpotlightStatus, VoidCause};
use tokio::task::JoinSet;

use super::story::{Story, fresh, sku, time};
use super::suite::{Gate, apply, on_every_gate, opened, shown, taken};

on_every_gate!(suite_apply:
    settles_and_gives_back_once,
    refuses_a_gap_and_what_does_not_begin,
    takes_what_the_log_reserved_unasked,
    expects_stragglers_of_an_older_epoch,
    keeps_a_hold_from_another_admissions_void,
    ends_what_was_not_reserved,
    loads_only_a_higher_epoch,
    goes_on_after_a_rebuild,
    takes_nothing_between_reopening_and_loading,
    loads_a_closed_spotlight,
    grants_exactly_what_there_is,
    takes_once_more_what_was_given_back,
    lets_a_viewer_buy_again_what_was_refunded,
);

fn fold(story: &Story) -> GateSnapshot {
    let mut fold = SnapshotFold::default();
    for event in &story.events {
        fold.apply(event);
    }
    fold.finish().expect("scheduled")
}

async fn settles_and_gives_back_once(gate: Gate) {
    let mut story = opened(&gate, &[("a", 5)]).await;
    let (sold, freed) = (story.take(&[("a", 2)]), story.take(&[("a", 1)]));
    let admissions = [taken(&gate, &sold).await, taken(&gate, &freed).await];
    let mut events = story.reserved(&sold, admissions[0]);
    events.extend(story.reserved(&freed, admissions[1]));
    apply(&gate, &story, &events).await;
    assert_eq!(shown(&gate, &story, "a").await, [5, 2, 3, 0]);
    let first_deadline = gate.view(story.spotlight).await.expect("answers").expect("has state");
    assert!(first_deadline.next_release_at > Some(time(1_800_000_000)));
    events.push(story.confirmed(&sold));
    events.push(story.released(&freed));
    // all of it again, and the last once more
    apply(&gate, &story, &events).await;
    apply(&gate, &story, &events[5..]).await;
    apply(&gate, &story, &events[3..]).await;
    assert_eq!(shown(&gate, &story, "a").await, [5, 3, 0, 2]);
    let view = gate.view(story.spotlight).await.expect("answers").expect("has state");
    assert_eq!(view.next_release_at, None);
}

/// A late payment asks for the units of an order that the gate knows and holds no more.
async fn takes_once_more_what_was_given_back(gate: Gate) {
    let mut story = opened(&gate, &[("a", 2)]).await;
    let take = story.take(&[("a", 2)]);
    let admission = taken(&gate, &take).await;
    let again = Take { again: true, command: "late".to_owned(), ..take.clone() };
    let known = |outcome| match outcome {
        TakeOutcome::SameAgain { entry, .. } => (entry.state, entry.command),
        other => panic!("not the same again: {other:?}"),
    };
    // pending and held it is known, however it asks
    let outcome = gate.take(&again).await.expect("answers");
    assert_eq!(known(outcome), (EntryState::Pending, Some(take.command.clone())));
    let mut events = story.reserved(&take, admission);
    apply(&gate, &story, &events).await;
    assert_eq!(known(gate.take(&again).await.expect("answers")), (EntryState::Held, None));
    events.push(story.released(&take));
    events.push(story.repriced(fresh()));
    apply(&gate, &story, &events).await;
    assert_eq!(known(gate.take(&take).await.expect("answers")), (EntryState::Ended, None));
    // somebody else was faster
    let other = story.take(&[("a", 1)]);
    let others = taken(&gate, &other).await;
    assert!(matches!(gate.take(&again).await.expect("answers"), TakeOutcome::SoldOut { .. }));
    let voided = story.voided(other.order.0, others, VoidCause::NotReserved);
    apply(&gate, &story, &[voided]).await;
    // the price was accepted: the offer's new version does not matter
    let second = taken(&gate, &again).await;
    assert!(second.number > admission.number);
    let outcome = gate.take(&again).await.expect("answers");
    assert_eq!(known(outcome), (EntryState::Pending, Some("late".to_owned())));
    assert_eq!(shown(&gate, &story, "a").await, [2, 0, 2, 0]);
    let events = [story.held(&take, second), story.confirmed(&take)];
    apply(&gate, &story, &events).await;
    apply(&gate, &story, &events).await;
    assert_eq!(shown(&gate, &story, "a").await, [2, 0, 0, 2]);
    assert_eq!(fold(&story).orders.len(), 1);
}

async fn lets_a_viewer_buy_again_what_was_refunded(gate: Gate) {
    let mut story = Story::limited(2);
    let events = story.open(&[("a", 10)]);
    apply(&gate, &story, &events).await;
    let by = |story: &Story, units| {
        story.take_by(super::story::order(), super::story::viewer("ana"), &[("a", units)])
    };
    let bought = by(&story, 2);
    let admission = taken(&gate, &bought).await;
    let mut events = story.reserved(&bought, admission);
    events.push(story.confirmed(&bought));
    events.push(story.given_back(&bought, &[("a", 1)]));
    apply(&gate, &story, &events).await;
    apply(&gate, &story, &events).await;
    // one may be bought again, and the units stay sold
    assert_eq!(shown(&gate, &story, "a").await, [10, 8, 0, 2]);
    let over = gate.take(&by(&story, 2)).await.expect("answers");
    assert!(matches!(over, TakeOutcome::OverLimit { .. }), "{over:?}");
    let again = by(&story, 1);
    let second = taken(&gate, &again).await;
    let voided = story.voided(again.order.0, second, VoidCause::NotReserved);
    apply(&gate, &story, &[voided]).await;
    // a rebuilt gate counts the same
    let reopened = story.reopened(2);
    apply(&gate, &story, &[reopened]).await;
    assert_eq!(gate.load(&fold(&story)).await.expect("answers"), Loaded::Done);
    let over = gate.take(&by(&story, 2)).await.expect("answers");
    assert!(matches!(over, TakeOutcome::OverLimit { .. }), "{over:?}");
    taken(&gate, &by(&story, 1)).await;
}

async fn refuses_a_gap_and_what_does_not_begin(gate: Gate) {
    let mut story = Story::new();
    let begin = story.open(&[("a", 5)]);
    let outcome = gate.apply(story.spotlight, &begin[1..]).await.expect("answers");
    assert_eq!(outcome, Applied::NoState);
    apply(&gate, &story, &begin).await;
    let take = story.take(&[("a", 1)]);
    let admission = taken(&gate, &take).await;
    let events = story.reserved(&take, admission);
    let released = story.released(&take);
    let applied = begin[1].position;
    let out_of_order = [released.clone(), events[0].clone()];
    let outcome = gate.apply(story.spotlight, &out_of_order).await.expect("answers");
    assert_eq!(outcome, Applied::Gap { applied });
    let with_gap = [events[0].clone(), released.clone()];
    let outcome = gate.apply(story.spotlight, &with_gap).await.expect("answers");
    assert_eq!(outcome, Applied::Gap { applied: events[0].position });
    assert_eq!(shown(&gate, &story, "a").await, [5, 4, 1, 0]);
    apply(&gate, &story, &[events[1].clone(), released]).await;
    assert_eq!(shown(&gate, &story, "a").await, [5, 5, 0, 0]);
}

async fn takes_what_the_log_reserved_unasked(gate: Gate) {
    let mut story = opened(&gate, &[("a", 2)]).await;
    taken(&gate, &story.take(&[("a", 1)])).await;
    let lost = story.take(&[("a", 2)]);
    let admission = Admission { epoch: 1, number: 77, at: time(0), offer_version: 1 };
    let events = [story.held(&lost, admission)];
    let outcome = gate.apply(story.spotlight, &events).await.expect("answers");
    assert_eq!(outcome, Applied::Done { position: story.last, unknown_order: true });
    assert_eq!(shown(&gate, &story, "a").await, [2, -1, 3, 0]);
    let refused = gate.take(&story.take(&[("a", 1)])).await.expect("answers");
    assert_eq!(refused, TakeOutcome::SoldOut { remaining: [(sku("a"), -1)].into() });
    // until it is rebuilt, every answer says so
    let next = [story.released(&lost)];
    let outcome = gate.apply(story.spotlight, &next).await.expect("answers");
    assert_eq!(outcome, Applied::Done { position: story.last, unknown_order: true });
    assert_eq!(shown(&gate, &story, "a").await, [2, 1, 1, 0]);
}

async fn expects_stragglers_of_an_older_epoch(gate: Gate) {
    let mut story = opened(&gate, &[("a", 3)]).await;
    let straggler = story.take(&[("a", 2)]);
    let old = taken(&gate, &straggler).await;
    story.reopened(2);
    assert_eq!(gate.load(&fold(&story)).await.expect("loads"), Loaded::Done);
    assert_eq!(shown(&gate, &story, "a").await, [3, 3, 0, 0]);
    // the buyer asks again before the first command is decided: one order, units once
    let new = taken(&gate, &straggler).await;
    assert_eq!(new.epoch, 2);
    let events = story.reserved(&straggler, old);
    apply(&gate, &story, &events).await;
    assert_eq!(shown(&gate, &story, "a").await, [3, 1, 2, 0]);
    let voided = story.voided(straggler.order.0, new, VoidCause::Duplicate);
    apply(&gate, &story, &[voided]).await;
    assert_eq!(shown(&gate, &story, "a").await, [3, 1, 2, 0]);
    let other = story.take(&[("a", 1)]);
    let events = story.reserved(&other, Admission { number: 9, ..old });
    apply(&gate, &story, &events).await;
    assert_eq!(shown(&gate, &story, "a").await, [3, 0, 3, 0]);
}

async fn keeps_a_hold_from_another_admissions_void(gate: Gate) {
    let mut story = opened(&gate, &[("a", 3)]).await;
    let take = story.take(&[("a", 1)]);
    let admission = taken(&gate, &take).await;
    let mut events = story.reserved(&take, admission);
    let other = Admission { number: admission.number + 5, ..admission };
    events.push(story.voided(take.order.0, other, VoidCause::Duplicate));
    events.push(story.voided(take.order.0, admission, VoidCause::Duplicate));
    apply(&gate, &story, &events).await;
    assert_eq!(shown(&gate, &story, "a").await, [3, 2, 1, 0]);
    let mut events = vec![story.confirmed(&take)];
    events.push(story.voided(take.order.0, admission, VoidCause::Duplicate));
    apply(&gate, &story, &events).await;
    assert_eq!(shown(&gate, &story, "a").await, [3, 2, 0, 1]);
}

async fn ends_what_was_not_reserved(gate: Gate) {
    let mut story = Story::limited(2);
    let events = story.open(&[("a", 3)]);
    apply(&gate, &story, &events).await;
    let take = story.take(&[("a", 2)]);
    let admission = taken(&gate, &take).await;
    let other = Admission { number: admission.number + 1, ..admission };
    let events =
        [story.accepted(&take, admission), story.voided(take.order.0, other, VoidCause::Duplicate)];
    apply(&gate, &story, &events).await;
    assert_eq!(shown(&gate, &story, "a").await, [3, 1, 2, 0]);
    let voided = story.voided(take.order.0, admission, VoidCause::NotReserved);
    apply(&gate, &story, std::slice::from_ref(&voided)).await;
    apply(&gate, &story, &[voided]).await;
    assert_eq!(shown(&gate, &story, "a").await, [3, 3, 0, 0]);
    let Ok(TakeOutcome::SameAgain { entry, .. }) = gate.take(&take).await else {
        panic!("the id is not known any more")
    };
    assert_eq!((entry.state, entry.command), (EntryState::Ended, None));
    assert_eq!(gate.claim_pending(std::time::Duration::ZERO, 9).await.expect("answers"), []);
    let again = story.take_by(OrderId(fresh()), take.viewer.clone(), &[("a", 2)]);
    taken(&gate, &again).await;
}

async fn loads_only_a_higher_epoch(gate: Gate) {
    let mut story = opened(&gate, &[("a", 3)]).await;
    taken(&gate, &story.take(&[("a", 1)])).await;
    let stale = fold(&story);
    assert_eq!(gate.load(&stale).await.expect("loads"), Loaded::NotHigher { epoch: 1 });
    assert_eq!(shown(&gate, &story, "a").await, [3, 2, 1, 0]);
    story.reopened(4);
    assert_eq!(gate.load(&fold(&story)).await.expect("loads"), Loaded::Done);
    assert_eq!(gate.load(&fold(&story)).await.expect("loads"), Loaded::NotHigher { epoch: 4 });
    assert_eq!(gate.load(&stale).await.expect("loads"), Loaded::NotHigher { epoch: 4 });
    let admission = taken(&gate, &story.take(&[("a", 3)])).await;
    assert_eq!((admission.epoch, admission.number), (4, 1));
}

async fn goes_on_after_a_rebuild(gate: Gate) {
    let mut story = Story::limited(4);
    let events = story.open(&[("a", 10), ("b", 10)]);
    apply(&gate, &story, &events).await;
    let wanted: [&[(&str, u32)]; 4] =
        [&[("a", 1)], &[("a", 2), ("b", 1)], &[("b", 3)], &[("a", 4)]];
    let takes: Vec<_> = wanted.iter().map(|lines| story.take(lines)).collect();
    for take in &takes {
        let admission = taken(&gate, take).await;
        let events = story.reserved(take, admission);
        apply(&gate, &story, &events).await;
    }
    let events = [story.confirmed(&takes[0]), story.released(&takes[2])];
    apply(&gate, &story, &events).await;
    let before = gate.view(story.spotlight).await.expect("answers").expect("has state");
    story.reopened(2);
    assert_eq!(gate.load(&fold(&story)).await.expect("loads"), Loaded::Done);
    let after = gate.view(story.spotlight).await.expect("answers").expect("has state");
    assert_eq!((after.epoch, after.applied), (2, story.last));
    assert_eq!(after.inventory, before.inventory);
    assert_eq!(after.next_release_at, before.next_release_at);
    assert_eq!(after.offer, before.offer);
    let states = [EntryState::Sold, EntryState::Held, EntryState::Ended, EntryState::Held];
    for (take, expected) in takes.iter().zip(states) {
        let Ok(TakeOutcome::SameAgain { entry, .. }) = gate.take(take).await else {
            panic!("forgotten")
        };
        assert_eq!(entry.state, expected);
    }
    // the viewer's units are known: 4 of 4 are held
    let more = story.take_by(OrderId(fresh()), takes[3].viewer.clone(), &[("a", 1)]);
    let over = TakeOutcome::OverLimit { limit: 4, open_order: Some(takes[3].order) };
    assert_eq!(gate.take(&more).await.expect("answers"), over);
    // settle and give back go on, once
    let events = [story.released(&takes[1]), story.confirmed(&takes[3])];
    apply(&gate, &story, &events).await;
    apply(&gate, &story, &events).await;
    assert_eq!(shown(&gate, &story, "a").await, [10, 5, 0, 5]);
    assert_eq!(shown(&gate, &story, "b").await, [10, 10, 0, 0]);
}

async fn takes_nothing_between_reopening_and_loading(gate: Gate) {
    let mut story = opened(&gate, &[("a", 3)]).await;
    let reopened = story.reopened(2);
    apply(&gate, &story, &[reopened]).await;
    let take = story.take(&[("a", 1)]);
    assert_eq!(gate.take(&take).await.expect("answers"), TakeOutcome::NoState);
    assert_eq!(gate.view(story.spotlight).await.expect("answers"), None);
    assert!(gate.sold_out(story.spotlight, Duration::ZERO).await.expect("answers").is_none());
    // whoever reopened it may not come back: it is named until it is loaded
    for _ in 0..2 {
        assert_eq!(gate.lost().await, [story.spotlight]);
    }
    let adjusted = story.adjusted("a", 2, None);
    apply(&gate, &story, &[adjusted]).await;
    assert_eq!(gate.load(&fold(&story)).await.expect("loads"), Loaded::Done);
    assert!(gate.lost().await.is_empty());
    assert_eq!(taken(&gate, &take).await.epoch, 2);
    assert_eq!(shown(&gate, &story, "a").await, [5, 4, 1, 0]);
}

async fn loads_a_closed_spotlight(gate: Gate) {
    let mut story = Story::new();
    story.open(&[("a", 3)]);
    let take = story.take(&[("a", 1)]);
    let admission = Admission { epoch: 1, number: 1, at: time(5), offer_version: 1 };
    story.reserved(&take, admission);
    story.confirmed(&take);
    story.repriced(fresh());
    story.closed(fresh());
    story.reopened(2);
    assert_eq!(gate.load(&fold(&story)).await.expect("loads"), Loaded::Done);
    let view = gate.view(story.spotlight).await.expect("answers").expect("has state");
    assert_eq!((view.status, view.offer.offer.version), (SpotlightStatus::Closed, 2));
    assert_eq!(gate.take(&story.take(&[("a", 1)])).await.expect("answers"), TakeOutcome::Closed);
    assert!(matches!(gate.take(&take).await, Ok(TakeOutcome::SameAgain { offer: None, .. })));
}

/// 64 tasks press 1,000 times each on 50,000 units.
async fn grants_exactly_what_there_is(gate: Gate) {
    const TASKS: usize = 64;
    const TAKES: usize = 1_000;
    const UNITS: u32 = 50_000;
    let story = Arc::new(opened(&gate, &[("a", UNITS)]).await);
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (gate, story) = (Arc::clone(&gate), Arc::clone(&story));
        tasks.spawn(async move {
            let mut granted = 0;
            for _ in 0..TAKES {
                match gate.take(&story.take(&[("a", 1)])).await.expect("answers") {
                    TakeOutcome::Taken { .. } => granted += 1,
                    TakeOutcome::SoldOut { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
            granted
        });
    }
    let granted: u32 = tasks.join_all().await.into_iter().sum();
    assert_eq!(granted, UNITS);
    assert_eq!(shown(&gate, &story, "a").await, [50_000, 0, 50_000, 0]);
    let verdict =
        gate.sold_out(story.spotlight, Duration::ZERO).await.expect("answers").expect("sold out");
    assert_eq!(verdict.orders.len(), 50_000);
}
