//! What every gate does for those who wait: units that are kept are nobody else's, and what a viewer
//! waits for counts for them.

use domain::gate::SnapshotFold;
use domain::ports::{EntryState, Loaded, Narrowed, Narrowing, TakeOutcome};
use domain::spotlight::{VoidCause, units_of};

use super::story::{Story, lines, order, viewer};
use super::suite::{Gate, apply, is_sold_out, on_every_gate, opened, shown, taken};

on_every_gate!(suite:
    what_is_kept_is_free_for_nobody,
    an_offer_takes_what_is_kept,
    what_is_added_and_voided_can_be_kept,
    what_a_viewer_waits_for_counts_for_them,
    a_rebuilt_gate_keeps_what_was_kept,
);

async fn what_is_kept_is_free_for_nobody(gate: Gate) {
    let mut story = opened(&gate, &[("a", 2)]).await;
    let takes = [story.take(&[("a", 1)]), story.take(&[("a", 1)])];
    for take in &takes {
        let admission = taken(&gate, take).await;
        let events = story.reserved(take, admission);
        apply(&gate, &story, &events).await;
    }
    // event by event: nothing is free in between
    let release = story.keeping(&[("a", 1)]).released(&takes[0]);
    apply(&gate, &story, &[release]).await;
    assert_eq!(shown(&gate, &story, "a").await, [2, 0, 2, 0]);
    assert!(is_sold_out(&gate, &story.take(&[("a", 1)])).await);
    let freed = story.freed(units_of(&lines(&[("a", 1)])));
    apply(&gate, &story, &[freed]).await;
    assert_eq!(shown(&gate, &story, "a").await, [2, 1, 1, 0]);
    taken(&gate, &story.take(&[("a", 1)])).await;
}

async fn an_offer_takes_what_is_kept(gate: Gate) {
    let mut story = opened(&gate, &[("a", 1)]).await;
    let take = story.take(&[("a", 1)]);
    let admission = taken(&gate, &take).await;
    let events = story.reserved(&take, admission);
    apply(&gate, &story, &events).await;
    let release = story.keeping(&[("a", 1)]).released(&take);
    apply(&gate, &story, &[release]).await;
    let offer = story.take(&[("a", 1)]);
    for event in story.offered(&offer, 1) {
        apply(&gate, &story, &[event]).await;
        assert_eq!(shown(&gate, &story, "a").await, [1, 0, 1, 0]);
        assert!(is_sold_out(&gate, &story.take(&[("a", 1)])).await);
    }
    // it is an order like any other from then on
    let again = gate.take(&offer).await.expect("answers");
    assert!(
        matches!(&again, TakeOutcome::SameAgain { entry, .. } if entry.state == EntryState::Held)
    );
    let sold = story.confirmed(&offer);
    apply(&gate, &story, &[sold]).await;
    assert_eq!(shown(&gate, &story, "a").await, [1, 0, 0, 1]);
}

async fn what_is_added_and_voided_can_be_kept(gate: Gate) {
    let mut story = opened(&gate, &[("a", 1)]).await;
    let take = story.take(&[("a", 1)]);
    let admission = taken(&gate, &take).await;
    let voided = story.keeping(&[("a", 1)]).voided(take.order.0, admission, VoidCause::NotReserved);
    apply(&gate, &story, &[voided]).await;
    assert_eq!(shown(&gate, &story, "a").await, [1, 0, 1, 0]);
    let added = story.keeping(&[("a", 2)]).adjusted("a", 2, None);
    apply(&gate, &story, &[added]).await;
    assert_eq!(shown(&gate, &story, "a").await, [3, 0, 3, 0]);
    assert!(is_sold_out(&gate, &story.take(&[("a", 1)])).await);
}

async fn what_a_viewer_waits_for_counts_for_them(gate: Gate) {
    let mut story = Story::limited(3);
    let events = story.open(&[("a", 9)]);
    apply(&gate, &story, &events).await;
    let ana = viewer("ana maria");
    let wait = |units| Narrowing::Wait { viewer: viewer("ana maria"), units };
    let take = story.take_by(order(), ana.clone(), &[("a", 1)]);
    taken(&gate, &take).await;
    let over = Narrowed::OverLimit { limit: 3, open_order: Some(take.order) };
    assert_eq!(gate.narrow(&story.narrow(wait(3))).await.expect("answers"), over);
    let joins = story.narrow(wait(2));
    assert!(matches!(gate.narrow(&joins).await, Ok(Narrowed::Done { .. })));
    assert!(matches!(gate.narrow(&joins).await, Ok(Narrowed::SameAgain { .. })));
    let more = story.take_by(order(), ana.clone(), &[("a", 1)]);
    let refused = TakeOutcome::OverLimit { limit: 3, open_order: Some(take.order) };
    assert_eq!(gate.take(&more).await.expect("answers"), refused);
    let joined = story.joined(joins.entry, &ana, &[("a", 2)]);
    apply(&gate, &story, &[joined]).await;
    assert_eq!(gate.take(&more).await.expect("answers"), refused);
    // an offer is theirs in place of the waiting
    let offer = story.take_by(order(), ana.clone(), &[("a", 2)]);
    for event in story.offered(&offer, 1) {
        apply(&gate, &story, &[event]).await;
        assert!(matches!(gate.take(&more).await, Ok(TakeOutcome::OverLimit { .. })));
    }
    let released = story.released(&offer);
    apply(&gate, &story, &[released]).await;
    taken(&gate, &more).await;
    // who leaves, and who was refused, may have as many again
    let bob = viewer("bob");
    let waits = Narrowing::Wait { viewer: bob.clone(), units: 3 };
    for joins_for_good in [true, false] {
        let joins = story.narrow(waits.clone());
        let Ok(Narrowed::Done { admission }) = gate.narrow(&joins).await else { panic!("refused") };
        let events = if joins_for_good {
            vec![story.joined(joins.entry, &bob, &[("a", 3)]), story.left(&bob)]
        } else {
            vec![story.voided(joins.entry, admission, VoidCause::Refused)]
        };
        apply(&gate, &story, &events).await;
    }
    taken(&gate, &story.take_by(order(), bob, &[("a", 3)])).await;
}

async fn a_rebuilt_gate_keeps_what_was_kept(gate: Gate) {
    let mut story = Story::limited(3);
    let mut events = story.open(&[("a", 2)]);
    let ana = viewer("ana maria");
    let take = story.take(&[("a", 2)]);
    apply(&gate, &story, &events).await;
    let admission = taken(&gate, &take).await;
    events = story.reserved(&take, admission);
    events.push(story.joined(order().0, &ana, &[("a", 3)]));
    events.push(story.keeping(&[("a", 2)]).released(&take));
    apply(&gate, &story, &events).await;
    let reopened = story.reopened(2);
    gate.apply(story.spotlight, &[reopened]).await.expect("applies");
    let mut fold = SnapshotFold::default();
    story.events.iter().for_each(|event| fold.apply(event));
    let snapshot = fold.finish().expect("scheduled");
    assert_eq!(gate.load(&snapshot).await.expect("answers"), Loaded::Done);
    assert_eq!(shown(&gate, &story, "a").await, [2, 0, 2, 0]);
    let more = story.take_by(order(), ana.clone(), &[("a", 1)]);
    assert!(matches!(gate.take(&more).await, Ok(TakeOutcome::OverLimit { .. })));
    let events = [story.left(&ana), story.freed(units_of(&lines(&[("a", 2)])))];
    apply(&gate, &story, &events).await;
    taken(&gate, &more).await;
    assert_eq!(shown(&gate, &story, "a").await, [2, 1, 1, 0]);
}
