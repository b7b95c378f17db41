//! The sales board: what it shows, what it has sold, its lists, and what is applied once.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use domain::actor::Role;
use domain::broadcast::{BroadcastCommand, BroadcastStatus};
use domain::envelope::Position;
use domain::ids::{BroadcastId, SellerId, SpotlightId};
use domain::payment::{DeclineKind, PaymentResult};
use domain::ports::{PortError, SalesBoard, SalesTotals};
use domain::spotlight::{Cause, SpotlightCommand, SpotlightStatus};
use domain::views::{BroadcastView, Inventory, SpotlightView};
use projections::read_model::PAGE_ITEMS_MAX;

use super::on_every_adapter;
use super::setup::Books;
use crate::support::events::{HOLD_SECONDS, PRICE_MINOR, Story, sku, won};

on_every_adapter!(
    a_broadcast_goes_live_and_ends,
    a_spotlight_goes_through_its_life,
    stock_is_remaining_held_and_sold,
    totals_count_what_was_sold,
    broadcasts_are_listed_newest_first,
    spotlights_are_listed_newest_first,
    repeats_are_skipped_and_a_gap_is_refused,
    two_appliers_do_not_disturb_each_other,
);

async fn apply_rest(books: &Books, story: &Story) {
    let Position(done) = books.board.checkpoint().await.unwrap();
    books.apply(&story.log()[usize::try_from(done).unwrap()..]).await;
}

async fn spotlight(books: &Books, id: SpotlightId) -> SpotlightView {
    books.board.spotlight(id).await.unwrap().expect("the spotlight is on the board")
}

async fn a_broadcast_goes_live_and_ends(books: Books) {
    let mut story = Story::new();
    let id = story.broadcast("Evening show");
    apply_rest(&books, &story).await;
    let mut expected = BroadcastView {
        id,
        seller: story.seller.clone(),
        title: "Evening show".to_owned(),
        currency: won(0).currency,
        status: BroadcastStatus::Scheduled,
        starts_at: None,
        started_at: None,
        ended_at: None,
        created_at: story.now,
        position: story.head(),
    };
    let read = async || books.board.broadcast(id).await.unwrap().unwrap();
    assert_eq!(read().await, expected);
    story.pass(1);
    story.broadcast_does(id, BroadcastCommand::StartBroadcast);
    apply_rest(&books, &story).await;
    expected.status = BroadcastStatus::Live;
    expected.started_at = Some(story.now);
    expected.position = story.head();
    assert_eq!(read().await, expected);
    story.pass(1);
    story.end(id);
    apply_rest(&books, &story).await;
    expected.status = BroadcastStatus::Ended;
    expected.ended_at = Some(story.now);
    expected.position = story.head();
    assert_eq!(read().await, expected);
    assert_eq!(books.board.broadcast(BroadcastId(uuid::Uuid::nil())).await.unwrap(), None);
}

async fn a_spotlight_goes_through_its_life(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let mut terms = story.terms(show, &[("a", 5)]);
    terms.per_viewer_limit = Some(2);
    terms.personal.reference = Some("shop-7".to_owned());
    let id = story.schedule(terms.clone(), false);
    apply_rest(&books, &story).await;
    let view = spotlight(&books, id).await;
    assert_eq!((view.status, view.created_at), (SpotlightStatus::Scheduled, story.now));
    assert_eq!((view.broadcast_id, &view.seller), (show, &story.seller));
    assert_eq!((&view.product, &view.skus), (&terms.product, &terms.skus));
    assert_eq!((&view.offer, view.per_viewer_limit), (&terms.offer, Some(2)));
    assert_eq!(view.reference.as_deref(), Some("shop-7"));
    assert_eq!((view.opened_at, view.closed_at), (None, None));

    story.pass(1);
    let opened = story.now;
    let reason = None;
    let admission = None;
    for (command, status) in [
        (SpotlightCommand::OpenSpotlight { cause: Cause::Host }, SpotlightStatus::Open),
        (
            SpotlightCommand::PauseSpotlight { reason: reason.clone(), admission },
            SpotlightStatus::Paused,
        ),
        (SpotlightCommand::ResumeSpotlight { reason: reason.clone() }, SpotlightStatus::Open),
        (
            SpotlightCommand::ChangeOffer {
                live_price: won(9_900),
                reason: reason.clone(),
                admission,
            },
            SpotlightStatus::Open,
        ),
        (SpotlightCommand::ReopenGate { expected: 1 }, SpotlightStatus::Open),
        (
            SpotlightCommand::CloseSpotlight { cause: Cause::Host, reason, admission },
            SpotlightStatus::Closed,
        ),
    ] {
        story.spotlight_does(id, command);
        apply_rest(&books, &story).await;
        let view = spotlight(&books, id).await;
        assert_eq!((view.status, view.position), (status, story.head()));
        assert_eq!(view.opened_at, Some(opened), "the first opening stays");
        story.pass(1);
    }
    let view = spotlight(&books, id).await;
    assert_eq!((view.offer.version, view.offer.live_price), (2, won(9_900)));
    assert_eq!(view.closed_at, Some(story.now - TimeDelta::seconds(1)));
}

async fn stock_is_remaining_held_and_sold(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let id = story.spotlight(show, &[("a", 5), ("b", 3)]);
    let shown = async |story: &Story, a: [i64; 4], b: [i64; 4]| {
        apply_rest(&books, story).await;
        let row = |[limited_quantity, remaining, held, sold]: [i64; 4]| Inventory {
            limited_quantity,
            remaining,
            held,
            sold,
        };
        let expected = BTreeMap::from([(sku("a"), row(a)), (sku("b"), row(b))]);
        assert_eq!(spotlight(&books, id).await.inventory, expected);
    };
    shown(&story, [5, 5, 0, 0], [3, 3, 0, 0]).await;
    let first = story.place(id, "ana", &[("a", 2), ("b", 1)]);
    let second = story.place(id, "bob", &[("a", 1)]);
    shown(&story, [5, 2, 3, 0], [3, 2, 1, 0]).await;
    story.capture(first);
    shown(&story, [5, 2, 1, 2], [3, 2, 0, 1]).await;
    story.cancel(second, Role::Viewer).unwrap();
    shown(&story, [5, 3, 0, 2], [3, 2, 0, 1]).await;
    let adjust = |delta| SpotlightCommand::AdjustStock {
        sku: sku("a"),
        delta,
        reason: None,
        admission: None,
    };
    story.spotlight_does(id, adjust(4));
    shown(&story, [9, 7, 0, 2], [3, 2, 0, 1]).await;
    story.spotlight_does(id, adjust(-7));
    shown(&story, [2, 0, 0, 2], [3, 2, 0, 1]).await;
    story.place(id, "eve", &[("a", 1)]);
    shown(&story, [2, 0, 0, 2], [3, 2, 0, 1]).await;
}

async fn totals_count_what_was_sold(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let (first, second) = (story.spotlight(show, &[("a", 5)]), story.spotlight(show, &[("b", 5)]));
    let other = story.live("another show");
    let elsewhere = story.spotlight(other, &[("a", 5)]);
    let elsewhere = story.place(elsewhere, "ana", &[("a", 1)]);
    story.capture(elsewhere);
    for (spotlight, name) in [(first, "a"), (second, "b")] {
        let sold = story.place(spotlight, "ana", &[(name, 2)]);
        story.capture(sold);
    }
    let declined = story.place(first, "bob", &[("a", 1)]);
    let code = "no_funds".to_owned();
    story.answer(declined, PaymentResult::Declined { kind: DeclineKind::Hard, code });
    let cancelled = story.place(first, "bob", &[("a", 1)]);
    story.cancel(cancelled, Role::Viewer).unwrap();
    story.place(first, "eve", &[("a", 9)]);
    let open = story.place(first, "eve", &[("a", 1)]);
    apply_rest(&books, &story).await;
    let mut expected = SalesTotals {
        orders: 6,
        confirmed: 2,
        failed: 2,
        cancelled: 1,
        units_sold: 4,
        revenue: won(4 * PRICE_MINOR),
        failed_for_stock: 1,
    };
    assert_eq!(books.board.totals(show).await.unwrap(), Some(expected.clone()));

    // money that came too late is earned and given back
    story.pass(i64::from(HOLD_SECONDS));
    story.expire(open);
    story.capture(open);
    story.turn_away(open);
    apply_rest(&books, &story).await;
    expected.failed += 1;
    expected.revenue = won(5 * PRICE_MINOR);
    assert_eq!(books.board.totals(show).await.unwrap(), Some(expected.clone()));
    story.answer(open, PaymentResult::Refunded { amount: won(PRICE_MINOR) });
    apply_rest(&books, &story).await;
    expected.revenue = won(4 * PRICE_MINOR);
    assert_eq!(books.board.totals(show).await.unwrap(), Some(expected));

    let quiet = story.broadcast("no spotlight yet");
    apply_rest(&books, &story).await;
    let nothing = books.board.totals(quiet).await.unwrap().unwrap();
    assert_eq!((nothing.orders, nothing.revenue), (0, won(0)));
    assert_eq!(books.board.totals(BroadcastId(uuid::Uuid::nil())).await.unwrap(), None);
}

/// Every page of a list, one after the other: sizes and items.
macro_rules! pages {
    ($list:expr) => {{
        let (mut sizes, mut ids, mut cursor) = (vec![], vec![], None::<String>);
        loop {
            let page = $list(cursor.as_deref()).await.unwrap();
            sizes.push(page.items.len());
            ids.extend(page.items.iter().map(|view| view.id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break (sizes, ids);
            }
        }
    }};
}

async fn broadcasts_are_listed_newest_first(books: Books) {
    let mut story = Story::new();
    let mut newest_first = vec![];
    for n in 0..5_i64 {
        if n % 2 == 0 {
            story.pass(1);
        }
        newest_first.push((story.now, story.broadcast("show")));
    }
    newest_first.sort();
    newest_first.reverse();
    let newest_first: Vec<BroadcastId> = newest_first.into_iter().map(|(_, id)| id).collect();
    apply_rest(&books, &story).await;
    let board = &books.board;
    for (limit, sizes) in [(2, vec![2, 2, 1]), (5, vec![5]), (0, vec![1; 5])] {
        let seller = &story.seller;
        let found = pages!(|cursor| board.broadcasts(seller, cursor, limit));
        assert_eq!(found, (sizes, newest_first.clone()));
    }
    let whole = board.broadcasts(&story.seller, None, PAGE_ITEMS_MAX + 1).await.unwrap();
    assert_eq!((whole.items.len(), whole.next_cursor), (5, None));
    let stranger = SellerId::try_new("other").unwrap();
    assert_eq!(board.broadcasts(&stranger, None, 9).await.unwrap().items, []);
    let refused = board.broadcasts(&story.seller, Some("?"), 9).await;
    assert!(matches!(refused, Err(PortError::Corrupt { what: "cursor", .. })));
}

async fn spotlights_are_listed_newest_first(books: Books) {
    let mut story = Story::new();
    let (show, other) = (story.live("show"), story.live("another show"));
    let mut newest_first = vec![];
    for _ in 0..5 {
        story.pass(1);
        newest_first.insert(0, story.spotlight(show, &[("a", 1)]));
        story.spotlight(other, &[("a", 1)]);
    }
    apply_rest(&books, &story).await;
    let board = &books.board;
    for (limit, sizes) in [(2, vec![2, 2, 1]), (4, vec![4, 1]), (5, vec![5])] {
        let found = pages!(|cursor| board.spotlights(show, cursor, limit));
        assert_eq!(found, (sizes, newest_first.clone()));
    }
    let refused = board.spotlights(show, Some("%%%"), 9).await;
    assert!(matches!(refused, Err(PortError::Corrupt { what: "cursor", .. })));
}

fn busy_story(orders: usize) -> Story {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 10_000)]);
    for n in 0..orders {
        let id = story.place(sale, &format!("v{n}"), &[("a", 1)]);
        if n % 2 == 0 {
            story.capture(id);
        }
    }
    story
}

async fn is_as_applied_once(books: &Books, story: &Story) {
    let reference = Books::memory();
    reference.board.apply(story.log()).await.unwrap();
    let shows = reference.board.broadcasts(&story.seller, None, 9).await.unwrap();
    assert_eq!(books.board.broadcasts(&story.seller, None, 9).await.unwrap(), shows);
    for show in shows.items {
        let sales = reference.board.spotlights(show.id, None, 9).await.unwrap();
        assert_eq!(books.board.spotlights(show.id, None, 9).await.unwrap(), sales);
        let totals = reference.board.totals(show.id).await.unwrap();
        assert!(totals.as_ref().is_some_and(|totals| totals.orders > 0));
        assert_eq!(books.board.totals(show.id).await.unwrap(), totals);
    }
}

async fn repeats_are_skipped_and_a_gap_is_refused(books: Books) {
    let story = busy_story(6);
    let log = story.log();
    let board = &*books.board;
    let refused = |applied: Result<Position, PortError>| {
        matches!(applied, Err(PortError::Corrupt { what: "sales_board", .. }))
    };
    assert!(refused(board.apply(&log[1..]).await));
    assert_eq!(board.apply(&log[..6]).await.unwrap(), Position(6));
    assert_eq!(board.apply(&log[..6]).await.unwrap(), Position(6));
    assert_eq!(board.apply(&log[3..9]).await.unwrap(), Position(9));
    assert!(refused(board.apply(&log[10..]).await));
    assert_eq!(board.checkpoint().await.unwrap(), Position(9));
    assert_eq!(board.apply(log).await.unwrap(), story.head());
    is_as_applied_once(&books, &story).await;
}

async fn two_appliers_do_not_disturb_each_other(books: Books) {
    let story = busy_story(60);
    let log = story.log();
    let run = async |board: &dyn SalesBoard, page: usize| {
        let mut at = 0;
        while at < log.len() {
            let end = (at + page).min(log.len());
            let checkpoint = board.apply(&log[at..end]).await.unwrap();
            at = usize::try_from(checkpoint.0).unwrap();
        }
    };
    futures::join!(run(&*books.board, 3), run(&*books.other_board, 5));
    is_as_applied_once(&books, &story).await;
}
