//! The sales board: spotlights whose time has come.

use chrono::TimeDelta;
use domain::Timestamp;
use domain::broadcast::BroadcastCommand;
use domain::ids::SpotlightId;
use domain::spotlight::{Cause, Settle, SpotlightCommand, Withdrawal};
use projections::read_model::DUE_ITEMS_MAX;

use super::on_every_adapter;
use super::setup::Books;
use crate::support::events::Story;

on_every_adapter!(
    opening_is_due_in_a_live_broadcast_only,
    closing_is_due_for_open_and_paused,
    an_ended_broadcast_makes_all_its_spotlights_due,
    what_is_due_comes_earliest_first_up_to_the_limit,
    a_withdrawal_is_listed_until_it_is_settled,
);

async fn due(books: &Books, now: Timestamp, limit: usize) -> Vec<SpotlightId> {
    books.board.due(now, limit).await.unwrap().into_iter().map(|view| view.id).collect()
}

async fn apply_rest(books: &Books, story: &Story) {
    let done = books.board.checkpoint().await.unwrap();
    books.apply(&story.log()[usize::try_from(done.0).unwrap()..]).await;
}

fn close(cause: Cause) -> SpotlightCommand {
    SpotlightCommand::CloseSpotlight { cause, reason: None, admission: None }
}

async fn opening_is_due_in_a_live_broadcast_only(books: Books) {
    let mut story = Story::new();
    let show = story.broadcast("show");
    let opens = story.now + TimeDelta::seconds(10);
    let mut terms = story.terms(show, &[("a", 1)]);
    terms.opens_at = Some(opens);
    let sale = story.schedule(terms, false);
    let terms = story.terms(show, &[("a", 1)]);
    story.schedule(terms, false);
    apply_rest(&books, &story).await;
    assert_eq!(due(&books, opens, 9).await, [], "the broadcast is not live");
    story.broadcast_does(show, BroadcastCommand::StartBroadcast);
    apply_rest(&books, &story).await;
    assert_eq!(due(&books, opens - TimeDelta::microseconds(1), 9).await, []);
    assert_eq!(due(&books, opens, 9).await, [sale], "the other one waits for its host");
    story.spotlight_does(sale, SpotlightCommand::OpenSpotlight { cause: Cause::Schedule });
    apply_rest(&books, &story).await;
    assert_eq!(due(&books, opens, 9).await, []);
}

async fn closing_is_due_for_open_and_paused(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let closes = story.now + TimeDelta::seconds(10);
    let mut sales = vec![];
    for _ in 0..3 {
        let mut terms = story.terms(show, &[("a", 1)]);
        terms.closes_at = Some(closes);
        sales.push(story.schedule(terms, true));
    }
    let pause = SpotlightCommand::PauseSpotlight { reason: None, admission: None };
    story.spotlight_does(sales[1], pause);
    story.spotlight_does(sales[2], close(Cause::Host));
    apply_rest(&books, &story).await;
    assert_eq!(due(&books, closes - TimeDelta::microseconds(1), 9).await, []);
    assert_eq!(due(&books, closes, 9).await, sales[..2]);
}

async fn an_ended_broadcast_makes_all_its_spotlights_due(books: Books) {
    let mut story = Story::new();
    let (show, other) = (story.live("show"), story.live("another show"));
    let mut terms = story.terms(show, &[("a", 1)]);
    terms.closes_at = Some(story.now - TimeDelta::seconds(1));
    let open = story.schedule(terms, true);
    let terms = story.terms(show, &[("a", 1)]);
    let scheduled = story.schedule(terms, false);
    let closed = story.spotlight(show, &[("a", 1)]);
    story.spotlight_does(closed, close(Cause::Host));
    story.spotlight(other, &[("a", 1)]);
    apply_rest(&books, &story).await;
    assert_eq!(due(&books, story.now, 9).await, [open]);
    story.pass(1);
    story.end(show);
    // the end came first for this one
    let late = story.spotlight(show, &[("a", 1)]);
    apply_rest(&books, &story).await;
    assert_eq!(due(&books, story.now, 9).await, [open, scheduled, late], "each once");
    for sale in [open, scheduled, late] {
        story.spotlight_does(sale, close(Cause::BroadcastEnded));
    }
    apply_rest(&books, &story).await;
    assert_eq!(due(&books, story.now, 9).await, []);
}

async fn what_is_due_comes_earliest_first_up_to_the_limit(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let mut sales = vec![];
    for n in 0..4 {
        let mut terms = story.terms(show, &[("a", 1)]);
        let time = Some(story.now + TimeDelta::seconds(10 - n));
        let opened = n % 2 == 0;
        if opened {
            terms.closes_at = time;
        } else {
            terms.opens_at = time;
        }
        sales.insert(0, story.schedule(terms, opened));
    }
    apply_rest(&books, &story).await;
    let now = story.now + TimeDelta::seconds(10);
    for (asked, got) in [(0, 0), (3, 3), (4, 4), (DUE_ITEMS_MAX + 1, 4)] {
        assert_eq!(due(&books, now, asked).await, sales[..got]);
    }
}

async fn a_withdrawal_is_listed_until_it_is_settled(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 1)]);
    story.spotlight(show, &[("b", 1)]);
    apply_rest(&books, &story).await;
    assert_eq!(books.board.withdrawing(9).await.unwrap(), []);
    let (offer_version, settle) = (1, Settle::Cancel);
    let withdraw =
        SpotlightCommand::WithdrawOffer { offer_version, settle, reason: None, admission: None };
    story.spotlight_does(sale, withdraw);
    apply_rest(&books, &story).await;
    let listed = books.board.withdrawing(9).await.unwrap();
    let begun = Withdrawal::begun(offer_version, settle);
    assert_eq!(
        listed.iter().map(|view| (view.id, view.withdrawal)).collect::<Vec<_>>(),
        [(sale, Some(begun))]
    );
    let withdrawal = Withdrawal { total: 1, done: 1, open: false, ..begun };
    story.spotlight_does(sale, SpotlightCommand::ReportWithdrawal { withdrawal });
    apply_rest(&books, &story).await;
    assert_eq!(books.board.withdrawing(9).await.unwrap(), []);
    let view = books.board.spotlight(sale).await.unwrap().unwrap();
    assert_eq!(view.withdrawal, Some(withdrawal));
}
