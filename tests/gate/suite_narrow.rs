//! What every gate does for a host's narrowing.

use domain::ports::{EntryState, Narrowed, Narrowing, TakeOutcome};
use domain::spotlight::{SpotlightStatus, VoidCause};

use super::story::sku;
use super::suite::{Gate, apply, is_sold_out, on_every_gate, opened, shown, taken};

on_every_gate!(suite:
    pauses_until_refused,
    reduces_and_gives_back,
    closes_for_good,
    changes_the_offer,
);

async fn pauses_until_refused(gate: Gate) {
    let mut story = opened(&gate, &[("a", 5)]).await;
    let pause = story.narrow(Narrowing::Pause);
    let Narrowed::Done { admission } = gate.narrow(&pause).await.expect("answers") else {
        panic!("not paused");
    };
    assert_eq!(gate.take(&story.take(&[("a", 1)])).await.expect("answers"), TakeOutcome::Paused);
    let view = gate.view(story.spotlight).await.expect("answers").expect("has state");
    assert_eq!(view.status, SpotlightStatus::Paused);
    let Narrowed::SameAgain { entry } = gate.narrow(&pause).await.expect("answers") else {
        panic!("paused twice");
    };
    assert_eq!((entry.admission, entry.state), (admission, EntryState::Pending));
    assert_eq!(entry.command, Some(pause.command.clone()));
    let voided = story.voided(pause.entry, admission, VoidCause::Refused);
    apply(&gate, &story, &[voided]).await;
    taken(&gate, &story.take(&[("a", 1)])).await;

    // two at once: each ends its own
    let (one, two) = (story.narrow(Narrowing::Pause), story.narrow(Narrowing::Pause));
    assert!(matches!(gate.narrow(&one).await, Ok(Narrowed::Done { .. })));
    let Ok(Narrowed::Done { admission }) = gate.narrow(&two).await else { panic!("not paused") };
    let events = [
        story.paused(one.entry),
        story.resumed(),
        story.voided(two.entry, admission, VoidCause::Duplicate),
    ];
    apply(&gate, &story, &events[..2]).await;
    assert_eq!(gate.take(&story.take(&[("a", 1)])).await.expect("answers"), TakeOutcome::Paused);
    apply(&gate, &story, &events[2..]).await;
    taken(&gate, &story.take(&[("a", 1)])).await;
}

async fn reduces_and_gives_back(gate: Gate) {
    let mut story = opened(&gate, &[("a", 5)]).await;
    taken(&gate, &story.take(&[("a", 2)])).await;
    let reduce = |units| Narrowing::Reduce { sku: sku("a"), units };
    let below = Narrowed::BelowCommitted { remaining: 3 };
    assert_eq!(gate.narrow(&story.narrow(reduce(4))).await.expect("answers"), below);
    let unknown = story.narrow(Narrowing::Reduce { sku: sku("z"), units: 1 });
    assert_eq!(gate.narrow(&unknown).await.expect("answers"), Narrowed::UnknownSku);
    let by_two = story.narrow(reduce(2));
    let Ok(Narrowed::Done { admission }) = gate.narrow(&by_two).await else { panic!("refused") };
    assert_eq!(shown(&gate, &story, "a").await, [5, 1, 4, 0]);
    assert!(is_sold_out(&gate, &story.take(&[("a", 2)])).await);
    let voided = story.voided(by_two.entry, admission, VoidCause::Refused);
    apply(&gate, &story, &[voided]).await;
    assert_eq!(shown(&gate, &story, "a").await, [5, 3, 2, 0]);

    let by_three = story.narrow(reduce(3));
    assert!(matches!(gate.narrow(&by_three).await, Ok(Narrowed::Done { .. })));
    let events = [story.adjusted("a", -3, Some(by_three.entry))];
    apply(&gate, &story, &events).await;
    apply(&gate, &story, &events).await;
    assert_eq!(shown(&gate, &story, "a").await, [2, 0, 2, 0]);
    let more = story.adjusted("a", 4, None);
    apply(&gate, &story, &[more]).await;
    assert_eq!(shown(&gate, &story, "a").await, [6, 4, 2, 0]);
}

async fn closes_for_good(gate: Gate) {
    let mut story = opened(&gate, &[("a", 5)]).await;
    let close = story.narrow(Narrowing::Close);
    assert!(matches!(gate.narrow(&close).await, Ok(Narrowed::Done { .. })));
    assert_eq!(gate.take(&story.take(&[("a", 1)])).await.expect("answers"), TakeOutcome::Closed);
    let pause = story.narrow(Narrowing::Pause);
    assert_eq!(gate.narrow(&pause).await.expect("answers"), Narrowed::Closed);
    assert!(matches!(gate.narrow(&close).await, Ok(Narrowed::SameAgain { .. })));
    let closed = story.closed(close.entry);
    apply(&gate, &story, &[closed]).await;
    assert_eq!(gate.take(&story.take(&[("a", 1)])).await.expect("answers"), TakeOutcome::Closed);
    assert_eq!(gate.narrow(&pause).await.expect("answers"), Narrowed::Closed);
}

async fn changes_the_offer(gate: Gate) {
    let mut story = opened(&gate, &[("a", 5)]).await;
    let early = story.take(&[("a", 1)]);
    taken(&gate, &early).await;
    let change = story.narrow(Narrowing::ChangeOffer);
    let Ok(Narrowed::Done { admission }) = gate.narrow(&change).await else { panic!("refused") };
    assert_eq!(gate.take(&story.take(&[("a", 1)])).await.expect("answers"), TakeOutcome::Changing);
    let voided = story.voided(change.entry, admission, VoidCause::Refused);
    apply(&gate, &story, &[voided]).await;
    taken(&gate, &story.take(&[("a", 1)])).await;
    let change = story.narrow(Narrowing::ChangeOffer);
    assert!(matches!(gate.narrow(&change).await, Ok(Narrowed::Done { .. })));
    let repriced = story.repriced(change.entry);
    apply(&gate, &story, &[repriced]).await;
    assert_eq!(taken(&gate, &story.take(&[("a", 1)])).await.offer_version, 2);
    let Ok(TakeOutcome::SameAgain { offer, .. }) = gate.take(&early).await else {
        panic!("forgotten")
    };
    assert_eq!(offer.expect("known").offer.version, 1);
}
