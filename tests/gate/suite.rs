//! What every gate does before the log.

use std::sync::Arc;
use std::time::Duration;

use domain::fingerprint::Fingerprint;
use domain::ids::{OrderId, SellerId, SpotlightId};
use domain::ports::{Applied, EntryState, Narrowed, Narrowing, StockGate, Take, TakeOutcome};
use domain::spotlight::SpotlightStatus;

use super::story::{Story, fresh, order, seller, sku, time, viewer};

pub type Gate = Arc<dyn StockGate>;

macro_rules! on_every_gate {
    ($module:ident: $($case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $case() {
                super::$case(crate::gate::adapters::memory()).await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $case() {
                super::$case(crate::gate::adapters::redis().await).await;
            })*
        }
        mod cluster {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $case() {
                super::$case(crate::gate::adapters::cluster().await).await;
            })*
        }
    };
}
pub(super) use on_every_gate;

on_every_gate!(suite:
    seed_defect_last_unit_and_sold_out_both_answered_0,
    takes_and_returns_the_offer,
    is_short_of_one_line_of_several,
    answers_by_window,
    answers_by_version,
    names_an_unknown_sku,
    knows_nothing_of_others,
    repeats_and_conflicts,
    limits_a_viewer_and_gives_back,
    cancels_what_was_not_sent,
    claims_what_is_pending,
    says_when_it_is_sold_out,
    takes_nothing_while_a_verdict_is_leased,
);

pub async fn apply(gate: &Gate, story: &Story, events: &[domain::envelope::Recorded]) {
    let applied = gate.apply(story.spotlight, events).await.expect("applies");
    let last = events.last().expect("some").position;
    assert_eq!(applied, Applied::Done { position: last, unknown_order: false });
}

pub async fn opened(gate: &Gate, skus: &[(&str, u32)]) -> Story {
    let mut story = Story::new();
    let events = story.open(skus);
    apply(gate, &story, &events).await;
    story
}

pub async fn taken(gate: &Gate, take: &Take) -> domain::admission::Admission {
    match gate.take(take).await.expect("answers") {
        TakeOutcome::Taken { admission, .. } => admission,
        other => panic!("not taken: {other:?}"),
    }
}

/// Limit, remaining, held, sold.
pub async fn shown(gate: &Gate, story: &Story, name: &str) -> [i64; 4] {
    let view = gate.view(story.spotlight).await.expect("answers").expect("has state");
    let stock = view.inventory[&sku(name)];
    assert_eq!(stock.limited_quantity, stock.remaining + stock.held + stock.sold);
    [stock.limited_quantity, stock.remaining, stock.held, stock.sold]
}

pub async fn is_sold_out(gate: &Gate, take: &Take) -> bool {
    matches!(gate.take(take).await.expect("answers"), TakeOutcome::SoldOut { .. })
}

async fn seed_defect_last_unit_and_sold_out_both_answered_0(gate: Gate) {
    let story = opened(&gate, &[("a", 3)]).await;
    let mut granted = 0;
    for _ in 0..10 {
        match gate.take(&story.take(&[("a", 1)])).await.expect("answers") {
            TakeOutcome::Taken { .. } => granted += 1,
            TakeOutcome::SoldOut { remaining } => assert_eq!(remaining[&sku("a")], 0),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(granted, 3);
    assert_eq!(shown(&gate, &story, "a").await, [3, 0, 3, 0]);
}

async fn takes_and_returns_the_offer(gate: Gate) {
    let story = opened(&gate, &[("a", 5), ("b c", 5)]).await;
    let take = story.take(&[("a", 2), ("b c", 1)]);
    let TakeOutcome::Taken { admission, offer } = gate.take(&take).await.expect("answers") else {
        panic!("not taken");
    };
    assert_eq!((admission.epoch, admission.number, admission.offer_version), (1, 1, 1));
    assert!(admission.at > time(1_700_000_000), "{admission:?}");
    assert_eq!(
        (offer.broadcast, &offer.seller, offer.hold_seconds),
        (story.broadcast, &seller(), 600)
    );
    assert_eq!(offer.offer, story.offer());
    assert_eq!(taken(&gate, &story.take(&[("a", 1)])).await.number, 2);
    assert_eq!(shown(&gate, &story, "a").await, [5, 2, 3, 0]);
    assert_eq!(shown(&gate, &story, "b c").await, [5, 4, 1, 0]);
    let view = gate.view(story.spotlight).await.expect("answers").expect("has state");
    assert_eq!((view.status, view.epoch, view.applied), (SpotlightStatus::Open, 1, story.last));
    assert_eq!(view.offer, offer);
}

async fn is_short_of_one_line_of_several(gate: Gate) {
    let story = opened(&gate, &[("a", 5), ("b", 1)]).await;
    let outcome = gate.take(&story.take(&[("a", 2), ("b", 2)])).await.expect("answers");
    let remaining = [(sku("a"), 5), (sku("b"), 1)].into();
    assert_eq!(outcome, TakeOutcome::SoldOut { remaining });
    assert_eq!(shown(&gate, &story, "a").await, [5, 5, 0, 0]);
    assert_eq!(taken(&gate, &story.take(&[("a", 5), ("b", 1)])).await.number, 1);
}

async fn answers_by_window(gate: Gate) {
    let mut story = Story { opens_at: Some(time(4_000_000_000)), ..Story::new() };
    let scheduled = story.scheduled(&[("a", 1)]);
    apply(&gate, &story, &[scheduled]).await;
    let not_open = TakeOutcome::NotOpen { opens_at: Some(time(4_000_000_000)) };
    assert_eq!(gate.take(&story.take(&[("a", 1)])).await.expect("answers"), not_open);
    let opened = story.opened();
    apply(&gate, &story, &[opened]).await;
    let paused = story.paused(fresh());
    apply(&gate, &story, &[paused]).await;
    assert_eq!(gate.take(&story.take(&[("a", 1)])).await.expect("answers"), TakeOutcome::Paused);
    let resumed = story.resumed();
    apply(&gate, &story, &[resumed]).await;
    taken(&gate, &story.take(&[("a", 1)])).await;
    let closed = story.closed(fresh());
    apply(&gate, &story, &[closed]).await;
    assert_eq!(gate.take(&story.take(&[("a", 1)])).await.expect("answers"), TakeOutcome::Closed);

    let mut late = Story { closes_at: Some(time(1_600_000_000)), ..Story::new() };
    let events = late.open(&[("a", 1)]);
    apply(&gate, &late, &events).await;
    assert_eq!(gate.take(&late.take(&[("a", 1)])).await.expect("answers"), TakeOutcome::Closed);
    let view = gate.view(late.spotlight).await.expect("answers").expect("has state");
    assert_eq!(view.status, SpotlightStatus::Closed);
}

async fn answers_by_version(gate: Gate) {
    let mut story = opened(&gate, &[("a", 1)]).await;
    let old = story.take(&[("a", 1)]);
    let repriced = story.repriced(fresh());
    apply(&gate, &story, &[repriced]).await;
    let TakeOutcome::OfferChanged { offer } = gate.take(&old).await.expect("answers") else {
        panic!("an old version was taken");
    };
    assert_eq!(offer.offer, story.offer());
    assert_eq!(taken(&gate, &story.take(&[("a", 1)])).await.offer_version, 2);
}

async fn names_an_unknown_sku(gate: Gate) {
    let story = opened(&gate, &[("a", 1)]).await;
    let outcome = gate.take(&story.take(&[("a", 1), ("z", 1)])).await.expect("answers");
    assert_eq!(outcome, TakeOutcome::UnknownSku { sku: sku("z") });
}

async fn knows_nothing_of_others(gate: Gate) {
    let story = opened(&gate, &[("a", 1)]).await;
    let mut take = story.take(&[("a", 1)]);
    take.seller = SellerId::try_new("other").expect("valid");
    assert_eq!(gate.take(&take).await.expect("answers"), TakeOutcome::NoState);
    let mut narrow = story.narrow(Narrowing::Pause);
    narrow.seller = SellerId::try_new("other").expect("valid");
    assert_eq!(gate.narrow(&narrow).await.expect("answers"), Narrowed::NoState);
    let nowhere = Story::new();
    assert_eq!(gate.take(&nowhere.take(&[("a", 1)])).await.expect("answers"), TakeOutcome::NoState);
    let narrow = nowhere.narrow(Narrowing::Pause);
    assert_eq!(gate.narrow(&narrow).await.expect("answers"), Narrowed::NoState);
    assert_eq!(gate.view(SpotlightId(fresh())).await.expect("answers"), None);
    assert!(gate.sold_out(SpotlightId(fresh()), Duration::ZERO).await.expect("answers").is_none());
    assert!(gate.lost().await.is_empty());
}

async fn repeats_and_conflicts(gate: Gate) {
    let mut story = opened(&gate, &[("a", 1)]).await;
    let take = story.take(&[("a", 1)]);
    let admission = taken(&gate, &take).await;
    let other = Take { fingerprint: Fingerprint::of(b"other"), ..take.clone() };
    assert_eq!(gate.take(&other).await.expect("answers"), TakeOutcome::Conflict);
    let again = |outcome| match outcome {
        TakeOutcome::SameAgain { entry, offer } => {
            assert_eq!(entry.admission, admission);
            assert_eq!(offer.expect("known").offer.version, 1);
            (entry.state, entry.command)
        }
        other => panic!("not the same again: {other:?}"),
    };
    let outcome = gate.take(&take).await.expect("answers");
    assert_eq!(again(outcome), (EntryState::Pending, Some(take.command.clone())));
    let mut expected = EntryState::Held;
    let steps = [story.reserved(&take, admission), vec![story.confirmed(&take)]];
    for step in steps {
        apply(&gate, &story, &step).await;
        let outcome = gate.take(&take).await.expect("answers");
        assert_eq!(again(outcome), (expected, None));
        expected = EntryState::Sold;
    }
    // a repeat is answered whatever the window and the version are now
    let events = [story.repriced(fresh()), story.closed(fresh())];
    apply(&gate, &story, &events).await;
    assert_eq!(again(gate.take(&take).await.expect("answers")), (EntryState::Sold, None));
    // a host's command is no order
    assert!(matches!(gate.take(&other).await, Ok(TakeOutcome::Conflict)));
}

async fn limits_a_viewer_and_gives_back(gate: Gate) {
    let mut story = Story::limited(3);
    let events = story.open(&[("a", 10), ("b", 10)]);
    apply(&gate, &story, &events).await;
    let by = |story: &Story, wanted| story.take_by(order(), viewer("ana"), wanted);
    let over = |open_order: Option<OrderId>| TakeOutcome::OverLimit { limit: 3, open_order };
    assert_eq!(gate.take(&by(&story, &[("a", 2), ("b", 2)])).await.expect("answers"), over(None));
    let first = by(&story, &[("a", 2)]);
    let second = by(&story, &[("b", 1)]);
    let first_admission = taken(&gate, &first).await;
    let second_admission = taken(&gate, &second).await;
    let third = by(&story, &[("a", 1)]);
    assert_eq!(gate.take(&third).await.expect("answers"), over(Some(second.order)));
    taken(&gate, &story.take_by(order(), viewer("bob"), &[("a", 3)])).await;

    let mut events = story.reserved(&second, second_admission);
    events.extend(story.reserved(&first, first_admission));
    events.push(story.confirmed(&second));
    apply(&gate, &story, &events).await;
    // what is sold counts, and is no open order any more
    assert_eq!(gate.take(&third).await.expect("answers"), over(Some(first.order)));
    let released = story.released(&first);
    apply(&gate, &story, &[released]).await;
    taken(&gate, &third).await;
    taken(&gate, &by(&story, &[("a", 1)])).await;
    assert!(matches!(gate.take(&by(&story, &[("a", 1)])).await, Ok(TakeOutcome::OverLimit { .. })));
}

async fn cancels_what_was_not_sent(gate: Gate) {
    let story = opened(&gate, &[("a", 1)]).await;
    let take = story.take(&[("a", 1)]);
    taken(&gate, &take).await;
    assert!(gate.cancel_unsent(story.spotlight, take.order.0).await.expect("answers"));
    assert!(!gate.cancel_unsent(story.spotlight, take.order.0).await.expect("answers"));
    assert_eq!(shown(&gate, &story, "a").await, [1, 1, 0, 0]);
    assert_eq!(taken(&gate, &take).await.number, 2);
    let claimed = gate.claim_pending(Duration::ZERO, 10).await.expect("answers");
    assert_eq!(claimed.len(), 1);
    assert!(!gate.cancel_unsent(story.spotlight, take.order.0).await.expect("answers"));
    assert_eq!(shown(&gate, &story, "a").await, [1, 0, 1, 0]);
    let pause = story.narrow(Narrowing::Pause);
    assert!(matches!(gate.narrow(&pause).await, Ok(Narrowed::Done { .. })));
    assert!(gate.cancel_unsent(story.spotlight, pause.entry).await.expect("answers"));
    assert!(is_sold_out(&gate, &story.take(&[("a", 1)])).await);
}

async fn claims_what_is_pending(gate: Gate) {
    let mut story = opened(&gate, &[("a", 9)]).await;
    let take = story.take(&[("a", 1)]);
    let admission = taken(&gate, &take).await;
    let none = gate.claim_pending(Duration::from_hours(1), 10).await.expect("answers");
    assert_eq!(none, []);
    let claimed = gate.claim_pending(Duration::ZERO, 10).await.expect("answers");
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].spotlight, claimed[0].entry), (story.spotlight, take.order.0));
    assert_eq!((claimed[0].admission, &claimed[0].command), (admission, &take.command));
    assert_eq!(claimed[0].redriven, 1);
    // claimed again only after a pause
    assert_eq!(gate.claim_pending(Duration::ZERO, 10).await.expect("answers"), []);
    let held = story.reserved(&take, admission);
    apply(&gate, &story, &held).await;

    let mut others = Vec::new();
    for _ in 0..5 {
        let other = opened(&gate, &[("a", 9)]).await;
        let take = other.take(&[("a", 1)]);
        taken(&gate, &take).await;
        others.push(take.order.0);
    }
    let mut claimed = Vec::new();
    for _ in 0..3 {
        let some = gate.claim_pending(Duration::ZERO, 2).await.expect("answers");
        assert!(some.len() <= 2);
        claimed.extend(some.into_iter().map(|entry| entry.entry));
    }
    claimed.sort_unstable();
    others.sort_unstable();
    assert_eq!(claimed, others);
}

async fn says_when_it_is_sold_out(gate: Gate) {
    let mut story = opened(&gate, &[("a", 2), ("b", 1)]).await;
    let (first, second) = (story.take(&[("a", 1), ("b", 1)]), story.take(&[("a", 1)]));
    let admission = taken(&gate, &first).await;
    assert!(gate.sold_out(story.spotlight, Duration::ZERO).await.expect("answers").is_none());
    taken(&gate, &second).await;
    let verdict =
        gate.sold_out(story.spotlight, Duration::ZERO).await.expect("answers").expect("sold out");
    assert_eq!(verdict.remaining, [(sku("a"), 0), (sku("b"), 0)].into());
    assert_eq!((verdict.offer_version, verdict.open), (1, true));
    assert_eq!(*verdict.orders, [first.order, second.order].into());
    let mut events = story.reserved(&first, admission);
    events.push(story.released(&first));
    apply(&gate, &story, &events).await;
    assert!(gate.sold_out(story.spotlight, Duration::ZERO).await.expect("answers").is_none());
    let third = story.take(&[("a", 1), ("b", 1)]);
    taken(&gate, &third).await;
    assert!(matches!(
        gate.narrow(&story.narrow(Narrowing::Pause)).await,
        Ok(Narrowed::Done { .. })
    ));
    let verdict =
        gate.sold_out(story.spotlight, Duration::ZERO).await.expect("answers").expect("sold out");
    assert!(!verdict.open);
    assert_eq!(*verdict.orders, [first.order, second.order, third.order].into());
}

/// What was admitted meanwhile, a node that holds the verdict could not tell from a stranger's.
async fn takes_nothing_while_a_verdict_is_leased(gate: Gate) {
    let mut story = opened(&gate, &[("a", 1), ("b", 1)]).await;
    let first = story.take(&[("a", 1), ("b", 1)]);
    let admission = taken(&gate, &first).await;
    let lease = Duration::from_secs(2);
    let asked = std::time::Instant::now();
    assert!(gate.sold_out(story.spotlight, lease).await.expect("answers").is_some());
    // a shorter one does not end it
    assert!(gate.sold_out(story.spotlight, Duration::ZERO).await.expect("answers").is_some());
    let mut events = story.reserved(&first, admission);
    events.push(story.released(&first));
    apply(&gate, &story, &events).await;
    assert!(gate.sold_out(story.spotlight, lease).await.expect("answers").is_none());
    let (next, large) = (story.take(&[("a", 1)]), story.take(&[("a", 2)]));
    assert!(matches!(gate.take(&first).await, Ok(TakeOutcome::SameAgain { .. })));
    assert!(is_sold_out(&gate, &large).await);
    let mut refused = 0;
    while asked.elapsed() < lease + Duration::from_secs(5) {
        match gate.take(&next).await.expect("answers") {
            TakeOutcome::Changing => refused += 1,
            TakeOutcome::Taken { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0 && asked.elapsed() >= lease, "taken after {:?}", asked.elapsed());
    assert_eq!(shown(&gate, &story, "a").await, [1, 0, 1, 0]);
}
