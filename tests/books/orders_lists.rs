//! The order book: lists, what is due, and what waits for a provider.

use chrono::TimeDelta;
use domain::actor::Role;
use domain::envelope::{Position, Recorded};
use domain::ids::{OrderId, SellerId};
use domain::payment::PaymentResult;
use domain::ports::{OrderBook, OrderQuery, PortError};
use domain::views::{OrderStatus, OrderView};
use projections::read_model::{Cursor, DUE_ITEMS_MAX, PAGE_ITEMS_MAX};

use super::on_every_adapter;
use super::setup::Books;
use crate::support::events::{HOLD_SECONDS, Story};

on_every_adapter!(
    pages_are_newest_first_and_complete,
    filters_hold_together,
    limits_are_kept,
    a_malformed_cursor_is_refused,
    holds_are_due_from_their_end_on,
    open_payments_are_those_that_a_provider_owes,
);

fn query(story: &Story) -> OrderQuery {
    OrderQuery {
        seller: story.seller.clone(),
        viewer: None,
        spotlight: None,
        status: None,
        since: None,
        cursor: None,
        limit: 100,
    }
}

/// Every page of a query, one after the other.
async fn pages(book: &dyn OrderBook, mut query: OrderQuery) -> Vec<Vec<OrderView>> {
    let mut pages = vec![];
    loop {
        let page = book.orders(&query).await.unwrap();
        pages.push(page.items);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return pages;
        }
    }
}

fn ids(views: &[OrderView]) -> Vec<OrderId> {
    views.iter().map(|view| view.id).collect()
}

async fn pages_are_newest_first_and_complete(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 100)]);
    let mut placed = vec![];
    for n in 0..12_i64 {
        // three orders share each time
        if n % 3 == 0 {
            story.pass(1);
        }
        placed.push((story.now, story.place(sale, "ana", &[("a", 1)])));
    }
    books.apply(story.log()).await;
    placed.sort();
    placed.reverse();
    let newest_first: Vec<OrderId> = placed.into_iter().map(|(_, id)| id).collect();
    for (limit, sizes) in
        [(5, vec![5, 5, 2]), (4, vec![4, 4, 4]), (12, vec![12]), (13, vec![12]), (11, vec![11, 1])]
    {
        let pages = pages(&*books.orders, OrderQuery { limit, ..query(&story) }).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "limit {limit}");
        assert_eq!(ids(&pages.concat()), newest_first, "limit {limit}");
    }
}

async fn filters_hold_together(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let (first, second) =
        (story.spotlight(show, &[("a", 100)]), story.spotlight(show, &[("a", 100)]));
    let mut confirmed_by_ana = vec![];
    let mut middle = story.now;
    for n in 0..8 {
        story.pass(1);
        if n == 4 {
            middle = story.now;
        }
        let ana = story.place(first, "ana", &[("a", 1)]);
        story.capture(ana);
        confirmed_by_ana.push(ana);
        story.place(first, "ana", &[("a", 1)]);
        story.place(first, "bob", &[("a", 1)]);
        story.place(second, "ana", &[("a", 1)]);
    }
    books.apply(story.log()).await;
    let viewer = Some(story.viewer_ref("ana"));
    let count = async |query: OrderQuery| pages(&*books.orders, query).await.concat().len();
    assert_eq!(count(query(&story)).await, 32);
    assert_eq!(count(OrderQuery { viewer: viewer.clone(), ..query(&story) }).await, 24);
    assert_eq!(count(OrderQuery { spotlight: Some(second), ..query(&story) }).await, 8);
    let status = Some(OrderStatus::Confirmed);
    assert_eq!(count(OrderQuery { status, ..query(&story) }).await, 8);
    assert_eq!(count(OrderQuery { since: Some(middle), ..query(&story) }).await, 16);
    let just_after = Some(middle + TimeDelta::microseconds(1));
    assert_eq!(count(OrderQuery { since: just_after, ..query(&story) }).await, 12);
    let failed = Some(OrderStatus::Failed);
    assert_eq!(count(OrderQuery { status: failed, ..query(&story) }).await, 0);
    let seller = SellerId::try_new("other").unwrap();
    assert_eq!(count(OrderQuery { seller, ..query(&story) }).await, 0);

    let everything = OrderQuery {
        viewer,
        spotlight: Some(first),
        status,
        since: Some(middle),
        limit: 3,
        ..query(&story)
    };
    let found = pages(&*books.orders, everything).await;
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
    confirmed_by_ana.drain(..4);
    confirmed_by_ana.reverse();
    assert_eq!(ids(&found.concat()), confirmed_by_ana);
}

async fn limits_are_kept(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 10_000)]);
    for _ in 0..=PAGE_ITEMS_MAX.max(DUE_ITEMS_MAX) {
        story.place(sale, "ana", &[("a", 1)]);
    }
    for page in story.log().chunks(1_000) {
        books.orders.apply(page).await.unwrap();
    }
    let book = &*books.orders;
    let size = async |limit: usize| {
        let page = book.orders(&OrderQuery { limit, ..query(&story) }).await.unwrap();
        (page.items.len(), page.next_cursor.is_some())
    };
    assert_eq!(size(0).await, (1, true));
    assert_eq!(size(PAGE_ITEMS_MAX).await, (PAGE_ITEMS_MAX, true));
    assert_eq!(size(PAGE_ITEMS_MAX + 1).await, (PAGE_ITEMS_MAX, true));
    let late = story.now + TimeDelta::days(1);
    for (asked, got) in [(0, 0), (1, 1), (usize::MAX, DUE_ITEMS_MAX)] {
        assert_eq!(book.due_holds(late, asked).await.unwrap().len(), got);
        assert_eq!(book.open_payments(None, asked).await.unwrap().len(), got);
    }
}

async fn a_malformed_cursor_is_refused(books: Books) {
    let story = Story::new();
    let whole = Cursor { micros: 1, id: uuid::Uuid::from_u128(1) }.encode();
    let short = whole[..whole.len() - 2].to_owned();
    for broken in ["", "=", "'; DROP TABLE order_book; --", &short, "커서"] {
        let cursor = Some(broken.to_owned());
        let refused = books.orders.orders(&OrderQuery { cursor, ..query(&story) }).await;
        assert!(matches!(refused, Err(PortError::Corrupt { what: "cursor", .. })), "{broken}");
    }
    let cursor = Some(whole);
    let page = books.orders.orders(&OrderQuery { cursor, ..query(&story) }).await.unwrap();
    assert_eq!(page.items, []);
}

async fn apply_rest(books: &Books, log: &[Recorded]) {
    let Position(done) = books.orders.checkpoint().await.unwrap();
    books.apply(&log[usize::try_from(done).unwrap()..]).await;
}

async fn holds_are_due_from_their_end_on(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 100)]);
    let first = story.place(sale, "ana", &[("a", 1)]);
    story.pass(1);
    let second = story.place(sale, "bob", &[("a", 1)]);
    let authorized = story.place(sale, "eve", &[("a", 1)]);
    story.authorize(authorized);
    let sold = story.place(sale, "eve", &[("a", 1)]);
    story.capture(sold);
    let cancelled = story.place(sale, "eve", &[("a", 1)]);
    story.cancel(cancelled, Role::Viewer).unwrap();
    apply_rest(&books, story.log()).await;
    let end = story.now + TimeDelta::seconds(i64::from(HOLD_SECONDS));
    let due = async |at, limit| ids(&books.orders.due_holds(at, limit).await.unwrap());
    let earlier = end - TimeDelta::seconds(1);
    assert_eq!(due(earlier - TimeDelta::microseconds(1), 9).await, []);
    assert_eq!(due(earlier, 9).await, [first]);
    assert_eq!(due(end, 9).await, [first, second], "earliest first");
    assert_eq!(due(end, 1).await, [first]);

    story.now = end;
    story.expire(first);
    apply_rest(&books, story.log()).await;
    assert_eq!(due(end, 9).await, [second]);
}

async fn open_payments_are_those_that_a_provider_owes(books: Books) {
    let mut story = Story::new();
    let show = story.live("show");
    let sale = story.spotlight(show, &[("a", 100)]);
    let order = |story: &mut Story| story.place(sale, "ana", &[("a", 1)]);
    let requested = order(&mut story);
    let authorized = order(&mut story);
    story.authorize(authorized);
    let unknown = order(&mut story);
    story.answer(unknown, PaymentResult::Unknown);
    let cancelled = order(&mut story);
    story.cancel(cancelled, Role::Host).unwrap();
    let sold = order(&mut story);
    story.capture(sold);
    let voided = order(&mut story);
    story.answer(voided, PaymentResult::Voided);
    let late = order(&mut story);
    let mut place = story.order(sale, "ana", &[("a", 1)]);
    place.payment = None;
    story.place_order(place);
    story.pass(i64::from(HOLD_SECONDS));
    story.expire(late);
    story.capture(late);
    let waiting = order(&mut story);
    story.pass(i64::from(HOLD_SECONDS));
    story.expire(waiting);
    story.capture(waiting);
    apply_rest(&books, story.log()).await;
    let open = books.orders.open_payments(None, 99).await.unwrap();
    assert!(open.iter().any(|order| order.id == waiting), "it may take its units again");
    story.turn_away(late);
    story.turn_away(waiting);
    story.answer(waiting, PaymentResult::Refunded { amount: story.total(waiting) });
    apply_rest(&books, story.log()).await;

    // the provider may still take the money of a cancelled order; the late one is to be refunded
    let mut open = vec![requested, authorized, unknown, cancelled, late];
    open.sort();
    let book = &*books.orders;
    let found = async |after, limit| ids(&book.open_payments(after, limit).await.unwrap());
    assert_eq!(found(None, 99).await, open);
    assert_eq!(found(None, 2).await, open[..2]);
    assert_eq!(found(Some(open[1]), 2).await, open[2..4]);
    assert_eq!(found(Some(open[4]), 2).await, []);

    story.answer(late, PaymentResult::Refunded { amount: story.total(late) });
    apply_rest(&books, story.log()).await;
    open.retain(|id| *id != late);
    assert_eq!(found(None, 99).await, open);
}
